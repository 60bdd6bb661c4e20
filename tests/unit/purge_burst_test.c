/* purge_burst_test.c - memory goes back in a burst of frees, in case the program falls silent then; who takes it again
 * pays for it ever less often.
 */
#include "dirty.h"

enum { BURST_BLOCKS = 4000 };

static void *burst_block[BURST_BLOCKS];

static void take_blocks(size_t size)
{
    for (unsigned i = 0; i < BURST_BLOCKS; i++) burst_block[i] = do_malloc(size);
}

static void free_in_a_burst(void)
{
    for (unsigned i = 0; i < BURST_BLOCKS; i++) do_free(burst_block[i]);
}

static void falls_silent(size_t size)
{
    take_blocks(size);
    free_in_a_burst();
    require(dirty_units() <= BURST_UNITS_MIN + 16, "%zu units", dirty_units());
    require_sound();
}

static void a_program_that_falls_silent_keeps_little(void)
{
    falls_silent(5000);
}

static void a_program_that_falls_silent_keeps_few_pools(void)
{
    falls_silent(30000);
}

static void a_program_that_falls_silent_keeps_few_runs(void)
{
    falls_silent(100000);
}

static void mix(uint64_t seed)
{
    for (unsigned i = BURST_BLOCKS; i > 1; i--) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        unsigned other = (unsigned)((seed >> 33) % i);
        void *p = burst_block[i - 1];
        burst_block[i - 1] = burst_block[other];
        burst_block[other] = p;
    }
}

static size_t held_units(void)
{
    struct arena_usage usage;
    arena_usage(&usage);
    return usage.units - usage.free_units + usage.dirty_units;
}

/* The last blocks of each class lie in slabs that have nothing else. */
static void blocks_that_are_freed_last_keep_no_slabs(void)
{
    static const size_t sizes[] = {2500, 9000, 12000, 16000, 20000, 24000, 28000, 32000};
    for (unsigned i = 0; i < BURST_BLOCKS; i++) burst_block[i] = do_malloc(sizes[i % 8]);
    mix(1);
    free_in_a_burst();
    require(held_units() <= BURST_UNITS_MIN + 16, "%zu units", held_units());
    for (unsigned i = 0; i < 8; i++)
        require(my_heap()->class[class_of(sizes[i])].empty == 0, "%zu bytes: a slab stays", sizes[i]);
    require_sound();
    for (unsigned i = 0; i < 8; i++) do_free(do_malloc(sizes[i]));
    require(!my_heap()->class[class_of(9000)].torn_down, "a malloc ends it");
}

/* Whose blocks come back soon keeps them where they are. */
static void a_program_that_takes_them_again_fills_its_bins(void)
{
    for (unsigned round = 0; round < 3; round++) {
        take_blocks(9000);
        free_in_a_burst();
    }
    require(bin_left(&my_heap()->front.bin[class_of(9000)]) > 0);
    require(!my_heap()->class[class_of(9000)].torn_down);
    require_sound();
}

/* What large blocks lose when they shrink, or where they move, is as good as freed. */
static void shrinking_large_blocks_are_a_burst(void)
{
    void *p[10];
    for (unsigned i = 0; i < array_length(p); i++) p[i] = do_malloc(60 * MIB);
    for (unsigned i = 0; i < array_length(p); i++) p[i] = do_realloc(p[i], MIB);
    require(dirty_units() <= BURST_UNITS_MIN + 16, "%zu units", dirty_units());
    for (unsigned i = 0; i < array_length(p); i++) do_free(p[i]);
    require_sound();
}

static void a_large_block_that_grows_out_of_the_arena_is_a_burst(void)
{
    void *p = do_malloc(50 * MIB);
    p = do_realloc(p, 300 * MIB);
    require(p && dirty_units() <= BURST_UNITS_MIN + 16, "%zu units", dirty_units());
    do_free(p);
    require_sound();
}

/* There no owner is ever the thread's own: each free takes the slow way. */
static void start_in_a_window(void)
{
    fake.address_limit = 1024 * MIB;
    require(tagmap_init() && tagmap.windowed);
}

static void it_is_seen_under_a_limit_of_addresses(void)
{
    start_in_a_window();
    falls_silent(5000);
}

static void so_it_is_where_blocks_are_in_pools(void)
{
    start_in_a_window();
    falls_silent(30000);
}

/* A visit stops when its time is over, and what is left then comes with the next ones. */
static void no_free_takes_long(void)
{
    uint64_t longest = 0;
    fake.purge_ns = STEP_NS / 16;
    take_blocks(30000);
    for (unsigned i = 0; i < BURST_BLOCKS; i++) {
        uint64_t before = fake.now_ns;
        do_free(burst_block[(i * 7) % BURST_BLOCKS]);
        if (longest < fake.now_ns - before) longest = fake.now_ns - before;
    }
    require(longest <= STEP_NS, "%lu us", longest / 1000);
    require(dirty_units() <= BURST_UNITS_MIN + 16, "%zu units", dirty_units());
    require_sound();
}

static void where_the_system_is_slow_little_is_kept_as_well(void)
{
    fake.purge_ns = 100 * STEP_NS;
    falls_silent(30000);
}

static void where_the_system_is_slow_large_blocks_go_as_they_are_freed(void)
{
    void *p[40];
    fake.purge_ns = 100 * STEP_NS;
    for (unsigned i = 0; i < 40; i++) p[i] = do_malloc(8 * MIB);
    for (unsigned i = 0; i < 40; i++) memset(p[i], 1, 8 * MIB);
    for (unsigned i = 0; i < 40; i++) do_free(p[i]);
    require(dirty_units() <= BURST_UNITS_MIN + 16, "%zu units", dirty_units());
    require_sound();
}

static void memory_that_is_taken_again_is_kept(void)
{
    take_blocks(30000);
    free_in_a_burst();
    uint64_t purged = fake.calls[FAKE_PURGE];
    for (unsigned i = 0; i < 100; i++) {
        take_blocks(30000);
        free_in_a_burst();
    }
    require(fake.calls[FAKE_PURGE] == purged, "in a pause");
    for (unsigned i = 0; i < 4; i++) {
        fake.now_ms += BURST_PAUSE_MS << BURST_PAUSES_MAX;
        take_blocks(30000);
        free_in_a_burst();
    }
    require(fake.calls[FAKE_PURGE] > purged, "for ever");
    require_sound();
}

static void pauses_grow(void)
{
    uint64_t purged_in[3] = {0};
    for (unsigned i = 0; i < 3 * 50; i++) {
        uint64_t before = fake.calls[FAKE_PURGE];
        require(option_set(OPTION_purge_delay, BURST_DELAY_MAX_MS)); /* nothing by date */
        take_blocks(30000);
        free_in_a_burst();
        fake.now_ms += 400;
        purged_in[i / 50] += fake.calls[FAKE_PURGE] != before;
    }
    require(purged_in[0] >= 2 && purged_in[0] <= 3, "%lu", purged_in[0]);
    require(purged_in[2] <= 1, "%lu %lu", purged_in[1], purged_in[2]);
}

/* The visit may be the last one. */
static void a_burst_ends_in_the_midst_of_a_pass(void)
{
    take_blocks(30000);
    for (unsigned i = 0; i < BURST_BLOCKS; i++) {
        store_relaxed(&arena.burst_units, 0);
        do_free(burst_block[i]);
    }
    require(dirty_units() > 1000);
    store_relaxed(&arena.burst_units, dirty_units());
    store_relaxed(&stage, STAGE_SPARSE);
    (void)reclaim_poll();
    require(dirty_units() <= BURST_UNITS_KEPT, "%zu units", dirty_units());
}

/* 115 MiB twice a minute: taking them again costs a hundredth of a percent, keeping them costs all of them. */
static void what_is_taken_again_late_goes_back(void)
{
    for (unsigned i = 0; i < 20; i++) {
        require(option_set(OPTION_purge_delay, BURST_DELAY_MAX_MS));
        falls_silent(30000);
        fake.now_ms += 30000;
    }
    require(burst_purge.pauses == 0, "%u", burst_purge.pauses);
}

/* A churn that takes 16 MiB again, and then everything is freed. */
static void a_pause_keeps_what_was_taken_again(void)
{
    take_blocks(30000);
    for (unsigned i = BURST_BLOCKS / 4; i < BURST_BLOCKS; i++) do_free(burst_block[i]);
    require(burst_purge.units > 1000);
    burst_purge.units = 256;
    for (unsigned i = BURST_BLOCKS / 4; i < BURST_BLOCKS; i++) burst_block[i] = do_malloc(30000);
    free_in_a_burst();
    require(burst_purge.pauses == 1);
    require(dirty_units() <= BURST_UNITS_MIN + 256, "%zu units", dirty_units());
    require(dirty_units() >= 256, "%zu units", dirty_units());
}

/* A program that goes round fast for a while, and slowly from then on. */
static void pauses_shrink(void)
{
    for (unsigned i = 0; i < 20; i++) {
        take_blocks(30000);
        free_in_a_burst();
        fake.now_ms += BURST_PAUSE_MS / 4;
    }
    require(burst_purge.pauses > 0);
    for (unsigned i = 0; i < 2 * BURST_PAUSES_MAX; i++) {
        fake.now_ms += BURST_PAUSE_MS << BURST_PAUSES_MAX;
        falls_silent(30000);
    }
    require(burst_purge.pauses == 0, "%u", burst_purge.pauses);
}

/* One of twenty large blocks is replaced by another. */
static void a_large_block_that_is_replaced_is_no_burst(void)
{
    void *p[20];
    for (unsigned i = 0; i < 20; i++) p[i] = do_malloc(20 * MIB);
    for (unsigned i = 0; i < 200; i++) {
        do_free(p[i % 20]);
        p[i % 20] = do_malloc(20 * MIB);
    }
    require(burst_purge.units == 0 && burst_purge.pauses == 0);
}

static void who_wants_memory_for_long_keeps_it(void)
{
    require(option_set(OPTION_purge_delay, BURST_DELAY_MAX_MS + 1));
    take_blocks(30000);
    free_in_a_burst();
    require(fake.calls[FAKE_PURGE] == 0);
}

static void a_refusal_ends_the_burst(void)
{
    take_blocks(30000);
    fake_fail(FAKE_PURGE, 1, FAKE_FOR_GOOD);
    free_in_a_burst();
    require(dirty_units() >= 1000);
    fake_fail_nothing();
    fake.now_ms += 1000;
    (void)hak_purge();
    require(dirty_units() == 0);
    require_sound();
}

/* As of a buffer that the program has locked, and freed so. */
static void what_cannot_go_holds_nobody_else_when_all_is_left(void)
{
    require(option_set(OPTION_purge_delay, BURST_DELAY_MAX_MS + 1)); /* no burst */
    take_blocks(60000);
    free_in_a_burst();
    heap_release_runs(my_heap());
    require(dirty_units() > 2 * BURST_UNITS_MIN, "%zu units", dirty_units());
    fake_fail(FAKE_PURGE, 1, 1);
    arena_purge_left(fake.now_ms);
    require(fake.failures[FAKE_PURGE] == 1);
    require(dirty_units() <= BURST_UNITS_KEPT + SUPERSLAB_UNITS, "%zu units", dirty_units());
    require_sound();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_program_that_falls_silent_keeps_little),
        TEST(a_program_that_falls_silent_keeps_few_pools),
        TEST(a_program_that_falls_silent_keeps_few_runs),
        TEST(blocks_that_are_freed_last_keep_no_slabs),
        TEST(a_program_that_takes_them_again_fills_its_bins),
        TEST(shrinking_large_blocks_are_a_burst),
        TEST(a_large_block_that_grows_out_of_the_arena_is_a_burst),
        TEST(it_is_seen_under_a_limit_of_addresses),
        TEST(so_it_is_where_blocks_are_in_pools),
        TEST(no_free_takes_long),
        TEST(where_the_system_is_slow_little_is_kept_as_well),
        TEST(where_the_system_is_slow_large_blocks_go_as_they_are_freed),
        TEST(memory_that_is_taken_again_is_kept),
        TEST(pauses_grow),
        TEST(a_burst_ends_in_the_midst_of_a_pass),
        TEST(what_is_taken_again_late_goes_back),
        TEST(a_pause_keeps_what_was_taken_again),
        TEST(pauses_shrink),
        TEST(a_large_block_that_is_replaced_is_no_burst),
        TEST(who_wants_memory_for_long_keeps_it),
        TEST(a_refusal_ends_the_burst),
        TEST(what_cannot_go_holds_nobody_else_when_all_is_left),
    };
    return run_unit_tests(tests);
}
