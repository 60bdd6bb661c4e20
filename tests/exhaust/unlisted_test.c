/* unlisted_test.c - once there is a filter that kills, the system layer makes no call that README.md does not list.
 *
 * One that refuses a listed call changes nothing. And without a filter, each thread that is made begins with zeros.
 *
 * Uses: the layer as includes, so that each function can be called just after the filter came: filters_test, from
 *       outside, would have to hit the moment. A scene is a child; 0 = as it shall be.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#include "../../src/os/image.c"
#include "../../src/os/linux.c"
#include "../../src/os/inherited.c"
#include "../../src/os/thread.c"

#include "bootstrap/common.h"
#include "own_thread.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { HUGE_SIZE = 2 << 20, ADVICE_COLLAPSE = 25 };

/* ---- the filter ---- */

static const uint32_t killed[] = {SYS_openat, SYS_read, SYS_close, SYS_close_range, SYS_getresuid, SYS_getresgid,
                                  SYS_capget, SYS_tgkill, SYS_clone, SYS_rt_sigprocmask, SYS_readlinkat, SYS_rt_sigpending,
                                  SYS_rt_sigtimedwait};

/* Kills for the first `calls` of these, and for the advice. */
static bool install_for(unsigned calls)
{
    struct sock_filter program[2 * COUNT(killed) + 6];
    unsigned short n = 0;
    program[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (unsigned i = 0; i < calls; i++) {
        program[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, killed[i], 0, 1);
        program[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    }
    program[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3);
    program[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2]));
    program[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ADVICE_COLLAPSE, 0, 1);
    program[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    program[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog filter = {.len = n, .filter = program};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0;
}

static bool install(void)
{
    return install_for(COUNT(killed));
}

static bool refuse(uint32_t call, int error)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {.len = COUNT(program), .filter = program};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0;
}

/* ---- scenes ---- */

static int no_file_is_read(void)
{
    char text[256];
    os_start(NULL);
    if (!os_read_text("/proc/self/status", text, sizeof(text))) return 1;
    if (!install()) return 2;
    return os_read_text("/proc/self/status", text, sizeof(text)) ? 3 : 0;
}

static int nothing_is_collapsed(void)
{
    os_start(NULL);
    char *p = os_map(HUGE_SIZE);
    if (!p || !install()) return 2;
    memset(p, 1, HUGE_SIZE);
    return os_collapse(p, HUGE_SIZE) ? 3 : 0;
}

/* Whoever loads the library under a filter is promised no less. */
static int nothing_is_collapsed_under_an_old_filter(void)
{
    if (!install_for(0)) return 2;
    os_start(NULL);
    char *p = os_map(HUGE_SIZE);
    if (!p) return 1;
    memset(p, 1, HUGE_SIZE);
    return os_collapse(p, HUGE_SIZE) ? 3 : 0;
}

static int leave_at_once(bool alone)
{
    return !alone;
}

static int no_thread_is_made(void)
{
    struct os_thread thread = {0};
    os_start(NULL);
    if (!install()) return 2;
    return os_thread_start(&thread, leave_at_once) ? 3 : 0;
}

/* As root, and as anybody else. */
static int a_thread_ends_whatever_its_rights(void)
{
    os_start(NULL);
    if (!install()) return 2;
    may_outlive_rights = true;
    if (!os_thread_outlives_rights()) return 3;
    may_outlive_rights = false;
    return os_thread_outlives_rights() ? 0 : 4;
}

static void *end_late(void *thread)
{
    struct timespec time = {.tv_nsec = 50 * 1000000};
    nanosleep(&time, NULL);
    store_release(&((struct os_thread *)thread)->id, 0);
    return NULL;
}

static int a_thread_is_waited_for(void)
{
    struct os_thread thread = {.id = os_thread_number(), .process = os_process_number()};
    pthread_t other;
    os_start(NULL);
    if (pthread_create(&other, NULL, end_late, &thread) != 0 || !install()) return 2;
    os_thread_join(&thread, thread.id);
    return load_acquire(&thread.id) == 0 ? 0 : 3;
}

static int a_lost_thread_is_not_waited_for(void)
{
    struct os_thread thread = {.id = os_thread_number(), .process = os_process_number() + 1};
    os_start(NULL);
    if (!install()) return 2;
    os_thread_join(&thread, thread.id);
    return 0;
}

static int a_message_is_written(void)
{
    int ends[2], waiting = 0;
    os_start(NULL);
    if (pipe(ends) != 0 || dup2(ends[1], STDERR_FILENO) < 0) return 1;
    if (!install()) return 2;
    os_print("hakmem\n", 7);
    return ioctl(ends[0], FIONREAD, &waiting) == 0 && waiting == 7 ? 0 : 3;
}

/* A filter that refuses to read a process's memory, even its own. What is said of addresses stays the same. */
static int memory_is_read_where_that_is_refused(void)
{
    static const int errors[] = {EPERM, ENOSYS};
    os_start(NULL);
    char *p = os_map(2 * os_page_size());
    if (!p || mprotect(p + os_page_size(), os_page_size(), PROT_NONE) != 0) return 1;
    char *end = p + os_page_size(), out[24];
    memset(end - 24, 7, 24);
    for (unsigned i = 0; i <= COUNT(errors); i++) {
        memset(out, 0, sizeof(out));
        if (!os_peek(end - 24, out, 24) || out[0] != 7 || out[23] != 7) return 3;
        if (!os_peek(end - 1, out, 1) || os_peek(end - 1, out, 2) || os_peek(end - 8, out, 16)) return 4;
        if (os_peek(end, out, 1) || os_peek(NULL, out, 8) || os_peek((void *)16, out, 8)) return 5;
        if (os_peek((void *)(UINTPTR_MAX - 15), out, 8) || os_peek((void *)(UINTPTR_MAX / 3), out, 8)) return 6;
        if (i < COUNT(errors) && !refuse(SYS_process_vm_readv, errors[i])) return 2;
    }
    return 0;
}

/* ---- threads one after the other ---- */

static uint32_t found;

static int find_and_write(bool alone)
{
    found = own_variable;
    own_variable = 1;
    return !alone;
}

static bool begins_with_zero(struct os_thread *thread)
{
    found = 2;
    if (!os_thread_start(thread, find_and_write)) return false;
    os_thread_join(thread, load_acquire(&thread->id));
    return load_acquire(&found) == 0;
}

/* In the memory of the one before, also where that cannot be given back. */
static int each_thread_begins_with_zeros(void)
{
    struct os_thread thread = {0};
    os_start(NULL);
    if (no_own_thread_here()) return 0;
    if (!begins_with_zero(&thread)) return 1;
    if (!begins_with_zero(&thread)) return 2;
    if (mlock((char *)thread.memory + os_page_size(), thread.size - os_page_size()) != 0) return 3;
    return begins_with_zero(&thread) ? 0 : 4;
}

/* ---- */

static const struct {
    const char *name;
    int (*run)(void);
} scenes[] = {
    {"no_file_is_read", no_file_is_read},
    {"nothing_is_collapsed", nothing_is_collapsed},
    {"nothing_is_collapsed_under_an_old_filter", nothing_is_collapsed_under_an_old_filter},
    {"no_thread_is_made", no_thread_is_made},
    {"a_thread_ends_whatever_its_rights", a_thread_ends_whatever_its_rights},
    {"a_thread_is_waited_for", a_thread_is_waited_for},
    {"a_lost_thread_is_not_waited_for", a_lost_thread_is_not_waited_for},
    {"a_message_is_written", a_message_is_written},
    {"memory_is_read_where_that_is_refused", memory_is_read_where_that_is_refused},
    {"each_thread_begins_with_zeros", each_thread_begins_with_zeros},
};

int main(int argc, char **argv)
{
    alarm(HANG_SECONDS);
    for (unsigned i = 0; argc > 1 && i < COUNT(scenes); i++)
        if (strcmp(argv[1], scenes[i].name) == 0) _exit(scenes[i].run());
    for (unsigned i = 0; i < COUNT(scenes); i++) {
        if (scenes[i].run == no_file_is_read && no_own_thread_here())
            skip("a filter is here already", "%s", scenes[i].name);
        else
            ok(succeeded(run_self_with(scenes[i].name, NULL), scenes[i].name), "%s", scenes[i].name);
    }
    return done_testing();
}
