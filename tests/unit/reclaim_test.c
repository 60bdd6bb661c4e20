/* reclaim_test.c - memory goes back by date, on demand, and when memory is out; a refusal loses nothing. In a burst
 * of frees: purge_burst_test.c.
 */
#include "dirty.h"

#include <semaphore.h>

/* Frees a run of 16 units, and looks at the clock for the first time. */
static void free_a_run(void)
{
    do_free(do_malloc(1));
    do_free(do_malloc(MIB));
    require(dirty_units() == 16);
    reclaim_poll();
    require(dirty_units() == 16);
}

/* ---- by date ---- */

static void memory_idle_for_the_delay_is_given_back(void)
{
    free_a_run();
    fake.now_ms += 499;
    reclaim_poll();
    require(dirty_units() == 16 && fake.calls[FAKE_PURGE] == 0, "before half the delay");
    fake.now_ms += 1;
    reclaim_poll();
    require(dirty_units() == 0 && fake.calls[FAKE_PURGE] == 1);
    fake.now_ms += 5000;
    reclaim_poll();
    require(fake.calls[FAKE_PURGE] == 1, "purged what has no memory");
}

static void memory_used_again_is_kept(void)
{
    free_a_run();
    for (unsigned i = 0; i < 20; i++) {
        fake.now_ms += 500;
        do_free(do_calloc(1, MIB)); /* what malloc gives twice, the heap keeps */
        reclaim_poll();
        require(dirty_units() == 16 && fake.calls[FAKE_PURGE] == 0, "tick %u", i);
    }
    fake.now_ms += 500;
    reclaim_poll();
    require(dirty_units() == 0);
}

static void the_delay_is_an_option(void)
{
    require(option_set(OPTION_purge_delay, 60000));
    free_a_run();
    fake.now_ms += 29999;
    reclaim_poll();
    require(dirty_units() == 16);
    fake.now_ms += 1;
    reclaim_poll();
    require(dirty_units() == 0);
}

static void without_delay_memory_goes_at_the_next_poll(void)
{
    require(option_set(OPTION_purge_delay, 0));
    do_free(do_malloc(1));
    do_free(do_malloc(MIB));
    do_free(do_malloc(5 * MIB));
    do_free(malloc_mapping(5 * MIB));
    fake.now_ms += 1;
    reclaim_poll();
    require(dirty_units() == 0 && !large_has_kept());
}

static void one_poll_a_tick_does_the_work(void)
{
    free_a_run();
    uint32_t tick = arena.tick;
    for (unsigned i = 0; i < 10; i++) reclaim_poll();
    require(arena.tick == tick);
    fake.now_ms += 500;
    for (unsigned i = 0; i < 10; i++) reclaim_poll();
    require(arena.tick == tick + 1);
}

static void a_process_with_nothing_to_give_has_no_date(void)
{
    do_free(do_malloc(1));
    for (unsigned i = 0; i < 100000; i++) do_free(do_malloc(i % 100));
    require(next_tick_ms == 0 && arena.tick == 0);
}

static void a_request_is_followed_once(void)
{
    do_free(do_malloc(1));
    do_free(do_malloc(MIB));
    do_free(malloc_mapping(5 * MIB));
    reclaim_poll();
    require(dirty_units() > 0 && large_has_kept());
    uint32_t epoch = cache_epoch;
    store_relaxed(&reclaim_request, 1);
    reclaim_poll();
    require(dirty_units() == 0 && !large_has_kept());
    require(reclaim_request == 0 && cache_epoch == epoch + 1);
    do_free(do_calloc(1, MIB));
    reclaim_poll();
    require(dirty_units() > 0 && cache_epoch == epoch + 1);
    require_sound();
}

static unsigned looks_at_work;

static void ask_again(void)
{
    if (looks_at_work++ > 0) return;
    require(reclaim_request == (os_thread_number() << REQUEST_SHIFT | REQUEST_AT_WORK));
    store_relaxed(&reclaim_request, REQUEST_MADE);
}

/* Who asked sees that somebody is at it, and may ask again. */
static void a_request_is_there_until_it_was_followed(void)
{
    do_free(do_malloc(MIB));
    store_relaxed(&reclaim_request, REQUEST_MADE);
    fake.while_purging = ask_again;
    reclaim_poll();
    fake.while_purging = NULL;
    require(looks_at_work > 0 && reclaim_request == REQUEST_MADE);
    reclaim_poll();
    require(reclaim_request == 0);
}

enum { AT_WORK_TOO = 5U << REQUEST_SHIFT | REQUEST_AT_WORK };

static void be_overtaken(void)
{
    store_relaxed(&reclaim_request, AT_WORK_TOO); /* it was asked again, and another thread took that */
}

static void who_is_done_does_not_speak_for_others(void)
{
    do_free(do_malloc(MIB));
    store_relaxed(&reclaim_request, REQUEST_MADE);
    fake.while_purging = be_overtaken;
    reclaim_poll();
    fake.while_purging = NULL;
    require(reclaim_request == AT_WORK_TOO, "%x", reclaim_request);
}

static void ordinary_calls_follow_a_request(void)
{
    do_free(do_malloc(MIB));
    store_relaxed(&reclaim_request, 1);
    for (unsigned k = 0; k < 1000; k++) do_free(do_malloc(20000));
    require(reclaim_request == 0);
}

static void kept_mappings_go_by_date(void)
{
    do_free(do_malloc(1));
    do_free(malloc_mapping(5 * MIB));
    require(large_has_kept());
    for (unsigned i = 0; i < 4; i++) {
        reclaim_poll();
        fake.now_ms += 500;
    }
    require(!large_has_kept());
    require_sound();
}

static void parked_heaps_are_dissolved_by_date(void)
{
    do_free(do_malloc(1));
    in_thread((void *(*)(void *))(void *)do_malloc, (void *)3000);
    require(parked_count == 1);
    free_a_run();
    require(parked_count == 0);
    require_sound();
}

static void ordinary_calls_keep_the_date(void)
{
    do_free(do_malloc(MIB));
    for (unsigned i = 0; i < 200; i++) {
        fake.now_ms += 100;
        for (unsigned k = 0; k < 1000; k++) do_free(do_malloc(20000)); /* visits come of themselves */
    }
    require(fake.calls[FAKE_PURGE] > 0 && dirty_units() == 0, "%zu dirty", dirty_units());
    require_sound();
}

static void large_calls_keep_the_date(void)
{
    static const size_t sizes[] = {3 * (1 << 20), 70 * (1 << 20)}; /* a run and a mapping */
    for (unsigned k = 0; k < array_length(sizes); k++) {
        void *p = do_malloc(sizes[k]);
        do_free(do_malloc(MIB));
        for (unsigned i = 0; i < 20; i++) {
            fake.now_ms += 1000;
            void *q = do_malloc(sizes[k]);
            do_free(p);
            p = q;
        }
        do_free(p);
        size_t in_use = k == 0 ? 2 * 3 * 16 : 0; /* the pair of runs that take turns */
        require(dirty_units() <= in_use, "%zu units", dirty_units());
        (void)hak_purge();
    }
}

/* ---- refused ---- */

static void a_refused_purge_is_tried_again(void)
{
    free_a_run();
    fake_fail(FAKE_PURGE, 1, 1);
    fake.now_ms += 500;
    reclaim_poll();
    require(fake.failures[FAKE_PURGE] == 1 && dirty_units() == 16);
    for (unsigned i = 0; i < 2; i++) {
        fake.now_ms += 500;
        reclaim_poll();
    }
    require(dirty_units() == 0);
    require_sound();
}

static void calloc_never_sees_stale_bytes(void)
{
    static const size_t sizes[] = {100, 5000, 60000, 70000, 500000, 2000000, 3000000, 9000000};
    for (uint64_t every = 1; every <= 4; every++) {
        fake_fail_every(FAKE_PURGE, every);
        for (unsigned i = 0; i < array_length(sizes); i++) {
            void *p[8];
            for (unsigned k = 0; k < 8; k++) memset(p[k] = do_malloc(sizes[i]), 0xee, sizes[i]);
            for (unsigned k = 0; k < 8; k++) do_free(p[k]);
            (void)hak_purge();
            for (unsigned k = 0; k < 8; k++) {
                p[k] = do_calloc(1, sizes[i]);
                require(p[k] && reads_as_zero(p[k], sizes[i]), "every %lu, size %zu", every, sizes[i]);
                memset(p[k], 0xee, sizes[i]);
            }
            for (unsigned k = 0; k < 8; k++) do_free(p[k]);
        }
    }
    fake_fail_nothing();
    require_sound();
}

/* ---- on demand ---- */

static void a_purge_gives_back_all_that_is_free(void)
{
    static void *p[500];
    struct hak_stats stats;
    for (unsigned i = 0; i < 500; i++) p[i] = do_malloc(i * 300);
    void *run = do_malloc(MIB), *mapping = malloc_mapping(7 * MIB), *longer = do_malloc(5 * MIB);
    for (unsigned i = 0; i < 500; i++) do_free(p[i]);
    do_free(run);
    do_free(mapping);
    do_free(longer);
    require(hak_stats(&stats) == 0 && stats.live == 0 && stats.dirty > 0);
    size_t bytes = hak_purge();
    require(bytes >= 13 * MIB, "%zu bytes", bytes);
    require(hak_stats(&stats) == 0 && stats.dirty == 0 && stats.cached == 0 && stats.free_in_slabs == 0);
    require(hak_purge() == 0);
    require_sound();
}

static void a_purge_leaves_live_blocks_alone(void)
{
    static unsigned char *p[300];
    for (unsigned i = 0; i < 300; i++) memset(p[i] = do_malloc(i * 100 + 1), (int)i, i * 100 + 1);
    for (unsigned i = 0; i < 300; i += 2) do_free(p[i]);
    require(hak_purge() > 0);
    for (unsigned i = 1; i < 300; i += 2)
        for (unsigned k = 0; k <= i * 100; k += 50) require(p[i][k] == (unsigned char)i, "block %u", i);
    require_sound();
}

static void a_purge_says_what_it_gave(void)
{
    do_free(do_malloc(1));
    (void)hak_purge();
    do_free(do_malloc(3 * MIB / 2));
    require(hak_purge() == 3 * MIB / 2);
    do_free(do_malloc(3 * MIB));
    require(hak_purge() == 3 * MIB);
    do_free(malloc_mapping(3 * MIB));
    require(hak_purge() == 3 * MIB);
    do_free(do_malloc(MIB));
    fake_fail(FAKE_PURGE, 1, FAKE_FOR_GOOD);
    require(hak_purge() == 0);
}

static sem_t full, purged, visited, done;

static void *hoard(void *argument)
{
    void *p[200];
    for (unsigned i = 0; i < 200; i++) p[i] = do_malloc(500);
    for (unsigned i = 0; i < 200; i++) do_free(p[i]);
    sem_post(&full);
    sem_wait(&purged);
    do_free(do_malloc(40000)); /* its next visit */
    sem_post(&visited);
    sem_wait(&done);
    return argument;
}

static void other_threads_flush_at_their_next_visit(void)
{
    pthread_t thread;
    struct stats stats;
    do_free(do_malloc(1));
    sem_init(&full, 0, 0);
    sem_init(&purged, 0, 0);
    sem_init(&visited, 0, 0);
    sem_init(&done, 0, 0);
    require(pthread_create(&thread, NULL, hoard, NULL) == 0);
    sem_wait(&full);
    (void)hak_purge();
    stats_collect(&stats);
    require(stats.class[class_of(500)].cached > 0, "%lu", stats.class[class_of(500)].cached);
    sem_post(&purged);
    sem_wait(&visited);
    stats_collect(&stats);
    require(stats.class[class_of(500)].cached == 0, "%lu", stats.class[class_of(500)].cached);
    sem_post(&done);
    require(pthread_join(thread, NULL) == 0);
}

static void a_purge_drains_the_mail_of_idle_threads(void)
{
    static void *p[300];
    do_free(do_malloc(1));
    for (unsigned i = 0; i < 300; i++) p[i] = heap_common_malloc(class_of(900));
    for (unsigned i = 0; i < 300; i++) do_free(p[i]);
    (void)hak_purge();
    struct hak_stats stats;
    require(hak_stats(&stats) == 0 && stats.cached == 0 && stats.live == 0);
    require_sound();
}

static void errno_is_kept(void)
{
    do_free(do_malloc(MIB));
    errno = 77;
    (void)hak_purge();
    fake.now_ms += 5000;
    reclaim_poll();
    require(errno == 77, "%d", errno);
}

/* ---- when memory is out ---- */

/* Kept mappings hold the addresses that a new block needs. */
static void what_is_kept_is_given_for_what_is_asked(void)
{
    keep_attend(true);
    do_free(do_malloc(1));
    do_free(malloc_mapping(60 * MIB));
    require(large_has_kept());
    fake.address_bytes_max = fake.address_bytes + 10 * MIB;
    void *p = do_malloc(66 * MIB);
    require(p && !large_has_kept());
    do_free(p);
    p = do_calloc(1, 65 * MIB);
    require(p != NULL);
    do_free(p);
    p = do_aligned(2 * MIB, 66 * MIB);
    require(p != NULL);
    do_free(p);
    errno = 0;
    require(!do_malloc(fake.address_bytes_max) && errno == ENOMEM);
    require_sound();
}

static void a_cached_slab_is_given_for_another_class(void)
{
    struct span span;
    void *p[64];
    do_free(do_malloc(1));
    for (unsigned i = 0; i < 64; i++) p[i] = do_malloc(8000);
    for (unsigned i = 0; i < 64; i++) do_free(p[i]); /* in the bin: their slabs are in use */
    fake_fail(FAKE_RESERVE, 1, FAKE_FOR_GOOD);
    fake_fail(FAKE_COMMIT, 1, FAKE_FOR_GOOD);
    while (arena_take(1, false, &span)) continue;
    fake_fail(FAKE_MAP, 1, FAKE_FOR_GOOD);
    void *q = do_malloc(300);
    require(q != NULL, "64 free blocks of 8000 bytes were kept back");
    do_free(q);
    require(hak_check(), "%s", fake_take_printed()); /* the units taken here are in no statistics */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(memory_idle_for_the_delay_is_given_back),
        TEST(memory_used_again_is_kept),
        TEST(the_delay_is_an_option),
        TEST(without_delay_memory_goes_at_the_next_poll),
        TEST(one_poll_a_tick_does_the_work),
        TEST(a_process_with_nothing_to_give_has_no_date),
        TEST(a_request_is_followed_once),
        TEST(a_request_is_there_until_it_was_followed),
        TEST(who_is_done_does_not_speak_for_others),
        TEST(ordinary_calls_follow_a_request),
        TEST(kept_mappings_go_by_date),
        TEST(parked_heaps_are_dissolved_by_date),
        TEST(ordinary_calls_keep_the_date),
        TEST(large_calls_keep_the_date),
        TEST(a_refused_purge_is_tried_again),
        TEST(calloc_never_sees_stale_bytes),
        TEST(a_purge_gives_back_all_that_is_free),
        TEST(a_purge_leaves_live_blocks_alone),
        TEST(a_purge_says_what_it_gave),
        TEST(other_threads_flush_at_their_next_visit),
        TEST(a_purge_drains_the_mail_of_idle_threads),
        TEST(errno_is_kept),
        TEST(what_is_kept_is_given_for_what_is_asked),
        TEST(a_cached_slab_is_given_for_another_class),
    };
    return run_unit_tests(tests);
}
