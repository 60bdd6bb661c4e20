/* pressure_test.c - memory gets short: a crossing of the soft limit is told once, what is free goes back near the limit
 * of the control group, and sooner near the hard one.
 */
#include "limits.h"

/* ---- the soft limit ---- */

static struct {
    unsigned calls;
    size_t held, soft;
    const void *context;
} heard;

static void listen(size_t held, size_t soft, void *context)
{
    heard.calls++;
    heard.held = held;
    heard.soft = soft;
    heard.context = context;
    do_free(do_malloc(100000)); /* no lock is held */
}

static void crossing_the_soft_limit_is_told_once(void)
{
    void *p[40];
    start();
    size_t soft = limit_held() + 20 * MIB;
    require(hak_limit_set(soft, 0) == 0);
    hak_limit_callback(listen, &soft);
    for (unsigned i = 0; i < 19; i++) p[i] = do_malloc(MIB);
    require(heard.calls == 0);
    for (unsigned i = 19; i < 40; i++) require((p[i] = do_malloc(MIB)) != NULL);
    require(heard.calls == 1 && heard.soft == soft && heard.context == &soft, "%u calls", heard.calls);
    require(heard.held > soft && heard.held <= soft + MIB, "%zu", heard.held);
    for (unsigned i = 0; i < 40; i++) do_free(p[i]);
    require_sound();
}

static void caches_are_emptied_when_the_soft_limit_is_crossed(void)
{
    start();
    keep_attend(true);
    do_free(do_malloc(10 * MIB));
    do_free(malloc_mapping(10 * MIB));
    require(arena_has_dirty() && large_has_kept());
    require(hak_limit_set(limit_held() + MIB, 0) == 0);
    void *p = do_malloc(30 * MIB);
    require(p && !arena_has_dirty() && !large_has_kept());
    do_free(p);
}

/* Small steps around the limit are one crossing; a sixteenth below it arms it again. */
static void the_next_crossing_needs_a_sixteenth_in_between(void)
{
    void *p[17];
    start();
    size_t soft = limit_held() + 16 * MIB;
    require(hak_limit_set(soft, 0) == 0);
    hak_limit_callback(listen, NULL);
    for (unsigned i = 0; i < 17; i++) p[i] = do_malloc(MIB);
    require(heard.calls == 1);
    for (unsigned i = 0; i < 20; i++) {
        do_free(p[16]);
        (void)hak_purge();
        p[16] = do_malloc(MIB);
    }
    require(heard.calls == 1, "%u", heard.calls);
    for (unsigned i = 13; i < 17; i++) do_free(p[i]);
    (void)hak_purge();
    for (unsigned i = 13; i < 17; i++) p[i] = do_malloc(MIB);
    require(heard.calls == 2, "%u", heard.calls);
}

static void cross_again(size_t held, size_t soft, void *context)
{
    (void)held;
    void *p;
    heard.calls++;
    require(hak_limit_set(soft + MIB, 0) == 0); /* armed anew */
    p = do_malloc(50 * MIB);
    do_free(p);
    require(context == NULL);
}

static void the_callback_is_not_entered_twice(void)
{
    start();
    require(hak_limit_set(limit_held() + MIB, 0) == 0);
    hak_limit_callback(cross_again, NULL);
    do_free(do_malloc(40 * MIB));
    require(heard.calls == 1, "%u", heard.calls);
    (void)hak_purge();
    do_free(do_malloc(60 * MIB));
    require(heard.calls == 2, "%u", heard.calls);
}

static void growing_by_realloc_crosses_too(void)
{
    start();
    void *p = do_malloc(MIB);
    require(hak_limit_set(limit_held() + MIB / 2, 0) == 0);
    hak_limit_callback(listen, NULL);
    require(do_realloc(p, 2 * MIB) == p && heard.calls == 1, "%u", heard.calls);
    void *q = malloc_mapping(5 * MIB);
    require(hak_limit_set(limit_held() + MIB, 0) == 0);
    require((q = do_realloc(q, 20 * MIB)) && heard.calls == 2, "%u", heard.calls);
}

/* The reclaim that it asks for comes all the same. */
static void a_new_limit_forgets_no_crossing_of_the_group(void)
{
    or_relaxed(&limits.passed, CROSSED_GROUP | CROSSED_SOFT);
    require(hak_limit_set(0, 0) == 0 && limits.passed == CROSSED_GROUP, "%u", limits.passed);
    limits.passed = 0;
}

/* Nor does it use up the crossing that comes later. */
static void what_the_system_refuses_crosses_nothing(void)
{
    static const enum fake_call calls[] = {FAKE_MAP, FAKE_RESERVE, FAKE_COMMIT, FAKE_REMAP, FAKE_REMAP_TO};
    start();
    void *p = malloc_mapping(3 * MIB);
    require(hak_limit_set(limit_held() + 10 * MIB, 0) == 0);
    hak_limit_callback(listen, NULL);
    for (unsigned i = 0; i < array_length(calls); i++) fake_fail(calls[i], 1, FAKE_FOR_GOOD);
    require(!do_malloc(70 * MIB) && !do_realloc(p, 80 * MIB) && heard.calls == 0, "%u", heard.calls);
    fake_fail_nothing();
    require((p = do_realloc(p, 8 * MIB)) && heard.calls == 0);
    require(do_realloc(p, 20 * MIB) && heard.calls == 1, "%u", heard.calls);
}

static uint64_t inside, entered_twice, told;

static void look_around(size_t held, size_t soft, void *context)
{
    if (add_relaxed(&inside, 1) > 0 || held == 0 || soft != limits.soft || context != &told) add_relaxed(&entered_twice, 1);
    add_relaxed(&told, 1);
    do_free(do_malloc(held % 100000));
    sub_relaxed(&inside, 1);
}

static void *cross_often(void *argument)
{
    for (unsigned i = 0; i < 300; i++) {
        void *p[8];
        for (unsigned k = 0; k < 8; k++) require((p[k] = do_malloc(MIB + (uintptr_t)argument)) != NULL);
        for (unsigned k = 0; k < 8; k++) do_free(p[k]);
        if (i % 4 == 0) (void)hak_purge();
    }
    return NULL;
}

static void threads_that_cross_together_call_one_at_a_time(void)
{
    pthread_t thread[8];
    start();
    require(hak_limit_set(limit_held() + 4 * MIB, 0) == 0);
    hak_limit_callback(look_around, &told);
    for (uintptr_t i = 0; i < 8; i++) require(pthread_create(&thread[i], NULL, cross_often, (void *)i) == 0);
    for (unsigned i = 0; i < 8; i++) require(pthread_join(thread[i], NULL) == 0);
    require(load_relaxed(&told) > 0 && load_relaxed(&entered_twice) == 0, "%lu, %lu", told, entered_twice);
    require_sound();
}

static void errno_is_kept_by_a_callback(void)
{
    start();
    require(hak_limit_set(1, 0) == 0);
    hak_limit_callback(listen, NULL);
    errno = 77;
    require(do_malloc(MIB) && heard.calls == 1 && errno == 77, "%u calls, errno %d", heard.calls, errno);
}

static void a_child_of_a_callback_s_process_is_told(void)
{
    static const char other_thread;
    start();
    callback.caller = &other_thread; /* which does not live on */
    pressure_child();
    require(hak_limit_set(1, 0) == 0);
    hak_limit_callback(listen, NULL);
    do_free(do_malloc(MIB));
    require(heard.calls == 1);
}

/* ---- the limit of the control group ---- */

/* What one sort keeps must not be beside what the next one needs. */
static void garbage_does_not_pass_the_group_s_limit(void)
{
    void *p[60];
    start();
    require(option_set(OPTION_purge_delay, 600000));
    hak_limit_callback(listen, NULL);
    require(hak_limit_set(limit_held() + 500 * MIB, 0) == 0);
    size_t group = limit_held() + 100 * MIB;
    limit_set_group(group);
    for (unsigned round = 0; round < 3; round++) {
        void *mapping = do_malloc(70 * MIB);
        require(mapping && limit_held() <= group, "round %u: %zu of %zu", round, limit_held(), group);
        do_free(mapping);
        for (unsigned i = 0; i < array_length(p); i++) {
            require((p[i] = do_malloc(MIB)) != NULL);
            require(limit_held() <= group, "round %u: %zu of %zu", round, limit_held(), group);
        }
        for (unsigned i = 0; i < array_length(p); i++) do_free(p[i]);
    }
    require(heard.calls == 0, "the soft limit was not crossed");
    require_sound();
    require_exact();
}

/* More than the first mark is in use: there are others between it and the limit. */
static void marks_come_nearer_to_the_group_s_limit(void)
{
    void *p[90];
    start();
    require(option_set(OPTION_purge_delay, 600000));
    size_t group = limit_held() + 100 * MIB;
    limit_set_group(group);
    for (unsigned i = 0; i < array_length(p); i++) require((p[i] = do_malloc(MIB)) != NULL);
    for (unsigned round = 0; round < 20; round++) {
        do_free(do_malloc(3 * MIB + round * MIB / 4));
        require(limit_held() <= group, "round %u: %zu of %zu", round, limit_held(), group);
    }
    for (unsigned i = 0; i < array_length(p); i++) do_free(p[i]);
    (void)hak_purge();
    do_free(do_malloc(MIB));
    require(limits.mark == first_mark(), "%zu of %zu", limits.mark, group);
    require_sound();
}

static void the_group_s_limit_refuses_nothing_and_may_change(void)
{
    start();
    limit_set_group(MIB);
    require(limit_is_set() && hak_limit_set(0, 0) == 0 && limit_is_set());
    void *p = do_malloc(50 * MIB), *q = malloc_mapping(50 * MIB);
    require(p && q);
    do_free(p);
    do_free(q);
    limit_set_group(SIZE_MAX);
    require(!limit_is_set());
    require_sound();
    require_exact();
}

/* ---- near the limit ---- */

static void purging_hastens_near_the_hard_limit(void)
{
    start();
    require(pressure_delay(1000) == 1000 && limit_percent(limits.hard) == 0);
    void *p = do_malloc(60 * MIB);
    size_t held = limit_held();
    require(hak_limit_set(0, 2 * held) == 0 && pressure_delay(1000) == 1000);
    require(hak_limit_set(0, held / 85 * 100) == 0 && pressure_delay(1000) == 100, "%u %%", limit_percent(limits.hard));
    require(hak_limit_set(0, held + MIB) == 0 && pressure_delay(1000) == 0, "%u %%", limit_percent(limits.hard));
    require(hak_limit_set(0, held / 2) == 0 && pressure_delay(1000) == 0);
    require(hak_limit_set(held / 2, 0) == 0 && pressure_delay(1000) == 1000, "a soft limit is none to be near");
    do_free(p);
}

static void a_shorter_delay_brings_the_date_forward(void)
{
    require(option_set(OPTION_purge_delay, 60000));
    do_free(do_malloc(1));
    do_free(do_malloc(60 * MIB));
    (void)reclaim_poll();
    require(hak_limit_set(0, limit_held() + MIB) == 0);
    for (unsigned i = 0; i < 3; i++) {
        (void)reclaim_poll();
        fake.now_ms += 1;
    }
    require(!arena_has_dirty());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(crossing_the_soft_limit_is_told_once),
        TEST(caches_are_emptied_when_the_soft_limit_is_crossed),
        TEST(the_next_crossing_needs_a_sixteenth_in_between),
        TEST(a_new_limit_forgets_no_crossing_of_the_group),
        TEST(the_callback_is_not_entered_twice),
        TEST(growing_by_realloc_crosses_too),
        TEST(what_the_system_refuses_crosses_nothing),
        TEST(threads_that_cross_together_call_one_at_a_time),
        TEST(errno_is_kept_by_a_callback),
        TEST(a_child_of_a_callback_s_process_is_told),
        TEST(garbage_does_not_pass_the_group_s_limit),
        TEST(marks_come_nearer_to_the_group_s_limit),
        TEST(the_group_s_limit_refuses_nothing_and_may_change),
        TEST(purging_hastens_near_the_hard_limit),
        TEST(a_shorter_delay_brings_the_date_forward),
    };
    return run_unit_tests(tests);
}
