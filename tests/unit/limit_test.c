/* limit_test.c - the process holds no more than its hard limit, and hears of the soft one once a crossing. */
#include "unit.h"

static const size_t MIB = (size_t)1 << 20;

/* What limit_held() must say, computed from what statistics walk and count. */
static size_t walked_held(void)
{
    struct hak_stats s;
    require(hak_stats(&s) == 0);
    return s.mapped - s.purged + s.records;
}

#define require_exact() require(limit_held() == walked_held(), "held %zu, walked %zu", limit_held(), walked_held())

/* With all bookkeeping that a few blocks need: it counts, too, but comes in large pieces. */
static void start(void)
{
    do_free(do_malloc(1));
    do_free(malloc_mapping(3 * MIB));
    (void)hak_purge();
}

/* The hard limit: so much more than now. */
static void allow_more(size_t more)
{
    require(hak_limit_set(0, limit_held() + more) == 0);
}

/* ---- what is held ---- */

static void what_is_held_is_what_statistics_say(void)
{
    static const size_t sizes[] = {1, 100, 5000, 30000, 70000, 300000, 3000000, 9000000, 66000000, 80000000};
    void *p[array_length(sizes)];
    start();
    require_exact();
    for (unsigned i = 0; i < array_length(sizes); i++) {
        p[i] = do_malloc(sizes[i]);
        require_exact();
    }
    void *aligned = do_aligned(8 * MIB, 3 * MIB), *growing = malloc_mapping(3 * MIB);
    require_exact();
    for (size_t size = 3 * MIB; size < 40 * MIB; size += 5 * MIB) {
        growing = do_realloc(growing, size);
        require_exact();
    }
    growing = do_realloc(growing, 4 * MIB);
    require_exact();
    for (unsigned i = 0; i < array_length(sizes); i++) {
        p[i] = do_realloc(p[i], sizes[i] * 5 / 4);
        require_exact();
    }
    for (unsigned i = 0; i < array_length(sizes); i++) do_free(p[i]);
    do_free(aligned);
    do_free(growing);
    require_exact();
    (void)hak_purge();
    require_exact();
    require(limits.mapped == 0, "%zu", limits.mapped);
}

static void refusals_of_the_system_leave_the_sum_exact(void)
{
    start();
    void *growing = malloc_mapping(3 * MIB);
    for (enum fake_call call = FAKE_MAP; call <= FAKE_PURGE; call++) {
        fake_fail(call, 1, FAKE_FOR_GOOD);
        void *p = do_malloc(70 * MIB), *q = do_realloc(growing, 30 * MIB);
        if (q) growing = q;
        do_free(p);
        (void)hak_purge();
        fake_fail_nothing();
        require_exact();
        q = do_realloc(growing, 3 * MIB);
        if (q) growing = q;
        require_exact();
    }
    do_free(growing);
    (void)hak_purge();
    (void)hak_purge();
    require(limits.mapped == 0, "%zu", limits.mapped);
}

static void a_mapping_that_cannot_grow_leaves_the_sum_exact(void)
{
    start();
    void *p = malloc_mapping(3 * MIB);
    fake_fail(FAKE_REMAP, 1, FAKE_FOR_GOOD);
    fake_fail(FAKE_REMAP_TO, 1, FAKE_FOR_GOOD);
    p = do_realloc(p, 30 * MIB); /* a copy, elsewhere */
    require(p != NULL);
    fake_fail_nothing();
    require_exact();
    do_free(p);
    (void)hak_purge();
    require(limits.mapped == 0, "%zu", limits.mapped);
}

/* ---- the hard limit ---- */

static void requests_above_the_hard_limit_get_enomem(void)
{
    static const size_t sizes[] = {64, 1000, 8000, 40000, 70000, MIB, 3 * MIB, 64 * MIB, 70 * MIB};
    for (unsigned i = 0; i < array_length(sizes); i++) {
        start();
        allow_more(sizes[i] < MIB ? 4 * MIB : 3 * sizes[i]);
        void **last = NULL;
        size_t count = 0;
        for (void **p; (errno = 0, p = do_malloc(sizes[i])); last = p, count++) {
            *p = last;
            require(limit_held() <= limits.hard, "size %zu: %zu of %zu", sizes[i], limit_held(), limits.hard);
        }
        require(errno == ENOMEM && count > 1, "size %zu: %zu blocks", sizes[i], count);
        require(!do_calloc(1, sizes[i]) || sizes[i] < UNIT_SIZE, "size %zu", sizes[i]);
        require(!do_aligned(8 * MIB, sizes[i]), "size %zu", sizes[i]);
        for (void **next; last; last = next) next = *last, do_free(last);
        size_t again = 0;
        for (void **p; (p = do_malloc(sizes[i])); last = p, again++) *p = last;
        require(again >= count, "size %zu: %zu blocks, then %zu", sizes[i], count, again);
        for (void **next; last; last = next) next = *last, do_free(last);
        require(hak_limit_set(0, 0) == 0);
        require_sound();
        require_exact();
    }
}

/* Bins, dirty units and kept mappings of one size serve any other. */
static void memory_freed_at_the_limit_serves_another_size(void)
{
    static void *p[4000];
    start();
    allow_more(80 * MIB);
    void *mapping = malloc_mapping(70 * MIB);
    require(mapping != NULL);
    do_free(mapping);
    for (unsigned i = 0; i < array_length(p); i++) require((p[i] = do_malloc(8000)) != NULL, "block %u", i);
    for (unsigned i = 0; i < array_length(p); i++) do_free(p[i]);
    void *q = do_malloc(79 * MIB);
    require(q != NULL);
    do_free(q);
    require((q = do_calloc(1, 60 * MIB)) && reads_as_zero(q, 60 * MIB));
    do_free(q);
    require_sound();
}

static void dirty_units_can_be_had_above_the_limit(void)
{
    start();
    void *p = do_malloc(MIB), *guard = do_malloc(MIB);
    do_free(p);
    require(hak_limit_set(0, 1) == 0);
    require((p = do_malloc(MIB)) != NULL, "the memory was there");
    errno = 0;
    require(!do_malloc(2 * MIB) && errno == ENOMEM);
    do_free(p);
    do_free(guard);
    require_sound();
}

static void realloc_keeps_the_block_at_the_limit(void)
{
    static const size_t sizes[] = {1000, 60000, 100000, MIB, 5 * MIB};
    start();
    for (unsigned i = 0; i < array_length(sizes); i++) {
        unsigned char *p = do_malloc(sizes[i]);
        memset(p, 0x5a, sizes[i]);
        allow_more(0);
        errno = 0;
        require(!do_realloc(p, 70 * MIB) && errno == ENOMEM, "size %zu", sizes[i]);
        for (size_t k = 0; k < sizes[i]; k += 100) require(p[k] == 0x5a, "size %zu", sizes[i]);
        require(hak_limit_set(0, 0) == 0);
        do_free(p);
    }
    require_sound();
    require_exact();
}

/* There is no room for a copy, but for what is new. */
static void realloc_grows_in_place_into_what_is_given_back(void)
{
    start();
    require(option_set(OPTION_purge_delay, RUN_DELAY_MAX_MS + 1)); /* it stays, until it is needed */
    void *p = malloc_mapping(20 * MIB), *cached = do_malloc(10 * MIB);
    do_free(cached);
    allow_more(0);
    errno = 77;
    void *q = do_realloc(p, 25 * MIB);
    require(q != NULL && errno == 77, "errno %d", errno);
    require(limit_held() <= limits.hard);
    require(!do_realloc(q, 35 * MIB));
    do_free(q);
    require_sound();
}

static void a_run_grows_only_as_far_as_the_limit(void)
{
    start();
    void *p = do_malloc(MIB);
    allow_more(MIB);
    require(do_realloc(p, 2 * MIB) == p);
    require(!do_realloc(p, 3 * MIB));
    require(limit_held() <= limits.hard);
    do_free(p);
    require_sound();
}

static void a_huge_page_is_filled_only_where_there_is_room(void)
{
    start();
    for (unsigned i = 0; i < 20000; i++) require(do_malloc(1024) != NULL); /* dense: huge pages */
    uint64_t fills = fake.calls[FAKE_FILL_HUGE];
    require(fills > 0);
    for (size_t more = 0; more < 3 * MIB; more += MIB / 2) {
        allow_more(more);
        while (do_malloc(1024)) require(limit_held() <= limits.hard, "%zu", more);
    }
    require(fake.calls[FAKE_FILL_HUGE] <= fills + 1);
}

static void bookkeeping_is_never_refused(void)
{
    start();
    allow_more(0);
    for (uint32_t i = 0; i < 3; i++) require(add_records());
    require(hak_limit_set(0, 0) == 0);
    void *p = malloc_mapping(3 * MIB);
    require(p != NULL);
    do_free(p);
    require_sound();
}

/* ---- many threads ---- */

static uint64_t refused, above;

static void *work_at_the_limit(void *argument)
{
    uint64_t random = (uintptr_t)argument;
    void *p[64] = {NULL};
    for (unsigned i = 0; i < 3000; i++) {
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        unsigned at = random >> 40 & 63;
        size_t size = random >> 33 & 1 ? 65 + (random >> 20 & 8191) : (size_t)1 << (6 + (random >> 50) % 17);
        do_free(p[at]);
        p[at] = random & 1 << 30 ? do_calloc(1, size) : do_malloc(size);
        if (!p[at]) add_relaxed(&refused, 1);
        if (limit_held() > limits.hard) add_relaxed(&above, 1);
    }
    for (unsigned i = 0; i < 64; i++) do_free(p[i]);
    return NULL;
}

static void threads_at_the_limit_stay_below_it_together(void)
{
    pthread_t thread[8];
    start();
    allow_more(24 * MIB);
    for (uintptr_t i = 0; i < 8; i++) require(pthread_create(&thread[i], NULL, work_at_the_limit, (void *)(i + 1)) == 0);
    for (unsigned i = 0; i < 8; i++) require(pthread_join(thread[i], NULL) == 0);
    require(load_relaxed(&refused) > 0, "the limit was never met");
    require(load_relaxed(&above) <= 64, "%lu", above); /* bookkeeping of threads comes on top */
    require_sound();
    require_exact();
}

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

/* ---- setting ---- */

static void limits_come_from_options(void)
{
    fake_set_environment("HAKMEM_LIMIT_SOFT", "3");
    fake_set_environment("HAKMEM_LIMIT_HARD", "5");
    option_read_environment();
    pressure_start();
    require(limits.soft == 3 * MIB && limits.hard == 5 * MIB && limit_is_set());
    require(hak_limit_set(6, 5) == EINVAL && limits.soft == 3 * MIB);
    require(hak_limit_set(0, 0) == 0 && !limit_is_set() && limits.hard == SIZE_MAX);
    require(hak_option_set("limit_hard", 7) == EPERM);
}

static void a_soft_limit_above_the_hard_one_is_refused(void)
{
    fake_set_environment("HAKMEM_LIMIT_SOFT", "6");
    fake_set_environment("HAKMEM_LIMIT_HARD", "5");
    option_read_environment();
    pressure_start();
    require_text("HAKMEM_LIMIT_SOFT is above HAKMEM_LIMIT_HARD");
    require(limits.soft == SIZE_MAX && limits.hard == 5 * MIB);
    require(option_get(OPTION_limit_soft) == 0);
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
        TEST(what_is_held_is_what_statistics_say),
        TEST(refusals_of_the_system_leave_the_sum_exact),
        TEST(a_mapping_that_cannot_grow_leaves_the_sum_exact),
        TEST(requests_above_the_hard_limit_get_enomem),
        TEST(memory_freed_at_the_limit_serves_another_size),
        TEST(dirty_units_can_be_had_above_the_limit),
        TEST(realloc_keeps_the_block_at_the_limit),
        TEST(realloc_grows_in_place_into_what_is_given_back),
        TEST(a_run_grows_only_as_far_as_the_limit),
        TEST(a_huge_page_is_filled_only_where_there_is_room),
        TEST(bookkeeping_is_never_refused),
        TEST(threads_at_the_limit_stay_below_it_together),
        TEST(crossing_the_soft_limit_is_told_once),
        TEST(caches_are_emptied_when_the_soft_limit_is_crossed),
        TEST(the_next_crossing_needs_a_sixteenth_in_between),
        TEST(the_callback_is_not_entered_twice),
        TEST(growing_by_realloc_crosses_too),
        TEST(threads_that_cross_together_call_one_at_a_time),
        TEST(errno_is_kept_by_a_callback),
        TEST(a_child_of_a_callback_s_process_is_told),
        TEST(garbage_does_not_pass_the_group_s_limit),
        TEST(marks_come_nearer_to_the_group_s_limit),
        TEST(the_group_s_limit_refuses_nothing_and_may_change),
        TEST(limits_come_from_options),
        TEST(a_soft_limit_above_the_hard_one_is_refused),
        TEST(purging_hastens_near_the_hard_limit),
        TEST(a_shorter_delay_brings_the_date_forward),
    };
    return run_unit_tests(tests);
}
