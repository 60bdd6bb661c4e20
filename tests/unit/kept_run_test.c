/* kept_run_test.c - the runs that a thread has freed last: who gets them again, and when they go. */
#include "unit.h"

#include <pthread.h>

enum { TWO = 100 * 1000, ALSO_TWO = 120 * 1000, FOUR = 200 * 1000 }; /* bytes; units */
enum { SIX = 6 * UNIT_SIZE, ALL = KEPT_UNITS * UNIT_SIZE - 1, MORE = ALL + 2 };

static size_t free_units_now(void)
{
    struct arena_usage usage;
    arena_usage(&usage);
    return usage.free_units;
}

static struct hak_stats figures(void)
{
    struct hak_stats stats;
    require(hak_stats(&stats) == 0);
    require(stats.mapped == stats.live + stats.cached + stats.free_in_slabs + stats.dirty + stats.purged);
    return stats;
}

static uint32_t kept_units(void)
{
    return my_heap()->kept_units;
}

/* The thread has a heap, and no block. */
static void start(void)
{
    do_free(do_malloc(1));
}

static void a_freed_run_comes_again(void)
{
    start();
    unsigned char *p = do_malloc(TWO);
    size_t before = free_units_now();
    memset(p, 1, TWO);
    do_free(p);
    require(free_units_now() == before, "the arena has not got it");
    require_sound();
    unsigned char *q = do_malloc(ALSO_TWO);
    require(q == p && hak_usable_size(q) >= ALSO_TWO);
    memset(q, 2, ALSO_TWO);
    require(do_malloc(TWO) != p, "once");
    require_sound();
}

static void a_run_of_another_length_does_not(void)
{
    start();
    void *p = do_malloc(TWO);
    do_free(p);
    void *q = do_malloc(FOUR);
    require(q != p && kept_units() == 2);
    size_t before = free_units_now();
    do_free(q);
    require(kept_units() == 6 && free_units_now() == before, "both are kept");
    require(do_malloc(TWO) == p && do_malloc(FOUR) == q && kept_units() == 0);
    require_sound();
}

static void the_latest_comes_first_and_the_oldest_goes(void)
{
    enum { RUNS = KEPT_RUNS + 2 };
    void *p[RUNS];
    start();
    for (unsigned i = 0; i < RUNS; i++) p[i] = do_malloc(TWO);
    size_t before = free_units_now();
    for (unsigned i = 0; i < RUNS; i++) do_free(p[i]);
    require(kept_units() == KEPT_RUNS * 2 && free_units_now() == before + (RUNS - KEPT_RUNS) * 2);
    for (unsigned i = RUNS; i-- > RUNS - KEPT_RUNS;) require(do_malloc(TWO) == p[i], "block %u", i);
    require(kept_units() == 0 && free_units_now() == before + (RUNS - KEPT_RUNS) * 2);
    require_sound();
}

static void any_place_can_be_taken_from(void)
{
    enum { RUNS = KEPT_RUNS - 1 };
    start();
    for (unsigned other = 0; other < RUNS; other++) {
        void *p[RUNS];
        for (unsigned i = 0; i < RUNS; i++) p[i] = do_malloc(i == other ? FOUR : TWO);
        for (unsigned i = 0; i < RUNS; i++) do_free(p[i]);
        require(kept_units() == (RUNS + 1) * 2 && my_heap()->kept_count == RUNS);
        require(do_malloc(FOUR) == p[other] && kept_units() == (RUNS - 1) * 2);
        for (unsigned i = RUNS; i-- > 0;) require(i == other || do_malloc(TWO) == p[i], "block %u", i);
        require(kept_units() == 0);
        require_sound();
    }
}

static void a_longer_one_is_kept_where_it_is_wanted_again(void)
{
    start();
    void *p = do_malloc(SIX);
    do_free(p);
    require(kept_units() == 0, "once is chance");
    require(do_malloc(SIX) == p);
    do_free(p);
    require(kept_units() == 6);
    for (unsigned i = 0; i < 5; i++) {
        require(do_malloc(SIX) == p && kept_units() == 0);
        do_free(p);
    }
    void *q = do_malloc(FOUR);
    do_free(q);
    require(kept_units() == 10, "shorter ones change nothing");
    void *all = do_malloc(ALL);
    require(kept_units() == 4, "another length is wanted");
    do_free(all);
    do_free(do_malloc(SIX));
    require(kept_units() == 4);
    require(do_malloc(FOUR) == q);
    require_sound();
}

static void a_long_one_displaces_many(void)
{
    start();
    do_free(do_malloc(ALL));
    void *all = do_malloc(ALL), *p[KEPT_RUNS];
    for (unsigned i = 0; i < KEPT_RUNS; i++) p[i] = do_malloc(TWO);
    for (unsigned i = 0; i < KEPT_RUNS; i++) do_free(p[i]);
    size_t before = free_units_now();
    do_free(all);
    require(kept_units() == KEPT_UNITS && my_heap()->kept_count == 1 && free_units_now() == before + KEPT_RUNS * 2);
    require_sound();
    require(do_malloc(ALL) == all);
    do_free(all);
    do_free(do_malloc(TWO));
    require(kept_units() == 2 && free_units_now() >= before + KEPT_UNITS);
    require_sound();
}

static void longer_runs_and_mappings_are_not_kept(void)
{
    start();
    size_t before = free_units_now();
    for (unsigned i = 0; i < 5; i++) do_free(do_malloc(MORE));
    require(kept_units() == 0 && free_units_now() >= before);
    do_free(malloc_mapping(TWO));
    require(kept_units() == 0);
    require_sound();
}

static void calloc_does_not_touch_what_nobody_has(void)
{
    start();
    unsigned char *p = do_malloc(TWO);
    memset(p, 0xee, hak_usable_size(p));
    do_free(p);
    unsigned char *q = do_calloc(1, ALSO_TWO);
    require(q != p && reads_as_zero(q, hak_usable_size(q)));
    require(do_malloc(TWO) == p);
    require_sound();
}

static void calloc_leaves_none(void)
{
    start();
    size_t before = free_units_now();
    do_free(do_calloc(1, TWO));
    require(kept_units() == 0 && free_units_now() >= before);
    void *p = do_malloc(TWO);
    do_free(p);
    require(kept_units() == 2 && do_malloc(TWO) == p);
    require_sound();
}

static void calloc_clears_what_was_kept_before(void)
{
    start();
    unsigned char *p = do_malloc(TWO), *q = do_malloc(FOUR);
    memset(p, 0xee, hak_usable_size(p));
    do_free(p);
    do_free(q);
    heap_release_runs(my_heap());
    unsigned char *r = do_calloc(1, TWO);
    require(r == p && reads_as_zero(r, hak_usable_size(r)));
    require_sound();
}

static void it_serves_aligned_blocks_up_to_a_unit(void)
{
    start();
    void *p = do_malloc(TWO);
    do_free(p);
    require(do_aligned(UNIT_SIZE, TWO) == p);
    do_free(p);
    void *q = do_aligned(2 * UNIT_SIZE, TWO);
    require(q != p && (uintptr_t)q % (2 * UNIT_SIZE) == 0);
    require_sound();
}

static void a_double_free_is_seen(void)
{
    start();
    void *p = do_malloc(TWO);
    do_free(p);
    require_abort("double free", do_free(p));
    require_abort("double free", do_free((char *)p + UNIT_SIZE));
    require(hak_usable_size(p) == 0);
}

static void counters_are_exact(void)
{
    start();
    struct hak_stats before = figures();
    void *p = do_malloc(TWO);
    require(figures().live == before.live + hak_usable_size(p));
    do_free(p);
    require(figures().live == before.live && figures().dirty == before.dirty + 2 * UNIT_SIZE);
    require(figures().free_in_slabs == before.free_in_slabs);
    for (unsigned i = 0; i < 5; i++) do_free(do_malloc(ALSO_TWO));
    require(figures().mallocs == before.mallocs + 6 && figures().frees == before.frees + 6);
    require(figures().live == before.live);
    require(hak_purge() >= 2 * UNIT_SIZE && figures().dirty == 0 && figures().live == 0);
    require(figures().mallocs == before.mallocs + 6 && figures().frees == before.frees + 6);
}

/* ---- when it goes ---- */

static void trim(void)
{
    add_relaxed(&trim_epoch, 1);
    while (my_heap()->trimmed != trim_epoch) heap_follow_duties(my_heap());
}

static void an_idle_run_goes_with_a_trim(void)
{
    start();
    trim();
    do_free(do_malloc(TWO));
    do_free(do_malloc(TWO));
    trim();
    require(kept_units() != 0, "it was used since the last");
    trim();
    require(kept_units() == 0);
    require_sound();
}

static void who_only_takes_and_frees_runs_follows_a_trim(void)
{
    start();
    trim();
    do_free(do_malloc(FOUR));
    for (unsigned turn = 0; turn < 2; turn++) {
        add_relaxed(&trim_epoch, 1);
        for (unsigned i = 0; i < 40; i++) do_free(do_malloc(TWO));
        require(my_heap()->trimmed == trim_epoch, "turn %u", turn);
    }
    add_relaxed(&cache_epoch, 1);
    for (unsigned i = 0; i < 40; i++) do_free(do_malloc(TWO));
    require(my_heap()->epoch == cache_epoch && kept_units() == 2, "and gives all away when it is asked to");
    require_sound();
}

static void it_goes_with_the_bins(void)
{
    start();
    size_t before = free_units_now();
    do_free(do_malloc(TWO));
    do_free(do_malloc(FOUR));
    heap_flush_bins(my_heap());
    require(kept_units() == 0 && free_units_now() >= before);
    do_free(do_malloc(TWO));
    require(hak_purge() >= 2 * UNIT_SIZE && kept_units() == 0);
    require_sound();
}

static void it_goes_before_a_long_run_comes(void)
{
    start();
    size_t before = free_units_now();
    do_free(do_malloc(TWO));
    void *p = do_malloc(MORE);
    require(kept_units() != 0);
    void *q = do_malloc(3 << 20);
    require(kept_units() == 0, "it would keep a SuperSlab from the long run");
    do_free(p);
    do_free(q);
    require(free_units_now() >= before);
    require_sound();
}

/* Others hold the arena's lock. Who recalls this thread meanwhile takes what it keeps. */
static unsigned waited;
static uint32_t kept_while_waiting;

static void recall_this_one(void)
{
    waited++;
    kept_while_waiting += kept_units();
    store_relaxed(&arena_lock.word, 0);
}

static void nothing_is_kept_while_it_waits_to_release_them(void)
{
    void *p[3];
    start();
    void *more = do_malloc(MORE * 3);
    do_free(more); /* what it takes to have one, but for the arena's lock */
    for (unsigned i = 0; i < array_length(p); i++) p[i] = do_malloc(TWO);
    for (unsigned i = 0; i < array_length(p); i++) do_free(p[i]);
    require(kept_units() == array_length(p) * 2);
    fake.while_waiting = recall_this_one;
    store_relaxed(&arena_lock.word, 1 << 30 | LOCK_WAITED);
    more = do_malloc(MORE * 3);
    fake.while_waiting = NULL;
    require(waited > 0 && kept_while_waiting == 0, "%u waits, %u units kept", waited, kept_while_waiting);
    require(kept_units() == 0 && more);
    do_free(more);
    require_sound();
}

static void none_is_kept_without_a_delay(void)
{
    option_set(OPTION_purge_delay, 0);
    start();
    do_free(do_malloc(TWO));
    require(kept_units() == 0);
}

static void less_is_kept_beside_a_limit(void)
{
    start();
    bin_bound(512 * 1024);
    void *p[4], *four = do_malloc(FOUR);
    for (unsigned i = 0; i < 4; i++) p[i] = do_malloc(TWO);
    for (unsigned i = 0; i < 4; i++) do_free(p[i]);
    require(kept_units() == 4 && do_malloc(TWO) == p[3] && do_malloc(TWO) == p[2] && kept_units() == 0);
    do_free(p[3]);
    bin_bound(128 * 1024);
    do_free(four);
    require(kept_units() == 2, "one that is longer than all that may be kept displaces none");
    bin_bound(0);
    do_free(p[2]);
    require(kept_units() == 2);
    require_sound();
}

static void *leave_a_run(void *argument)
{
    void *p = do_malloc(TWO);
    do_free(p);
    require(kept_units() != 0);
    return argument;
}

static void a_finished_thread_leaves_it_for_the_next(void)
{
    start();
    in_thread(leave_a_run, NULL);
    size_t before = free_units_now();
    heap_dissolve_parked();
    require(free_units_now() >= before + 2);
    require_sound();
}

static void memory_that_is_short_comes_from_other_threads(void)
{
    start();
    size_t before = free_units_now();
    in_thread(leave_a_run, NULL);
    do_free(do_malloc(TWO));
    (void)reclaim_units();
    require(free_units_now() >= before && kept_units() == 0);
    require_sound();
}

static void verify_sees_a_kept_run_that_is_a_block(void)
{
    start();
    void *p = do_malloc(TWO);
    struct tag tag = tagmap_get(p);
    do_free(p);
    require(!heap_verify_runs(my_heap()));
    large_at(tag.record)->size = TWO;
    require_broken(heap_verify_runs(my_heap()), "heap I5: record of a kept run");
    large_at(tag.record)->size = 0;
    my_heap()->kept_units++;
    require_broken(heap_verify_runs(my_heap()), "heap I5: units of kept runs");
    my_heap()->kept_units--;
    tagmap_set((uintptr_t)p + UNIT_SIZE, 1, TAG_FREE, tag.record);
    require_broken(heap_verify_runs(my_heap()), "heap I5: tag of a kept run");
}

/* ---- others take it away ---- */

enum { THREADS = 3, TURNS = SANITIZED ? 2000 : 20000 };

static unsigned running = THREADS;

static void *use_runs(void *argument)
{
    unsigned char mark = (unsigned char)(uintptr_t)argument;
    unsigned char *held = NULL;
    for (unsigned i = 0; i < TURNS; i++) {
        unsigned char *p = do_malloc(i % 3 ? TWO : FOUR);
        require(p);
        p[0] = p[UNIT_SIZE] = mark;
        if (held) {
            require(held[0] == mark && held[UNIT_SIZE] == mark, "turn %u: another's mark", i);
            do_free(held);
        }
        held = p;
    }
    do_free(held);
    sub_relaxed(&running, 1);
    return NULL;
}

static void a_run_has_one_owner_while_others_release_it(void)
{
    pthread_t thread[THREADS];
    start();
    for (uintptr_t i = 0; i < THREADS; i++) require(pthread_create(&thread[i], NULL, use_runs, (void *)(i + 1)) == 0);
    while (load_relaxed(&running) > 0) {
        (void)hak_purge();
        struct hak_stats stats;
        require(hak_stats(&stats) == 0 && stats.live < UINT32_MAX, "%zu live", stats.live);
    }
    for (unsigned i = 0; i < THREADS; i++) require(pthread_join(thread[i], NULL) == 0);
    require(figures().live == 0);
    require_sound();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_freed_run_comes_again),
        TEST(a_run_of_another_length_does_not),
        TEST(the_latest_comes_first_and_the_oldest_goes),
        TEST(any_place_can_be_taken_from),
        TEST(a_longer_one_is_kept_where_it_is_wanted_again),
        TEST(a_long_one_displaces_many),
        TEST(longer_runs_and_mappings_are_not_kept),
        TEST(calloc_does_not_touch_what_nobody_has),
        TEST(calloc_leaves_none),
        TEST(calloc_clears_what_was_kept_before),
        TEST(it_serves_aligned_blocks_up_to_a_unit),
        TEST(a_double_free_is_seen),
        TEST(counters_are_exact),
        TEST(an_idle_run_goes_with_a_trim),
        TEST(who_only_takes_and_frees_runs_follows_a_trim),
        TEST(it_goes_with_the_bins),
        TEST(it_goes_before_a_long_run_comes),
        TEST(nothing_is_kept_while_it_waits_to_release_them),
        TEST(none_is_kept_without_a_delay),
        TEST(less_is_kept_beside_a_limit),
        TEST(a_finished_thread_leaves_it_for_the_next),
        TEST(memory_that_is_short_comes_from_other_threads),
        TEST(verify_sees_a_kept_run_that_is_a_block),
        TEST(a_run_has_one_owner_while_others_release_it),
    };
    return run_unit_tests(tests);
}
