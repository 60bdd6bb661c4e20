/* limit_test.c - what hakmem holds is counted exactly, and is no more than its hard limit. The soft limit and that of
 * the control group: pressure_test.c.
 */
#include "limits.h"

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

static size_t held_while_purging;

static void look_at_held(void)
{
    size_t held = limit_held();
    if (held > held_while_purging) held_while_purging = held;
}

/* A SuperSlab of which one unit has memory goes back as a whole. */
static void what_goes_back_is_not_held_twice(void)
{
    start();
    void *p = do_malloc(UNIT_SIZE * 20);
    do_free(p);
    (void)hak_purge();
    p = do_malloc(UNIT_SIZE * 20);
    do_free(p);
    held_while_purging = 0;
    size_t before = limit_held();
    fake.while_purging = look_at_held;
    (void)hak_purge();
    fake.while_purging = NULL;
    require(held_while_purging > 0 && held_while_purging <= before, "%zu, then %zu", before, held_while_purging);
    require(limit_held() < before);
    require_exact();
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

/* In a window the first place is somebody else's, and the system does not take it back. */
static void a_place_that_cannot_go_back_stays_in_the_sum(void)
{
    fake.address_limit = 1024 * MIB;
    fake.place = UINT64_C(0x551400000000); /* half a window of 32 GiB from the other: the two do not meet */
    start();
    require(tagmap.windowed);
    fake.place = UINT64_C(0x552000000000);
    (void)tagmap_claim(fake.place, UNIT_SIZE);
    size_t before = limit_held();
    fake_fail(FAKE_UNMAP, 1, 1);
    char *p = malloc_mapping(3 * MIB);
    require(p && fake.failures[FAKE_UNMAP] == 1);
    require(limit_held() == before + 6 * MIB);
    require_exact();
    do_free(p);
    (void)hak_purge();
    require(limits.mapped == 3 * MIB, "%zu", limits.mapped);
    require_exact();
}

static unsigned forks;

static void count_in_the_child(void)
{
    struct large_usage usage;
    fork_child();
    mapping_usage(&usage);
    size_t there = usage.mapping_live + usage.mapping_slack + usage.kept;
    require(limits.mapped == there, "%zu bytes count, %zu are there", limits.mapped, there);
    require_exact();
}

/* By another thread. */
static void fork_meanwhile(void)
{
    fork_prepare();
    require(run_forked(count_in_the_child) == 0);
    fork_parent();
    forks++;
}

static void a_fork_beside_an_unmap_leaves_the_child_s_sum_exact(void)
{
    start();
    void *p = malloc_mapping(3 * MIB), *q = malloc_mapping(5 * MIB);
    do_free(q);
    fake.while_unmapping = fork_meanwhile;
    (void)large_purge(true);
    require(forks == 1);
    require_exact();
    do_free(p);
    (void)large_purge(true);
    require(forks == 2 && limits.mapped == 0, "%zu", limits.mapped);
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
    require(option_set(OPTION_purge_delay, BURST_DELAY_MAX_MS + 1)); /* it stays, until it is needed */
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

/* Its addresses count, whatever memory they have. */
static void a_block_that_grows_does_not_pin_a_large_mapping(void)
{
    start();
    allow_more(200 * MIB);
    keep_attend(true);
    do_free(malloc_mapping(120 * MIB));
    require(large_has_kept());
    void *growing = mapping_alloc_growing(3 * MIB, false), *p = do_malloc(100 * MIB);
    require(growing && p);
    do_free(p);
    do_free(growing);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_held_is_what_statistics_say),
        TEST(what_goes_back_is_not_held_twice),
        TEST(refusals_of_the_system_leave_the_sum_exact),
        TEST(a_mapping_that_cannot_grow_leaves_the_sum_exact),
        TEST(a_place_that_cannot_go_back_stays_in_the_sum),
        TEST(a_fork_beside_an_unmap_leaves_the_child_s_sum_exact),
        TEST(requests_above_the_hard_limit_get_enomem),
        TEST(memory_freed_at_the_limit_serves_another_size),
        TEST(dirty_units_can_be_had_above_the_limit),
        TEST(realloc_keeps_the_block_at_the_limit),
        TEST(realloc_grows_in_place_into_what_is_given_back),
        TEST(a_run_grows_only_as_far_as_the_limit),
        TEST(a_huge_page_is_filled_only_where_there_is_room),
        TEST(a_block_that_grows_does_not_pin_a_large_mapping),
        TEST(bookkeeping_is_never_refused),
        TEST(threads_at_the_limit_stay_below_it_together),
        TEST(limits_come_from_options),
        TEST(a_soft_limit_above_the_hard_one_is_refused),
    };
    return run_unit_tests(tests);
}
