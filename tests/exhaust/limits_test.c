/* limits_test.c - a process at the limit that the system sets it: RLIMIT_AS, RLIMIT_DATA, RLIMIT_MEMLOCK.
 *
 * A scene is a program of its own. One or four threads take blocks of one sort until each has got NULL, free them and
 * take them again: as many must be there. So for one sort after the other, the largest first, and then for all once
 * more, since what one sort has had must come back to the others. Short by default; HAKMEM_EXHAUST_WHOLE=1 for all
 * limits.
 */
#include <pthread.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <linux/capability.h>
#include <sched.h>

#include "exhaust.h"

enum { THREADS_MAX = 4, STACK = 64 * 1024, CANNOT = 125 };

/* ---- a round ---- */

struct tally {
    size_t first[COUNT(sorts)];
    size_t again[COUNT(sorts)];
};

static unsigned threads;
static size_t smallest; /* smaller sorts would need too much real memory, or time */
static pthread_barrier_t all_here;
static struct tally tally[2][THREADS_MAX];

static void wait_for_all(void)
{
    if (threads > 1) pthread_barrier_wait(&all_here);
}

static void take_twice(const struct sort *sort, size_t *first, size_t *again)
{
    struct pile pile = take_all(sort, SIZE_MAX);
    *first = pile.count;
    wait_for_all(); /* each has met the limit */
    give_all(&pile, sort);
    wait_for_all();
    pile = take_all(sort, SIZE_MAX);
    *again = pile.count;
    wait_for_all();
    give_all(&pile, sort);
    wait_for_all();
}

static void *go_round(void *argument)
{
    unsigned number = (unsigned)(uintptr_t)argument;
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = COUNT(sorts); i-- > 0;) {
            struct tally *t = &tally[round][number];
            if (sorts[i].size >= smallest) take_twice(&sorts[i], &t->first[i], &t->again[i]);
        }
    return NULL;
}

static bool run_threads(void)
{
    pthread_t thread[THREADS_MAX];
    pthread_attr_t small;
    if (threads == 1) return !go_round(NULL);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, STACK);
    pthread_barrier_init(&all_here, NULL, threads);
    for (uintptr_t i = 0; i < threads; i++)
        if (pthread_create(&thread[i], &small, go_round, (void *)i) != 0) return false;
    for (unsigned i = 0; i < threads; i++) pthread_join(thread[i], NULL);
    return true;
}

/* ---- what it must come to ---- */

static size_t sum_of(unsigned round, unsigned sort, bool again)
{
    size_t sum = 0;
    for (unsigned i = 0; i < threads; i++)
        sum += again ? tally[round][i].again[sort] : tally[round][i].first[sort];
    return sum;
}

/* Blocks that a thread may have kept from the others when it met the limit: it has a slab that is not full, and a bin.
 * Where blocks of less than a unit were to grow, the last of those that did not lies in that bin, and holds a unit. */
static size_t kept_of(const struct sort *sort)
{
    enum { SLAB_REST = 8 };
    size_t unit = sort->how == BY_REALLOC ? 64 * KIB / sort->size : 0;
    return unit > SLAB_REST ? unit : SLAB_REST;
}

/* But for a part, since free units do not always lie as they did, and for what threads keep. */
static bool is_as_much(size_t count, size_t before, size_t part, const struct sort *sort)
{
    return count + 1 + before / part + (threads - 1) * kept_of(sort) >= before;
}

/* Of so many blocks, those that runs have place for: what is longer than a SuperSlab begins at one. */
static size_t in_runs(size_t count, size_t size)
{
    enum { SUPERSLAB = 2 << 20 };
    return size <= SUPERSLAB ? count : count * size / (size + (SUPERSLAB - size % SUPERSLAB) % SUPERSLAB);
}

static void judge(size_t bytes)
{
    size_t part = threads > 1 ? 10 : 50;
    for (unsigned i = 0; i < COUNT(sorts); i++) {
        const struct sort *sort = &sorts[i];
        size_t size = sort->size;
        size_t first = sum_of(0, i, false);
        size_t again = sum_of(0, i, true);
        size_t late = sum_of(1, i, false);
        size_t last = sum_of(1, i, true);
        if (size < smallest) continue;
        diag("size %zu: %zu blocks, %zu MiB; then %zu, %zu, %zu", size, first, first * size / MIB, again, late, last);
        expect(is_as_much(again, first, part, sort), "size %zu: %zu blocks, then %zu", size, first, again);
        expect(is_as_much(late, in_runs(first, size), part, sort), "size %zu: %zu blocks, later %zu", size, first, late);
        expect(is_as_much(last, late, part, sort), "size %zu: %zu blocks, at last %zu", size, late, last);
        if (size * 64 * threads <= bytes) expect(first * size >= bytes / 4, "size %zu: only %zu blocks", size, first);
    }
    expect(hak_check(), "hak_check finds the heap broken");
}

/* `bytes` is what the limit leaves. */
static int exhaust(size_t bytes, unsigned count)
{
    threads = count;
    smallest = bytes > 2048 * MIB ? 300000 : bytes > 128 * MIB ? 60000 : bytes > 32 * MIB ? 1000 : 0;
    if (!run_threads()) return CANNOT;
    judge(bytes);
    return verdict();
}

/* ---- scenes ---- */

/* Sets the limit for a library that has worked already, has its whole tag map, and a chunk of 1 GiB. */
static int limited_late(size_t bytes, unsigned count)
{
    if (!allocator_works(1)) return 3;
    if (!limit(RLIMIT_AS, address_bytes() + bytes)) return 4;
    return exhaust(bytes + 1024 * MIB, count);
}

/* Below what is used already nothing can be had but what is freed. */
static int limited_below_use(size_t bytes, unsigned count)
{
    enum { BLOCKS = 400, LARGEST = 2 }; /* these are too large */
    static void *block[COUNT(sorts)][BLOCKS];
    for (unsigned i = 0; i < COUNT(sorts) - LARGEST; i++)
        for (unsigned k = 0; k < (unsigned)BLOCKS >> i / 2; k++) block[i][k] = take_checked(&sorts[i]);
    threads = count;
    if (!limit(RLIMIT_AS, bytes)) return 5;
    for (unsigned i = 0; i < COUNT(sorts) - LARGEST; i++)
        for (unsigned k = 0; k < (unsigned)BLOCKS >> i / 2; k++) {
            give_checked(block[i][k], sorts[i].size);
            bool mapped = sorts[i].size > 4 * MIB || sorts[i].how == BY_REALLOC;
            block[i][k] = take_checked(&sorts[i]);
            expect(block[i][k] || mapped, "size %zu: block %u cannot be had again", sorts[i].size, k);
        }
    for (unsigned i = 0; i < COUNT(sorts) - LARGEST; i++)
        for (unsigned k = 0; k < (unsigned)BLOCKS >> i / 2; k++)
            if (block[i][k]) give_checked(block[i][k], sorts[i].size);
    expect(hak_check(), "hak_check finds the heap broken");
    return verdict();
}

static bool drop_lock_right(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2] = {{0, 0, 0}, {0, 0, 0}};
    return syscall(SYS_capset, &head, none) == 0;
}

/* Without a heap. */
static size_t locked_bytes(void)
{
    char text[4096] = "";
    int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t length = file >= 0 ? read(file, text, sizeof(text) - 1) : -1;
    if (file >= 0) close(file);
    const char *line = length > 0 ? strstr(text, "\nVmLck:") : NULL;
    return line ? strtoul(line + strlen("\nVmLck:"), NULL, 10) * KIB : 0;
}

static int lock_and_exhaust(int which, size_t bytes, unsigned count)
{
    if (!drop_lock_right() || !limit(RLIMIT_MEMLOCK, bytes)) return CANNOT;
    if (mlockall(which) != 0) return CANNOT;
    size_t held = locked_bytes();
    return exhaust(bytes > held ? bytes - held : 0, count);
}

/* What is taken later is locked: what goes beyond the limit is refused. */
static int locked(size_t bytes, unsigned count)
{
    return lock_and_exhaust(MCL_FUTURE, bytes, count);
}

/* What is there already, too: that alone, of program and libraries, is more than two MiB. */
static int locked_now(size_t bytes, unsigned count)
{
    if (!allocator_works(1)) return 3;
    return lock_and_exhaust(MCL_CURRENT | MCL_FUTURE, bytes, count);
}

/* ---- before the program starts ---- */

static bool no_preparation(size_t bytes)
{
    (void)bytes;
    return true;
}

static bool limit_addresses(size_t bytes) { return limit(RLIMIT_AS, bytes); }
static bool limit_data(size_t bytes) { return limit(RLIMIT_DATA, bytes); }

/* The library's chunks are then smaller than the limit of locked memory. */
static bool limit_chunks(size_t bytes)
{
    (void)bytes;
    return limit(RLIMIT_AS, 32 * MIB);
}

/* Such a system counts what is mapped, as RLIMIT_DATA does. Only this program reads that it is one: for all others on
 * the machine nothing changes. */
static bool never_overcommit(size_t bytes)
{
    char path[] = "/tmp/hakmem-exhaust-XXXXXX";
    int file = mkstemp(path);
    bool done = file >= 0 && write(file, "2\n", 2) == 2;
    if (file >= 0) close(file);
    done = done && unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
    done = done && mount(path, "/proc/sys/vm/overcommit_memory", NULL, MS_BIND, NULL) == 0;
    unlink(path);
    return done && limit(RLIMIT_DATA, bytes);
}

static const struct scene {
    const char *name;
    bool (*prepare)(size_t bytes);
    int (*run)(size_t bytes, unsigned count);
    size_t least, most; /* limits in MiB: each twice the one before */
    size_t most_short;  /* in the short form: each eight times the one before */
    unsigned threads_most;
} scenes[] = {
    {"the_address_space_is_limited", limit_addresses, exhaust, 16, 8192, 128, 4},
    {"the_address_space_is_limited_late", no_preparation, limited_late, 16, 8192, 0, 4},
    {"data_is_limited", limit_data, exhaust, 16, 8192, 16, 4},
    {"data_is_limited", limit_data, exhaust, 64, 0, 64, 1}, /* of the whole form, for the short one */
    {"nothing_is_overcommitted", never_overcommit, exhaust, 16, 8192, 16, 4},
    {"future_memory_is_locked", limit_chunks, locked, 2, 8, 2, 4},
    {"all_memory_is_locked", limit_chunks, locked_now, 8, 8, 8, 4},
    {"the_limit_is_below_what_is_used", no_preparation, limited_below_use, 1, 1, 1, 1},
};

/* The program again, below the limit. */
static int run_scene(const struct scene *s, size_t mib, unsigned count)
{
    char bytes[32], thread_count[32];
    char *arguments[] = {(char *)(uintptr_t) "limits_test", (char *)(uintptr_t)s->name, bytes, thread_count, NULL};
    snprintf(bytes, sizeof(bytes), "%zu", mib * MIB);
    snprintf(thread_count, sizeof(thread_count), "%u", count);
    pid_t pid = fork();
    if (pid < 0) bail_out("fork failed: errno %d", errno);
    if (pid == 0) {
        if (!s->prepare(mib * MIB)) _exit(CANNOT);
        execv("/proc/self/exe", arguments);
        _exit(127);
    }
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    return status;
}

static void try_scene(const struct scene *s, size_t mib, unsigned count)
{
    int status = run_scene(s, mib, count);
    if (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT)
        ok(true, "%s_to_%zu_MiB_%u_threads # SKIP not allowed here", s->name, mib, count);
    else
        ok(succeeded(status, s->name), "%s_to_%zu_MiB_%u_threads", s->name, mib, count);
}

static void try_scenes(const struct scene *s)
{
    size_t most = is_whole() ? s->most : s->most_short;
    for (size_t mib = s->least; mib <= most; mib *= is_whole() ? 2 : 8)
        for (unsigned count = 1; count <= s->threads_most; count += THREADS_MAX - 1) try_scene(s, mib, count);
}

int main(int argc, char **argv)
{
    alarm(is_whole() ? 3600 : 240);
    for (unsigned i = 0; argc > 3 && i < COUNT(scenes); i++)
        if (strcmp(argv[1], scenes[i].name) == 0)
            return scenes[i].run(strtoul(argv[2], NULL, 10), (unsigned)strtoul(argv[3], NULL, 10));
    for (unsigned i = 0; i < COUNT(scenes); i++) try_scenes(&scenes[i]);
    return done_testing();
}
