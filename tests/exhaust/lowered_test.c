/* lowered_test.c - a process that runs gets a limit of addresses (RLIMIT_AS), far below what the tag map takes.
 *
 * Its stack still grows, it can map memory, make threads and allocate, and no block is lost. So for each of libc's
 * calls that set a limit. A process with threads is only expected to go on: the README says what it cannot have.
 */
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "exhaust.h"

enum { BLOCKS = 20000, DEPTH = 200, FRAME = 16 * 1024, GIB_MOST = 20 };

static struct {
    unsigned char *p;
    size_t size;
} held[BLOCKS];

static size_t size_of(unsigned i)
{
    return i % 1000 == 0 ? (i / 1000 + 1) * MIB : i % 100 == 0 ? 100000 + i : i % 3000 + 1;
}

static void take_blocks(void)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        held[i].size = size_of(i);
        held[i].p = take(held[i].size);
        if (!held[i].p) bail_out("block %u", i);
        held[i].p[0] = held[i].p[held[i].size - 1] = (unsigned char)i;
    }
    for (unsigned i = 0; i < BLOCKS; i += 3) {
        give(held[i].p);
        held[i].p = NULL;
    }
}

static void give_blocks(void)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        const unsigned char *p = held[i].p;
        if (p) expect(p[0] == (unsigned char)i && p[held[i].size - 1] == (unsigned char)i, "block %u", i);
        give(held[i].p);
    }
}

static int grow_stack(int depth)
{
    volatile char frame[FRAME];
    frame[0] = (char)depth;
    return depth > 0 ? grow_stack(depth - 1) + frame[0] : frame[0];
}

static void *allocate(void *unused)
{
    void *p = take(MIB);
    expect(p, "a thread gets a block");
    give(p);
    return unused;
}

static void use_process(bool whole)
{
    pthread_t thread;
    pthread_attr_t attributes;
    void *p = take(1000);
    expect(p, "a small block");
    give(p);
    if (whole) {
        (void)grow_stack(DEPTH);
        p = take(200 * MIB);
        expect(p, "200 MiB");
        give(p);
        p = mmap(NULL, 100 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        expect(p != MAP_FAILED, "a mapping");
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, MIB);
        int failed = pthread_create(&thread, &attributes, allocate, NULL);
        expect(failed == 0, "a thread: %d", failed);
        if (failed == 0) pthread_join(thread, NULL);
    }
    give_blocks();
    take_blocks();
    give_blocks();
    expect(hak_check(), "all books are right");
}

static struct rlimit to_gib(unsigned gib)
{
    struct rlimit limit;
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = (rlim_t)gib << 30;
    return limit;
}

static unsigned gib;

static int by_setrlimit(void)
{
    struct rlimit limit = to_gib(gib);
    return setrlimit(RLIMIT_AS, &limit);
}

static int by_setrlimit64(void)
{
    struct rlimit64 limit;
    getrlimit64(RLIMIT_AS, &limit);
    limit.rlim_cur = (rlim64_t)gib << 30;
    return setrlimit64(RLIMIT_AS, &limit);
}

static int by_prlimit(void)
{
    struct rlimit limit = to_gib(gib);
    return prlimit(0, RLIMIT_AS, &limit, NULL);
}

static int by_prlimit_and_number(void)
{
    struct rlimit limit = to_gib(gib), before;
    return prlimit(getpid(), RLIMIT_AS, &limit, &before);
}

static int by_prlimit64(void)
{
    struct rlimit64 limit = {.rlim_cur = (rlim64_t)gib << 30, .rlim_max = RLIM64_INFINITY};
    return prlimit64(0, RLIMIT_AS, &limit, NULL);
}

static int (*const calls[])(void) = {by_setrlimit, by_setrlimit64, by_prlimit, by_prlimit_and_number, by_prlimit64};

static int wait_for(pid_t child)
{
    int status = -1;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    return status;
}

static int lower_and_use(void)
{
    for (unsigned i = 0; i < COUNT(calls); i++) {
        pid_t child = fork();
        if (child == 0) {
            gib = i % 2 ? GIB_MOST : 2;
            take_blocks();
            expect(calls[i]() == 0, "call %u: %d", i, errno);
            use_process(true);
            _exit(verdict());
        }
        expect(succeeded(wait_for(child), "a call"), "call %u", i);
    }
    return verdict();
}

static int errors_are_those_of_the_system(void)
{
    struct rlimit limit = {.rlim_cur = 2, .rlim_max = 1}, before = {0};
    errno = 0;
    expect(setrlimit(RLIMIT_AS, &limit) == -1 && errno == EINVAL, "errno %d", errno);
    errno = 0;
    expect(setrlimit((enum __rlimit_resource)1000, &limit) == -1 && errno == EINVAL, "errno %d", errno);
    errno = ERRNO_KEPT;
    expect(prlimit(0, RLIMIT_AS, NULL, &before) == 0 && before.rlim_cur > 0 && errno == ERRNO_KEPT, "errno %d", errno);
    expect(setrlimit(RLIMIT_AS, &before) == 0, "what is there");
    errno = 0;
    const struct rlimit *volatile nowhere = (const struct rlimit *)16;
    expect(setrlimit(RLIMIT_AS, nowhere) == -1 && errno == EFAULT, "errno %d", errno);
    errno = 0;
    expect(prlimit(INT32_MAX, RLIMIT_AS, NULL, &before) == -1 && errno == ESRCH, "errno %d", errno);
    return verdict();
}

static unsigned long gib_mapped(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (!file || fscanf(file, "%lu", &pages) != 1) bail_out("statm: %d", errno);
    fclose(file);
    return pages * (unsigned long)getpagesize() >> 30;
}

/* The reserved addresses stay. */
static int a_refused_limit_changes_nothing(void)
{
    struct rlimit limit = {.rlim_cur = (rlim_t)4 << 30, .rlim_max = (rlim_t)1 << 30};
    take_blocks();
    unsigned long before = gib_mapped();
    expect(before >= 16, "%lu GiB", before);
    expect(setrlimit(RLIMIT_AS, &limit) == -1 && errno == EINVAL, "errno %d", errno);
    expect(gib_mapped() == before, "%lu GiB", gib_mapped());
    limit = (struct rlimit){.rlim_cur = RLIM_INFINITY >> 8, .rlim_max = RLIM_INFINITY >> 8};
    expect(setrlimit(RLIMIT_AS, &limit) == 0, "errno %d", errno);
    if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0) bail_out("setresuid: %d", errno);
    limit = (struct rlimit){.rlim_cur = (rlim_t)4 << 30, .rlim_max = RLIM_INFINITY};
    expect(setrlimit(RLIMIT_AS, &limit) == -1 && errno == EPERM, "errno %d", errno);
    expect(gib_mapped() == before, "%lu GiB", gib_mapped());
    expect(getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY >> 8, "%lx", limit.rlim_cur);
    return verdict();
}

/* The child of vfork() has the parent's memory, and limits of its own. */
static int a_child_in_our_memory_limits_itself(void)
{
    take_blocks();
    gib = 2;
    pid_t child = vfork();
    if (child == 0) _exit(by_setrlimit() == 0 ? 0 : 1);
    expect(succeeded(wait_for(child), "the child"), "it limits itself");
    use_process(true);
    return verdict();
}

static pthread_barrier_t both_here;

static void *work(void *unused)
{
    pthread_barrier_wait(&both_here);
    for (unsigned i = 0; i < 20000; i++) {
        void *p = take(i % 5000);
        expect(p, "block %u", i);
        give(p);
    }
    return unused;
}

static int a_process_with_threads_goes_on(void)
{
    pthread_t thread;
    take_blocks();
    pthread_barrier_init(&both_here, NULL, 2);
    if (pthread_create(&thread, NULL, work, NULL) != 0) return 1;
    pthread_barrier_wait(&both_here);
    gib = 4;
    expect(by_setrlimit() == 0, "errno %d", errno);
    pthread_join(thread, NULL);
    use_process(false);
    return verdict();
}

static const struct {
    const char *name;
    int (*run)(void);
} scenes[] = {
    {"a_limit_below_what_is_reserved_harms_nobody", lower_and_use},
    {"errors_are_those_of_the_system", errors_are_those_of_the_system},
    {"a_refused_limit_changes_nothing", a_refused_limit_changes_nothing},
    {"a_child_in_our_memory_limits_itself", a_child_in_our_memory_limits_itself},
    {"a_process_with_threads_goes_on", a_process_with_threads_goes_on},
};

int main(int argc, char **argv)
{
    alarm(300);
    if (argc > 1) return scenes[strtoul(argv[1], NULL, 10)].run();
    if (!runs_on_hakmem()) return done_testing();
    for (unsigned i = 0; i < COUNT(scenes); i++) {
        char number[16];
        snprintf(number, sizeof(number), "%u", i);
        ok(succeeded(run_self_with(number, NULL), scenes[i].name), "%s", scenes[i].name);
    }
    return done_testing();
}
