/* filters_test.c - the library in a process that has given itself a seccomp filter.
 *
 * Refused: each system call that the library knows is answered with an error from then on, before the first block or
 * with a heap of all sorts, threads and the library's own thread. The program lives: NULL comes with ENOMEM, what is
 * freed can be had again, free keeps errno, and the heap is whole.
 * Killed: calls that README.md does not list end the process, one at a time, and then all of them. Such a filter comes
 * while the library's thread sleeps: README.md promises no more.
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
#include "own_thread.h"
#include "table.h"

enum { WORKERS = 2, ROUNDS = 3, RUN_MOST = 64 << 20, PROGRAM_MAX = 128, LARGEST = 2 };

/* ---- the calls ---- */

enum use { NEEDED, OPTIONAL }; /* OPTIONAL: README.md does not ask that a filter allows it */
enum { ANY_ADVICE = 0 };

#define CALL(name, use) {#name, SYS_##name, ANY_ADVICE, use}
#define ADVICE(name, number, use) {#name, SYS_madvise, number, use}

static const struct call {
    const char *name;
    long number;
    uint32_t advice;
    enum use use;
} calls[] = {
    CALL(mmap, NEEDED),          CALL(munmap, NEEDED),      CALL(mprotect, NEEDED), CALL(mremap, NEEDED),
    CALL(madvise, NEEDED),       CALL(futex, NEEDED),       CALL(mincore, NEEDED),  CALL(prlimit64, NEEDED),
    CALL(prctl, NEEDED),         CALL(gettid, NEEDED),      CALL(getpid, NEEDED),   CALL(process_vm_readv, NEEDED),
    CALL(openat, OPTIONAL),      CALL(read, OPTIONAL),      CALL(close, OPTIONAL),  CALL(brk, NEEDED),
    CALL(clone, OPTIONAL),       CALL(clone3, OPTIONAL),    CALL(vfork, OPTIONAL),  CALL(close_range, OPTIONAL),
    CALL(rt_sigprocmask, OPTIONAL), CALL(tgkill, OPTIONAL), CALL(write, OPTIONAL),  CALL(msync, OPTIONAL),
    CALL(getresuid, OPTIONAL),   CALL(getresgid, OPTIONAL), CALL(capget, OPTIONAL), CALL(unshare, OPTIONAL),
    CALL(chdir, OPTIONAL),       CALL(readlinkat, OPTIONAL), CALL(sched_getattr, OPTIONAL),
    CALL(sched_setattr, OPTIONAL), CALL(sched_getaffinity, OPTIONAL), CALL(sched_setaffinity, OPTIONAL),
    CALL(fstat, OPTIONAL), CALL(fcntl, OPTIONAL), CALL(mq_getsetattr, OPTIONAL), CALL(rt_sigpending, OPTIONAL), CALL(rt_sigtimedwait, OPTIONAL),

    ADVICE(DONTNEED, MADV_DONTNEED, NEEDED),       ADVICE(DONTDUMP, MADV_DONTDUMP, NEEDED),
    ADVICE(HUGEPAGE, MADV_HUGEPAGE, NEEDED),       ADVICE(NOHUGEPAGE, MADV_NOHUGEPAGE, NEEDED),
    ADVICE(WIPEONFORK, 18, NEEDED),                ADVICE(COLLAPSE, 25, OPTIONAL), /* headers may not know them yet */
};

/* What the program itself needs beside. */
static const long own_calls[] = {SYS_exit, SYS_exit_group, SYS_clock_nanosleep, SYS_rt_sigprocmask};

static const struct call *call_of(const char *name)
{
    for (unsigned i = 0; i < COUNT(calls); i++)
        if (strcmp(calls[i].name, name) == 0) return &calls[i];
    _exit(7);
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

static void answer_number(long number, uint32_t answer)
{
    load(offsetof(struct seccomp_data, nr));
    answer_if((uint32_t)number, answer);
}

/* If the call is `number` and its argument is `value`. */
static void answer_argument(long number, unsigned argument, uint32_t value, uint32_t answer)
{
    load(offsetof(struct seccomp_data, nr));
    add(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 3);
    load(offsetof(struct seccomp_data, args) + argument * sizeof(uint64_t));
    answer_if(value, answer);
}

static void answer_call(const struct call *call, uint32_t answer)
{
    if (call->advice == ANY_ADVICE) answer_number(call->number, answer);
    else answer_argument(call->number, 2, call->advice, answer);
}

static void allow_documented(void)
{
    for (unsigned i = 0; i < COUNT(own_calls); i++) answer_number(own_calls[i], SECCOMP_RET_ALLOW);
    for (unsigned i = 0; i < COUNT(calls); i++) {
        const struct call *call = &calls[i];
        bool is_any = call->advice == ANY_ADVICE && (call->number == SYS_madvise || call->number == SYS_prctl);
        if (call->use == NEEDED && !is_any) answer_call(call, SECCOMP_RET_ALLOW);
    }
    answer_argument(SYS_prctl, 0, PR_GET_SECCOMP, SECCOMP_RET_ALLOW);
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
static long worker_thread[WORKERS];         /* their numbers; written before the first `done` */
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
    worker_thread[number] = syscall(SYS_gettid);
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
    long delay_ms = strtol(getenv("HAKMEM_PURGE_DELAY"), NULL, 10); /* of two rounds of the library's thread */
    for (unsigned round = 0; round < (is_whole() ? ROUNDS : 1u); round++) {
        if (with_workers) pause_us(delay_ms * 1000);
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

static bool is_of_program(long thread)
{
    bool is = thread == getpid();
    for (unsigned i = 0; i < WORKERS; i++) is |= thread == worker_thread[i];
    return is;
}

/* 0 = the library has none. */
static long find_own_thread(void)
{
    long found = 0;
    DIR *folder = opendir("/proc/self/task");
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        if (entry->d_name[0] != '.' && !is_of_program(atol(entry->d_name))) found = atol(entry->d_name);
    if (folder) closedir(folder);
    return found;
}

/* The library's own thread shall be there, too: it comes when there is something to do. Returns its number. */
static long grow_before(const char *when)
{
    long thread = 0;
    if (!is_late(when)) return 0;
    fill_all();
    exchange_all();
    if (!start_workers()) _exit(3);
    for (unsigned i = 0; i < 2500 && thread == 0; i++) {
        let_work();
        pause_us(10000);
        thread = find_own_thread();
    }
    if (thread == 0) _exit(5);
    return thread;
}

/* How often the thread has gone to sleep; -1 = it is gone. */
static long sleeps_of(long thread)
{
    char path[64], line[128];
    long sleeps = -1;
    snprintf(path, sizeof(path), "/proc/self/task/%ld/status", thread);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof(line), file)) (void)sscanf(line, "voluntary_ctxt_switches: %ld", &sleeps);
    if (file) fclose(file);
    return sleeps;
}

static bool is_asleep(long thread)
{
    char path[64];
    long call = -1;
    snprintf(path, sizeof(path), "/proc/self/task/%ld/syscall", thread);
    FILE *file = fopen(path, "r");
    bool asleep = file && fscanf(file, "%ld", &call) == 1 && call == SYS_futex;
    if (file) fclose(file);
    return asleep;
}

/* As the library's thread, if there is one, has just gone to sleep for a round. It may end meanwhile. */
static void await_sleep(long thread)
{
    long before = thread ? sleeps_of(thread) : -1;
    for (long now = before; now >= 0 && (now == before || !is_asleep(thread)); now = sleeps_of(thread)) pause_us(500);
}

static int live_refused(const char *name, const char *error, const char *when)
{
    (void)grow_before(when);
    answer_call(call_of(name), SECCOMP_RET_ERRNO | (uint32_t)strtoul(error, NULL, 10));
    if (!install(SECCOMP_RET_ALLOW)) _exit(4);
    live(is_late(when));
    if (is_late(when)) end_workers();
    return verdict();
}

/* Workers stay to the end: what libc calls when they leave is its own affair. */
static int live_killed(const char *name, const char *when)
{
    long thread = grow_before(when);
    answer_call(call_of(name), SECCOMP_RET_KILL_PROCESS);
    await_sleep(thread);
    if (!install(SECCOMP_RET_ALLOW)) _exit(4);
    live(is_late(when));
    return verdict();
}

static int live_documented(const char *when)
{
    long thread = grow_before(when);
    allow_documented();
    await_sleep(thread);
    if (!install(SECCOMP_RET_KILL_PROCESS)) _exit(4);
    live(is_late(when));
    if (is_late(when)) end_workers();
    return verdict();
}

/* Growing a mapping begins with a place for it elsewhere. */
static int grow_refused(void)
{
    const size_t size = (size_t)RUN_MOST + MIB;
    answer_number(SYS_mremap, SECCOMP_RET_ERRNO | EPERM);
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
    if (is_late(when) && no_own_thread_here())
        skip(no_own_thread_here(), "%s_%s_%s_%s", name, what, when, meaning);
    else
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
            answer_call(call_of(names[i]), SECCOMP_RET_ERRNO | EPERM);
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
    setenv("HAKMEM_PURGE_DELAY", "40", 1);
    refuse_each();
    try_scene("growing", "a_refused_move_leaves_no_addresses", "0", "early");
    refuse_from_the_start();
    setenv("HAKMEM_PURGE_DELAY", "200", 1); /* its thread sleeps long enough to be found asleep */
    for (unsigned t = 0; t < COUNT(times); t++) {
        for (unsigned i = 0; i < COUNT(calls); i++)
            if (calls[i].use == OPTIONAL) try_scene("killed", calls[i].name, "0", times[t]);
        try_scene("allowed", "only_what_is_documented", "0", times[t]);
    }
    return done_testing();
}
