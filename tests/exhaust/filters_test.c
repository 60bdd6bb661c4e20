/* filters_test.c - the library in a process that has given itself a seccomp filter.
 *
 * Refused: each system call that the library knows is answered with an error from then on, before the first block or
 * with a heap of all sorts, threads and the library's own thread. The program lives: NULL comes with ENOMEM, what is
 * freed can be had again, free keeps errno, and the heap is whole.
 * Killed: calls that README.md does not list end the process, one at a time, and then all of them.
 *
 * A scene is a program of its own. Threads are there before the filter, and nobody waits in libc: it would not bear
 * a refused futex. `filters_test calls` prints all calls, which calls_test.py compares with the sources.
 */
#include <dirent.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>

#define EACH 3
#include "table.h"

enum { WORKERS = 2, ROUNDS = 3, RUN_MOST = 64 << 20, PROGRAM_MAX = 128, ROUND_MS = 20, LARGEST = 2 };

/* ---- the calls ---- */

enum use { NEEDED, OPTIONAL }; /* OPTIONAL: README.md does not ask that a filter allows it */

#define CALL(name, use) {#name, SYS_##name, use}

static const struct call {
    const char *name;
    long number;
    enum use use;
} calls[] = {
    CALL(mmap, NEEDED),          CALL(munmap, NEEDED),      CALL(mprotect, NEEDED), CALL(mremap, NEEDED),
    CALL(madvise, NEEDED),       CALL(futex, NEEDED),       CALL(mincore, NEEDED),  CALL(prlimit64, NEEDED),
    CALL(prctl, NEEDED),         CALL(gettid, NEEDED),      CALL(getpid, NEEDED),   CALL(process_vm_readv, NEEDED),
    CALL(openat, OPTIONAL),      CALL(read, OPTIONAL),      CALL(close, OPTIONAL),  CALL(brk, OPTIONAL),
    CALL(clone, OPTIONAL),       CALL(clone3, OPTIONAL),    CALL(vfork, OPTIONAL),  CALL(close_range, OPTIONAL),
    CALL(rt_sigprocmask, OPTIONAL), CALL(geteuid, OPTIONAL), CALL(tgkill, OPTIONAL), CALL(write, OPTIONAL),
    CALL(msync, OPTIONAL),
};

/* What the program itself needs beside. */
static const long own_calls[] = {SYS_exit, SYS_exit_group, SYS_clock_nanosleep, SYS_rt_sigprocmask};

static const uint32_t advices[] = {MADV_DONTNEED, MADV_DONTDUMP, MADV_HUGEPAGE, MADV_NOHUGEPAGE};

static long number_of(const char *name)
{
    for (unsigned i = 0; i < COUNT(calls); i++)
        if (strcmp(calls[i].name, name) == 0) return calls[i].number;
    return -1;
}

/* ---- filters ---- */

static struct sock_filter program[PROGRAM_MAX];
static unsigned short length;

static void add(uint16_t code, uint32_t value, uint8_t equal, uint8_t other)
{
    program[length++] = (struct sock_filter){.code = code, .jt = equal, .jf = other, .k = value};
}

static void load(size_t offset)
{
    add(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

/* If what is loaded is `value`, the filter's answer is `answer`. */
static void answer_if(uint32_t value, uint32_t answer)
{
    add(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
    add(BPF_RET | BPF_K, answer, 0, 0);
}

static void answer_call(long number, uint32_t answer)
{
    load(offsetof(struct seccomp_data, nr));
    answer_if((uint32_t)number, answer);
}

/* If the call is `number`, its argument decides. */
static void allow_arguments(long number, unsigned argument, const uint32_t *values, unsigned count)
{
    load(offsetof(struct seccomp_data, nr));
    add(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, (uint8_t)(2 * count + 1));
    load(offsetof(struct seccomp_data, args) + argument * sizeof(uint64_t));
    for (unsigned i = 0; i < count; i++) answer_if(values[i], SECCOMP_RET_ALLOW);
}

static void allow_documented(void)
{
    const uint32_t asks = PR_GET_SECCOMP;
    for (unsigned i = 0; i < COUNT(own_calls); i++) answer_call(own_calls[i], SECCOMP_RET_ALLOW);
    for (unsigned i = 0; i < COUNT(calls); i++)
        if (calls[i].use == NEEDED && calls[i].number != SYS_madvise && calls[i].number != SYS_prctl)
            answer_call(calls[i].number, SECCOMP_RET_ALLOW);
    allow_arguments(SYS_madvise, 2, advices, COUNT(advices));
    allow_arguments(SYS_prctl, 0, &asks, 1);
}

/* For all threads. */
static bool install(uint32_t last_answer)
{
    add(BPF_RET | BPF_K, last_answer, 0, 0);
    struct sock_fprog filter = {.len = length, .filter = program};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter) == 0;
}

/* ---- threads ---- */

static void *shared[WORKERS][COUNT(sorts)]; /* from the first thread, for a worker to free */
static unsigned round_now;                  /* shared; workers follow it */
static unsigned done;                       /* workers that have */
static bool leave;

static void pause_us(long us)
{
    struct timespec time = {.tv_sec = 0, .tv_nsec = us * 1000};
    nanosleep(&time, NULL);
}

static void work(unsigned number)
{
    struct pile pile;
    for (unsigned i = 0; i < COUNT(sorts); i++) {
        if (shared[number][i]) give_checked(shared[number][i], sorts[i].size);
        shared[number][i] = NULL;
        pile = take_all(&sorts[i], EACH);
        give_all(&pile, &sorts[i]);
    }
}

static void *worker(void *argument)
{
    unsigned number = (unsigned)(uintptr_t)argument;
    for (unsigned seen = 0; !__atomic_load_n(&leave, __ATOMIC_ACQUIRE);) {
        unsigned now = __atomic_load_n(&round_now, __ATOMIC_ACQUIRE);
        if (now != seen) {
            work(number);
            __atomic_add_fetch(&done, 1, __ATOMIC_RELEASE);
        }
        seen = now;
        pause_us(100);
    }
    __atomic_add_fetch(&done, 1, __ATOMIC_RELEASE);
    return NULL;
}

static void await_workers(void)
{
    while (__atomic_load_n(&done, __ATOMIC_ACQUIRE) < WORKERS) pause_us(100);
    done = 0;
}

static void let_work(void)
{
    for (unsigned w = 0; w < WORKERS; w++)
        for (unsigned i = 0; i < COUNT(sorts); i++) shared[w][i] = take_checked(&sorts[i]);
    __atomic_add_fetch(&round_now, 1, __ATOMIC_RELEASE);
    await_workers();
}

static bool start_workers(void)
{
    pthread_t thread;
    for (uintptr_t i = 0; i < WORKERS; i++)
        if (pthread_create(&thread, NULL, worker, (void *)i) != 0 || pthread_detach(thread) != 0) return false;
    let_work();
    return true;
}

static void end_workers(void)
{
    __atomic_store_n(&leave, true, __ATOMIC_RELEASE);
    await_workers();
}

/* ---- a life below a filter ---- */

/* What has no mapping of its own can be had again whatever the system refuses. */
static void exchange_all(void)
{
    for (unsigned i = 0; i < COUNT(sorts); i++)
        for (unsigned k = 0; k < EACH; k++) {
            if (!block[i][k]) continue;
            give_checked(block[i][k], sorts[i].size);
            block[i][k] = take_checked(&sorts[i]);
            bool certain = sorts[i].how != BY_REALLOC && sorts[i].size <= RUN_MOST;
            expect(block[i][k] || !certain, "size %zu: block %u cannot be had again", sorts[i].size, k);
        }
}

/* Through realloc up and down again; what is refused stays. The largest would only be copied. */
static void resize_all(void)
{
    for (unsigned i = 0; i < COUNT(sorts) - LARGEST; i++) {
        size_t size = sorts[i].size;
        unsigned char *p = (unsigned char *)block[i][0];
        unsigned char *q = p ? (unsigned char *)resize(p, size * 2) : NULL;
        if (!p) continue;
        expect(is_marked(q ? q : p, size), "size %zu: realloc spoiled the block", size);
        block[i][0] = q ? resize(q, size) : p;
        expect(block[i][0], "size %zu: realloc cannot shrink", size);
    }
}

static void live(bool with_workers)
{
    for (unsigned round = 0; round < (is_whole() ? ROUNDS : 1u); round++) {
        if (with_workers) pause_us(2 * ROUND_MS * 1000);
        fill_all();
        exchange_all();
        resize_all();
        if (with_workers) let_work();
        hak_purge();
        exchange_all();
        free_all();
        hak_purge();
    }
    expect(hak_check(), "the heap is broken");
}

static bool is_late(const char *when)
{
    return strcmp(when, "late") == 0;
}

static unsigned count_threads(void)
{
    unsigned count = 0;
    DIR *folder = opendir("/proc/self/task");
    for (struct dirent *entry; folder && (entry = readdir(folder));) count += entry->d_name[0] != '.';
    if (folder) closedir(folder);
    return count;
}

/* The library's own thread shall be there, too: it comes when there is something to do. */
static void grow_before(const char *when)
{
    if (!is_late(when)) return;
    fill_all();
    exchange_all();
    if (!start_workers()) _exit(3);
    for (unsigned i = 0; i < 2500 && count_threads() < WORKERS + 2; i++) {
        let_work();
        pause_us(10000);
    }
    if (count_threads() < WORKERS + 2) _exit(5);
}

static int live_refused(const char *name, const char *error, const char *when)
{
    grow_before(when);
    answer_call(number_of(name), SECCOMP_RET_ERRNO | (uint32_t)strtoul(error, NULL, 10));
    if (!install(SECCOMP_RET_ALLOW)) _exit(4);
    live(is_late(when));
    if (is_late(when)) end_workers();
    return verdict();
}

/* Workers stay to the end: what libc calls when they leave is its own affair. */
static int live_killed(const char *name, const char *when)
{
    grow_before(when);
    answer_call(number_of(name), SECCOMP_RET_KILL_PROCESS);
    if (!install(SECCOMP_RET_ALLOW)) _exit(4);
    live(is_late(when));
    return verdict();
}

static int live_documented(const char *when)
{
    grow_before(when);
    allow_documented();
    if (!install(SECCOMP_RET_KILL_PROCESS)) _exit(4);
    live(is_late(when));
    if (is_late(when)) end_workers();
    return verdict();
}

/* Growing a mapping begins with a place for it elsewhere. */
static int grow_refused(void)
{
    const size_t size = (size_t)RUN_MOST + MIB;
    answer_call(SYS_mremap, SECCOMP_RET_ERRNO | EPERM);
    if (!install(SECCOMP_RET_ALLOW)) _exit(4);
    give(resize(take(size), 2 * size));
    size_t before = address_bytes();
    for (unsigned i = 0; i < 4; i++) give(resize(take(size), 2 * size));
    size_t after = address_bytes();
    expect(after < before + 2 * size, "%zu MiB of addresses are lost", (after - before) / MIB);
    return verdict();
}

/* ---- scenes ---- */

static const char *const times[] = {"early", "late"};

static void try_scene(const char *what, const char *name, const char *error, const char *when)
{
    char *arguments[] = {(char *)(uintptr_t) "filters_test", (char *)(uintptr_t)what, (char *)(uintptr_t)name,
                         (char *)(uintptr_t)error, (char *)(uintptr_t)when, NULL};
    const char *meaning = strcmp(error, "0") == 0 ? "" : strerrorname_np((int)strtoul(error, NULL, 10));
    ok(succeeded(run_self(arguments), name), "%s_%s_%s_%s", name, what, when, meaning);
}

/* Some calls are made while the library is loaded; a dynamic linker needs them, too. */
static void refuse_from_the_start(void)
{
    static const char *const names[] = {"openat", "read", "close", "prlimit64", "prctl", "mincore", "brk", "getpid"};
    char *arguments[] = {(char *)(uintptr_t) "filters_test", (char *)(uintptr_t) "begun", (char *)(uintptr_t) "",
                         (char *)(uintptr_t) "", (char *)(uintptr_t) "early", NULL};
    for (unsigned i = 0; i < COUNT(names) && getauxval(AT_BASE) == 0; i++) {
        pid_t pid = fork();
        int status = -1;
        if (pid == 0) {
            answer_call(number_of(names[i]), SECCOMP_RET_ERRNO | EPERM);
            if (install(SECCOMP_RET_ALLOW)) execv("/proc/self/exe", arguments);
            _exit(127);
        }
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
        ok(succeeded(status, names[i]), "%s_refused_from_the_start", names[i]);
    }
}

static int live_begun(void)
{
    live(false);
    return verdict();
}

static void refuse_each(void)
{
    static const int errors[] = {EPERM, ENOSYS, ENOMEM, EAGAIN, EACCES, EINVAL};
    unsigned few = 0;
    for (unsigned i = 0; i < COUNT(calls); i++)
        for (unsigned t = 0; t < COUNT(times); t++)
            for (unsigned e = 0; e < COUNT(errors); e++) {
                char text[16];
                snprintf(text, sizeof(text), "%d", errors[e]);
                if (is_whole() || e == few % 4) try_scene("refused", calls[i].name, text, times[t]);
                few += e + 1 == COUNT(errors);
            }
}

static int print_calls(void)
{
    for (unsigned i = 0; i < COUNT(calls); i++)
        printf("%s:%s\n", calls[i].name, calls[i].use == NEEDED ? "needed" : "optional");
    return 0;
}

int main(int argc, char **argv)
{
    alarm(is_whole() ? 3600 : 240);
    if (argc == 2) return print_calls();
    if (argc > 4 && strcmp(argv[1], "refused") == 0) return live_refused(argv[2], argv[3], argv[4]);
    if (argc > 4 && strcmp(argv[1], "killed") == 0) return live_killed(argv[2], argv[4]);
    if (argc > 4 && strcmp(argv[1], "growing") == 0) return grow_refused();
    if (argc > 4 && strcmp(argv[1], "begun") == 0) return live_begun();
    if (argc > 4) return live_documented(argv[4]);
    setenv("HAKMEM_BACKGROUND", "on", 1);
    setenv("HAKMEM_PURGE_DELAY", "40", 1); /* a round of its thread every ROUND_MS */
    refuse_each();
    try_scene("growing", "a_refused_move_leaves_no_addresses", "0", "early");
    refuse_from_the_start();
    for (unsigned t = 0; t < COUNT(times); t++) {
        for (unsigned i = 0; i < COUNT(calls); i++)
            if (calls[i].use == OPTIONAL) try_scene("killed", calls[i].name, "0", times[t]);
        try_scene("allowed", "only_what_is_documented", "0", times[t]);
    }
    return done_testing();
}
