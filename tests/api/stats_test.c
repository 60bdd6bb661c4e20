/* stats_test.c - hak_stats to the byte, hak_owns, hak_purge, hak_check, and the options by name.
 *
 * Single-threaded unless said: then every figure of hak_stats is exact.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "calls.h"
#include "regress/sanitized.h"

static struct edges sizes;

static struct hak_stats now(void)
{
    struct hak_stats s;
    if (!expect(hak_stats(&s) == 0, "hak_stats failed")) memset(&s, 0, sizeof s);
    expect(s.mapped == s.live + s.cached + s.free_in_slabs + s.dirty + s.purged,
           "mapped %zu, parts %zu + %zu + %zu + %zu + %zu", s.mapped, s.live, s.cached, s.free_in_slabs, s.dirty,
           s.purged);
    expect(s.live <= s.mapped && s.frees <= s.mallocs, "live %zu, mallocs %zu, frees %zu", s.live, s.mallocs, s.frees);
    return s;
}

/* One block: live moves by its usable size, mallocs and frees by one, and nothing else is left. */
static void one_block(void *p, struct hak_stats before, size_t size)
{
    if (!expect(p != NULL, "size %zu", size)) return;
    struct hak_stats held = now();
    size_t room = usable(p);
    expect(held.live - before.live == room, "size %zu: live moved by %zu, usable %zu", size,
           held.live - before.live, room);
    expect(held.mallocs - before.mallocs == 1, "size %zu: mallocs moved by %zu", size, held.mallocs - before.mallocs);
    expect(held.frees == before.frees, "size %zu: frees moved", size);
    free(p);
    struct hak_stats after = now();
    expect(after.live == before.live, "size %zu: live %zu became %zu", size, before.live, after.live);
    expect(after.frees - before.frees == 1, "size %zu: frees moved by %zu", size, after.frees - before.frees);
}

static void live_moves_by_the_usable_size(void)
{
    const struct calls *c = &call_sets()[0];
    for (size_t i = 0; i < sizes.count; i++) {
        size_t size = sizes.at[i];
        struct hak_stats before = now();
        one_block(c->alloc(size), before, size);
        before = now();
        one_block(c->zeroed(1, size), before, size);
        before = now();
        one_block(c->resize(NULL, size), before, size);
        for (size_t alignment = 8; alignment <= 4 * MIB; alignment *= 8) {
            before = now();
            one_block(c->rounded_aligned(alignment, size), before, size);
        }
    }
    claim("live_moves_by_exactly_the_usable_size_of_each_block");
}

static void realloc_is_counted(void)
{
    const struct calls *c = &call_sets()[0];
    struct hak_stats before = now();
    void *p = c->alloc(1);
    for (size_t i = 0; i < sizes.count; i++) {
        if (sizes.at[i] == 0) continue;
        p = c->resize(p, sizes.at[i]);
        struct hak_stats held = now();
        expect(held.live - before.live == usable(p), "to %zu: live moved by %zu, usable %zu", sizes.at[i],
               held.live - before.live, usable(p));
        expect(held.mallocs - before.mallocs == held.frees - before.frees + 1, "to %zu: %zu mallocs, %zu frees",
               sizes.at[i], held.mallocs - before.mallocs, held.frees - before.frees);
    }
    c->resize(p, 0);
    struct hak_stats after = now();
    expect(after.live == before.live, "live %zu became %zu", before.live, after.live);
    expect(after.mallocs - before.mallocs == after.frees - before.frees, "one block more or less");
    claim("live_follows_realloc_exactly");
}

static void refusals_count_nothing(void)
{
    const struct calls *c = &call_sets()[0];
    void *out;
    struct hak_stats before = now();
    for (size_t i = 0; i < COUNT(refused_sizes); i++) {
        expect(c->alloc(refused_sizes[i]) == NULL, "size %#zx", refused_sizes[i]);
        expect(c->posix_aligned(&out, 64, refused_sizes[i]) == ENOMEM, "size %#zx", refused_sizes[i]);
    }
    c->release(NULL);
    struct hak_stats after = now();
    expect(after.live == before.live && after.mallocs == before.mallocs && after.frees == before.frees,
           "live %zu, mallocs %zu, frees %zu moved", after.live - before.live, after.mallocs - before.mallocs,
           after.frees - before.frees);
    claim("refused_calls_and_free_of_NULL_count_nothing");
}

enum { MANY = 20000 };
static void *held_blocks[MANY];

/* `count` blocks of mixed sizes; returns their usable bytes. */
static size_t take_many(int count, size_t seed)
{
    const struct calls *c = &call_sets()[0];
    size_t random = seed, sum = 0;
    for (int i = 0; i < count; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        size_t size = (random >> 33) % (i % 100 == 0 ? 200000 : 1500);
        held_blocks[i] = c->alloc(size);
        sum += usable(held_blocks[i]);
    }
    return sum;
}

static void many_blocks_are_exact(void)
{
    const struct calls *c = &call_sets()[0];
    size_t seed = 42;
    diag("seed %zu", seed);
    struct hak_stats before = now();
    size_t sum = take_many(MANY, seed);
    struct hak_stats held = now();
    expect(held.live - before.live == sum, "live moved by %zu, usable %zu", held.live - before.live, sum);
    expect(held.mallocs - before.mallocs == MANY, "mallocs moved by %zu", held.mallocs - before.mallocs);
    for (int i = 0; i < MANY; i += 2) {
        sum -= usable(held_blocks[i]);
        c->release(held_blocks[i]);
    }
    struct hak_stats half = now();
    expect(half.live - before.live == sum, "live stands at %zu, usable %zu", half.live - before.live, sum);
    for (int i = 1; i < MANY; i += 2) c->release(held_blocks[i]);
    struct hak_stats after = now();
    expect(after.live == before.live, "live %zu became %zu", before.live, after.live);
    expect(after.frees - before.frees == MANY, "frees moved by %zu", after.frees - before.frees);
    expect(after.records > 0, "no records");
    claim("many_mixed_blocks_are_counted_exactly");
}

static void *free_the_lot(void *unused)
{
    for (int i = 0; i < MANY; i++) free(held_blocks[i]);
    return unused;
}

static void blocks_freed_by_another_thread_are_exact(void)
{
    pthread_t thread;
    memset(held_blocks, 0, sizeof held_blocks);
    pthread_create(&thread, NULL, free_the_lot, NULL); /* the first thread makes libc allocate for good */
    pthread_join(thread, NULL);
    struct hak_stats before = now();
    size_t sum = take_many(MANY, 43);
    struct hak_stats held = now();
    expect(held.live - before.live == sum, "live moved by %zu, usable %zu", held.live - before.live, sum);
    pthread_create(&thread, NULL, free_the_lot, NULL);
    pthread_join(thread, NULL);
    struct hak_stats after = now();
    expect(after.live == before.live, "live %zu became %zu", before.live, after.live);
    expect(after.mallocs - before.mallocs == after.frees - before.frees, "%zu mallocs, %zu frees",
           after.mallocs - before.mallocs, after.frees - before.frees);
    claim("blocks_freed_by_another_thread_are_counted_exactly");
}

static void purge_reaches_blocks_freed_by_another_thread(void)
{
    pthread_t thread;
    struct hak_stats before = now();
    (void)take_many(MANY, 44);
    pthread_create(&thread, NULL, free_the_lot, NULL);
    pthread_join(thread, NULL);
    size_t given = hak_purge();
    struct hak_stats after = now();
    expect(given > 0, "nothing was given back");
    expect(after.live == before.live, "live %zu became %zu", before.live, after.live);
    expect(after.cached == 0 && after.dirty == 0, "cached %zu, dirty %zu", after.cached, after.dirty);
    claim("hak_purge_reaches_blocks_freed_by_another_thread");
}

enum { TRADERS = 4, SLOTS = 64, LOOKS = 2000, PLENTY = 64 << 20 };
static void *_Atomic slot[SLOTS];
static _Atomic bool is_over;

/* Puts blocks in, and frees those that it finds there, mostly others'. */
static void *trade(void *seed)
{
    const struct calls *c = &call_sets()[0];
    for (size_t random = (size_t)(uintptr_t)seed; !is_over;) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        c->release(atomic_exchange(&slot[random >> 33 & (SLOTS - 1)], c->alloc((random >> 40) % 3000)));
    }
    return NULL;
}

static void figures_make_sense_while_threads_run(void)
{
    pthread_t trader[TRADERS];
    for (size_t i = 0; i < TRADERS; i++) pthread_create(&trader[i], NULL, trade, (void *)(uintptr_t)(i + 1));
    for (int i = 0; i < LOOKS; i++) {
        struct hak_stats s = now();
        expect(s.live < PLENTY && s.cached < PLENTY && s.free_in_slabs < PLENTY, "live %zu, cached %zu, in slabs %zu",
               s.live, s.cached, s.free_in_slabs);
    }
    is_over = true;
    for (size_t i = 0; i < TRADERS; i++) pthread_join(trader[i], NULL);
    for (size_t i = 0; i < SLOTS; i++) free(atomic_exchange(&slot[i], NULL));
    claim("figures_make_sense_while_threads_run");
}

enum { THREADS = 12 };
static pthread_barrier_t gate;

static void *allocate_and_hold(void *unused)
{
    void *volatile p = malloc(100);
    pthread_barrier_wait(&gate);
    pthread_barrier_wait(&gate);
    free(p);
    return unused;
}

static void threads_are_counted(void)
{
    pthread_t thread[THREADS];
    pthread_barrier_init(&gate, NULL, THREADS + 1);
    expect(now().threads == 1, "%zu before", now().threads);
    for (int i = 0; i < THREADS; i++) pthread_create(&thread[i], NULL, allocate_and_hold, NULL);
    pthread_barrier_wait(&gate);
    expect(now().threads == THREADS + 1, "%zu with %d more", now().threads, THREADS);
    pthread_barrier_wait(&gate);
    for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
    expect(now().threads == 1, "%zu after", now().threads);
    claim("threads_counts_the_living_that_allocate");
}

static size_t resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%*u %lu", &pages) != 1) bail_out("cannot read statm");
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* 64 MiB of one size, touched and freed: hak_purge gives back nine tenths of it at least. */
static void purge_gives_memory_back(size_t size, size_t (*purge)(void), const char *how)
{
    enum { TOTAL = 64 << 20 };
    size_t count = TOTAL / size;
    void **block = mmap(NULL, count * sizeof *block, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    size_t before = resident_bytes();
    for (size_t i = 0; i < count; i++) memset(block[i] = malloc(size), 1, size);
    size_t held = resident_bytes();
    expect(held > before + TOTAL / 10 * 9, "size %zu: RSS %zu became %zu", size, before, held);
    for (size_t i = 0; i < count; i++) free(block[i]);
    memset(block, 0, count * sizeof *block);
    size_t given = purge();
    struct hak_stats purged = now(); /* before reading /proc, which allocates */
    size_t after = resident_bytes();
    expect(given > 0, "size %zu: %s returned %zu", size, how, given);
    expect(SANITIZED || is_emulated() || after < before + TOTAL / 10 + count * sizeof *block, "size %zu: RSS %zu, %zu, %zu", size, before,
           held, after);
    expect(purged.dirty == 0, "size %zu: %zu dirty bytes after %s", size, purged.dirty, how);
    expect(purged.cached == 0, "size %zu: %zu cached bytes after %s", size, purged.cached, how);
    munmap(block, count * sizeof *block);
}

static size_t trim(void) { return (size_t)malloc_trim(0); }

static void purging_works(void)
{
    static const size_t purge_sizes[] = {16, 100, 1024, 8192, 40000, 100000, 3 << 20, 32 << 20};
    for (size_t i = 0; i < COUNT(purge_sizes); i++) purge_gives_memory_back(purge_sizes[i], hak_purge, "hak_purge");
    if (SANITIZED || is_emulated()) diag("RSS is not judged: an emulator or a sanitizer keeps something of all that was touched");
    claim("hak_purge_gives_all_free_memory_back");
    for (size_t i = 0; i < COUNT(purge_sizes); i++) purge_gives_memory_back(purge_sizes[i], trim, "malloc_trim");
    claim("malloc_trim_gives_all_free_memory_back_and_returns_1");
    hak_purge();
    ok(malloc_trim(0) == 0, "malloc_trim_returns_0_when_there_is_nothing_to_give");
}

static void owns_tells_starts_only(void)
{
    static char outside[64];
    char local[64];
    const struct calls *c = &call_sets()[0];
    for (size_t i = 0; i < sizes.count; i++) {
        char *p = c->alloc(sizes.at[i]);
        size_t room = usable(p), step = room > 4096 ? 997 : 1;
        expect(hak_owns(p), "size %zu", sizes.at[i]);
        for (size_t at = 1; at < room; at += step) expect(!hak_owns(p + at), "size %zu + %zu", sizes.at[i], at);
        for (size_t at = 8; at < room; at += room / 8 & ~(size_t)7 ? room / 8 & ~(size_t)7 : 8)
            expect(!hak_owns(p + at), "size %zu + %zu", sizes.at[i], at);
        c->release(p);
        (void)hak_owns(p); /* "may still be in use": either answer, no crash */
    }
    claim("hak_owns_says_yes_to_starts_of_live_blocks_only");
    void *mapping = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const void *strangers[] = {NULL, local, local + 16, outside, (void *)(uintptr_t)now, mapping, &errno, (void *)(uintptr_t)1,
        (void *)(uintptr_t)0x4141414141414141, (void *)(uintptr_t)0x7fffffffffff, (void *)(uintptr_t)0x800000000000,
        (void *)(uintptr_t)0xffff800000000000, (void *)UINTPTR_MAX, (void *)(uintptr_t)65536};
    for (size_t i = 0; i < COUNT(strangers); i++) {
        expect(!hak_owns(strangers[i]), "%p", strangers[i]);
        expect(hak_usable_size(strangers[i]) == 0, "%p", strangers[i]);
    }
    munmap(mapping, 1 << 20);
    claim("strangers_are_not_owned_and_have_no_usable_size");
    ok(malloc_usable_size(NULL) == 0, "malloc_usable_size_of_NULL_is_0");
}

struct option_case {
    const char *name;
    long usual, low, high;
};
static const struct option_case options[] = {{"purge_delay", 1000, 0, 600000}, {"batch_refill", 1, 0, 1}, {"log", 0, 0, 1},
                                             {"drain", 1, 0, 1},               {"failfast", 0, 0, 1}, {"thp", 0, 0, 2},
                                             {"verbose", 0, 0, 1},             {"show_stats", 0, 0, 1}};

static long option(const char *name)
{
    long value = -77;
    int status = hak_option_get(name, &value);
    expect(status == 0, "get %s: %d", name, status);
    return value;
}

/* EPERM is for options that are read at start only. */
static void expect_refused(const struct option_case *o, long value)
{
    long before = option(o->name);
    int status = hak_option_set(o->name, value);
    expect(status == ERANGE || status == EPERM, "set %s = %ld: %d", o->name, value, status);
    expect(option(o->name) == before, "%s became %ld", o->name, option(o->name));
}

static void expect_set(const struct option_case *o, long value)
{
    long before = option(o->name);
    int status = hak_option_set(o->name, value);
    expect(status == 0 || status == EPERM, "set %s = %ld: %d", o->name, value, status);
    expect(option(o->name) == (status == 0 ? value : before), "%s became %ld", o->name, option(o->name));
}

static void options_by_name(void)
{
    const struct calls *c = &call_sets()[0]; /* no compiler takes such a pair away */
    for (size_t i = 0; i < COUNT(options); i++) {
        const struct option_case *o = &options[i];
        expect(option(o->name) == o->usual, "%s is %ld at start", o->name, option(o->name));
        expect_set(o, o->low);
        c->release(c->alloc(100));
        expect_set(o, o->high);
        c->release(c->alloc(100));
        expect_set(o, o->usual);
        expect_refused(o, o->low - 1);
        expect_refused(o, o->high + 1);
        expect_refused(o, LONG_MAX);
        expect_refused(o, LONG_MIN);
    }
    claim("options_are_got_and_set_within_their_range");
    ok(hak_option_set("purge_delay", 5) == 0 && option("purge_delay") == 5 && hak_option_set("purge_delay", 1000) == 0,
       "purge_delay_can_be_set_while_running");
    claim("the_value_set_is_the_value_got");
    static const char *const unknown[] = {"", "purge", "purge_delay ", "PURGE_DELAY", "HAKMEM_PURGE_DELAY", "purge_delayx"};
    for (size_t i = 0; i < COUNT(unknown); i++) {
        long value = 31;
        expect(hak_option_get(unknown[i], &value) == ENOENT && value == 31, "get '%s'", unknown[i]);
        expect(hak_option_set(unknown[i], 1) == ENOENT, "set '%s'", unknown[i]);
    }
    claim("unknown_options_give_ENOENT");
    long value = 31;
    expect(hak_option_get(NULL, &value) == EINVAL && value == 31, "get NULL");
    expect(hak_option_get("purge_delay", NULL) == EINVAL, "get into NULL");
    expect(hak_option_set(NULL, 1) == EINVAL, "set NULL");
    claim("NULL_arguments_give_EINVAL");
}

/* Runs this program once more with one variable set; the child compares what it finds. */
static bool child_sees(const char *variable, const char *text, const char *name, long value)
{
    char number[32];
    snprintf(number, sizeof number, "%ld", value);
    pid_t pid = fork();
    if (pid == 0) {
        setenv(variable, text, 1);
        execl("/proc/self/exe", "stats_test", name, number, (char *)NULL);
        _exit(99);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void environment_sets_options(void)
{
    if (is_emulated()) {
        ok(true, "the_environment_sets_options_at_start # SKIP programs cannot be started here");
        return;
    }
    expect(child_sees("HAKMEM_PURGE_DELAY", "250", "purge_delay", 250), "250");
    expect(child_sees("HAKMEM_PURGE_DELAY", "0", "purge_delay", 0), "0");
    expect(child_sees("HAKMEM_PURGE_DELAY", "600000", "purge_delay", 600000), "600000");
    expect(!child_sees("HAKMEM_PURGE_DELAY", "250", "purge_delay", 251), "the child does not compare");
    expect(child_sees("HAKMEM_BATCH_REFILL", "0", "batch_refill", 0), "batch_refill");
    expect(child_sees("HAKMEM_DRAIN", "0", "drain", 0), "drain");
    expect(child_sees("HAKMEM_THP", "never", "thp", 2), "thp");
    expect(child_sees("HAKMEM_FAILFAST", "1", "failfast", 1), "failfast");
    claim("the_environment_sets_options_at_start");
}

static int check_option_as_child(char **argv)
{
    long value = -1;
    call_sets()[0].release(call_sets()[0].alloc(10));
    return hak_option_get(argv[1], &value) == 0 && value == strtol(argv[2], NULL, 10) ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 3) return check_option_as_child(argv);
    edges_fill(&sizes, 8 * MIB);
    if (!runs_on_hakmem()) return done_testing();
    live_moves_by_the_usable_size();
    realloc_is_counted();
    refusals_count_nothing();
    many_blocks_are_exact();
    threads_are_counted();
    blocks_freed_by_another_thread_are_exact();
    purge_reaches_blocks_freed_by_another_thread();
    figures_make_sense_while_threads_run();
    purging_works();
    owns_tells_starts_only();
    options_by_name();
    environment_sets_options();
    ok(hak_stats(NULL) == EINVAL, "hak_stats_of_NULL_gives_EINVAL");
    ok(hak_check(), "the_heap_is_sound_at_the_end");
    return done_testing();
}
