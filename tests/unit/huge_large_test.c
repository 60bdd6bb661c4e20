/* huge_large_test.c - huge pages for large blocks: what is learned from their use, which runs and mappings get them,
 * when they are forbidden again, what goes back of runs of which little is touched, and the user's choice.
 */
#include "dense.h"

/* ---- what large blocks teach ---- */

static uintptr_t memory(void)
{
    return os_aligned(os_map, SUPERSLAB_SIZE, SUPERSLAB_SIZE);
}

static void lesson(bool touched)
{
    uintptr_t p = memory();
    density_watch(p);
    if (touched) memset((void *)p, 1, SUPERSLAB_SIZE);
    (void)density_expected();
    os_unmap((void *)p, SUPERSLAB_SIZE);
}

static void nothing_is_expected_without_a_lesson(void)
{
    require(!density_expected());
}

static void two_filled_blocks_let_expect_another(void)
{
    lesson(true);
    require(!density_expected(), "the first may be an exception");
    lesson(true);
    require(density_expected());
}

static void untouched_blocks_change_the_expectation(void)
{
    lesson(true);
    for (unsigned i = 0; i < 8; i++) lesson(false);
    require(!density_expected());
}

static void one_filled_block_of_four_is_enough(void)
{
    for (unsigned i = 0; i < 80; i++) lesson(i % 4 == 0);
    require(density_expected());
}

static void a_filled_block_grows_densely(void)
{
    uintptr_t p = memory();
    require(!density_is_high(p, SUPERSLAB_SIZE));
    memset((void *)p, 1, SUPERSLAB_SIZE / 2);
    require(!density_is_high(p, SUPERSLAB_SIZE));
    memset((void *)p, 1, SUPERSLAB_SIZE);
    require(density_is_high(p, SUPERSLAB_SIZE));
}

/* ---- for long runs ---- */

/* The next dense runs leave nothing to be looked at. */
static void skip_lesson(void)
{
    require(density_wants_lesson());
}

static struct span take_long(unsigned count, bool dense)
{
    struct span span;
    uint32_t dirty[LONG_SUPERSLABS_MAX];
    bool done = arena_take_long(count, count * (size_t)UNIT_SIZE, dense, false, &span, dirty);
    require(done, "%u units", count);
    require_whole();
    return span;
}

/* Where there is a chunk, the first is for its books. */
static void require_advice(unsigned i, uintptr_t base, size_t size, bool allow)
{
    require(i < fake.huge_count, "%u calls", fake.huge_count);
    struct fake_huge *h = &fake.huge[i];
    require(h->base == base && h->size == size && h->allow == allow, "%lx: %zu bytes, %d", h->base, h->size, h->allow);
}

static void a_new_chunk_keeps_to_small_pages(void)
{
    start();
    struct span span = take(1, false);
    require(fake.huge_count == 2);
    require_advice(1, span.base, CHUNK_SIZE_MAX, false);
}

static void a_dense_run_may_have_huge_pages(void)
{
    start();
    skip_lesson();
    struct span span = take_long(4 * SUPERSLAB_UNITS + 5, true);
    require(fake.calls[FAKE_FILL_HUGE] == 1 && fake.huge_count == 3, "the first is a trial");
    require_advice(2, span.base + SUPERSLAB_SIZE, 3 * (size_t)SUPERSLAB_SIZE, true);
    give(span, 4 * SUPERSLAB_UNITS + 5);
    require(take_long(3 * SUPERSLAB_UNITS, true).base == span.base);
    require(fake.calls[FAKE_FILL_HUGE] == 1 && fake.huge_count == 3, "they are allowed there already");
}

static void one_of_eight_dense_runs_teaches(void)
{
    start();
    for (unsigned i = 0; i < 2 * LEARN_EVERY; i++) {
        fake.huge_count = 0;
        watched = 0;
        struct span span = take_long(4 * SUPERSLAB_UNITS, true);
        uintptr_t last = span.base + 3 * (uintptr_t)SUPERSLAB_SIZE;
        bool teaches = i % LEARN_EVERY == 0;
        require(watched == (teaches ? last : 0), "run %u", i);
        require(fake.calls[FAKE_FILL_HUGE] == i + 1);
        struct fake_huge *allowed = &fake.huge[fake.huge_count - 1];
        require(allowed->base == span.base + SUPERSLAB_SIZE && allowed->allow);
        require(allowed->size == (teaches ? 2 : 3) * (size_t)SUPERSLAB_SIZE, "but for the one that is watched");
    }
}

static void a_dense_run_of_one_superslab_teaches_with_all_of_it(void)
{
    start();
    struct span span = take_long(SUPERSLAB_UNITS + 1, true);
    require(fake.calls[FAKE_FILL_HUGE] == 0 && fake.huge_count == 2 && watched == span.base);
    watched = 0;
    (void)take_long(SUPERSLAB_UNITS + 1, true);
    require(fake.calls[FAKE_FILL_HUGE] == 1 && watched == 0);
    fake.fill_ns = SLOW_NS;
    (void)take_long(SUPERSLAB_UNITS + 1, true);
    require(fake.calls[FAKE_FILL_HUGE] == 2 && watched == 0, "it is filled, if slowly");
}

static void a_run_with_memory_is_left_alone(void)
{
    start();
    skip_lesson();
    struct span span = take_long(4 * SUPERSLAB_UNITS, false);
    give(span, 4 * SUPERSLAB_UNITS);
    require(take_long(6 * SUPERSLAB_UNITS, true).base == span.base);
    require(fake.calls[FAKE_FILL_HUGE] == 1 && fake.huge_count == 3);
    require_advice(2, span.base + 5 * (uintptr_t)SUPERSLAB_SIZE, SUPERSLAB_SIZE, true);
}

static void a_sparse_run_is_watched(void)
{
    start();
    struct span span = take_long(3 * SUPERSLAB_UNITS, false);
    require(fake.huge_count == 2 && watched == span.base + 2 * (uintptr_t)SUPERSLAB_SIZE);
}

static void units_taken_singly_keep_to_small_pages(void)
{
    start();
    skip_lesson();
    struct span span = take_long(3 * SUPERSLAB_UNITS, true);
    give(span, 3 * SUPERSLAB_UNITS);
    require(arena.huge_superslabs == 2);
    for (unsigned i = 0; i < 3; i++) (void)take(SUPERSLAB_UNITS, false);
    require(fake.huge_count == 5 && arena.huge_superslabs == 0);
    require(!fake.huge[3].allow && !fake.huge[4].allow);
}

static void purged_superslabs_keep_to_small_pages(void)
{
    start();
    skip_lesson();
    struct span span = take_long(3 * SUPERSLAB_UNITS, true);
    give(span, 3 * SUPERSLAB_UNITS);
    require(arena_purge(true) == 3 * (size_t)SUPERSLAB_SIZE);
    require(fake.huge_count == 5 && arena.huge_superslabs == 0);
    require_advice(3, span.base + SUPERSLAB_SIZE, SUPERSLAB_SIZE, false);
    require_advice(4, span.base + 2 * (uintptr_t)SUPERSLAB_SIZE, SUPERSLAB_SIZE, false);
}

static void a_run_has_small_pages_when_the_first_fill_is_slow(void)
{
    start();
    skip_lesson();
    fake.fill_ns = SLOW_NS;
    struct span span = take_long(4 * SUPERSLAB_UNITS, true);
    require(fake.calls[FAKE_FILL_HUGE] == 1 && fake.huge_count == 2);
    require(watched == span.base + 3 * (uintptr_t)SUPERSLAB_SIZE, "the others are watched");
}

static void the_number_of_stretches_is_bounded(void)
{
    start();
    skip_lesson();
    arena.huge_superslabs = HUGE_SUPERSLABS_MAX - 2;
    struct span span = take_long(5 * SUPERSLAB_UNITS, true);
    require(fake.huge_count == 3);
    require_advice(2, span.base + SUPERSLAB_SIZE, 2 * (size_t)SUPERSLAB_SIZE, true);
    arena.huge_superslabs = 2;
}

/* ---- runs of which little is touched ---- */

static void an_empty_superslab_goes_back_but_for_its_first_unit(void)
{
    start();
    struct span span = take_long(3 * SUPERSLAB_UNITS, false);
    struct span unit = take(1, false);
    give(span, 3 * SUPERSLAB_UNITS);
    (void)arena_purge(false); /* of half the age */
    fake.calls[FAKE_PURGE] = 0;
    require(!arena_purge_empty() && fake.calls[FAKE_PURGE] == 3, "no more than these three");
    require_whole();
    require(usage().dirty_units == 3);
    require(!arena_purge_empty() && fake.calls[FAKE_PURGE] == 3, "nothing is left");
    require(arena_purge(false) == 3 * (size_t)UNIT_SIZE, "dates have not changed");
    give(unit, 1);
    (void)arena_purge_empty();
    require(usage().dirty_units == (unit.base % SUPERSLAB_SIZE != 0 ? 0 : 1), "the only one of its SuperSlab");
    require_whole();
}

static void a_superslab_in_use_is_not_empty(void)
{
    start();
    struct span span = take(8, false);
    struct span unit = take(1, false);
    give(span, 8);
    require(!arena_purge_empty() && fake.calls[FAKE_PURGE] == 0);
    give(unit, 1);
    (void)arena_purge_empty();
    require(fake.calls[FAKE_PURGE] == 1 && usage().dirty_units == 1);
}

static void many_empty_superslabs_go_back_in_batches(void)
{
    start();
    for (unsigned i = 0; i < 3; i++) give(take_long(LONG_UNITS_MAX, false), LONG_UNITS_MAX);
    struct span a = take_long(LONG_UNITS_MAX, false);
    give(take_long(LONG_UNITS_MAX, false), LONG_UNITS_MAX);
    give(a, LONG_UNITS_MAX);
    require(arena_purge_empty() && fake.calls[FAKE_PURGE] == PURGE_BATCH);
    require(arena_purge_empty() && fake.calls[FAKE_PURGE] == 2 * PURGE_BATCH);
    require(!arena_purge_empty() && usage().dirty_units == 2 * PURGE_BATCH);
}

static void a_refused_purge_of_empty_superslabs_ends(void)
{
    start();
    give(take_long(4 * SUPERSLAB_UNITS, false), 4 * SUPERSLAB_UNITS);
    fake_fail(FAKE_PURGE, 1, FAKE_FOR_GOOD);
    require(!arena_purge_empty() && usage().dirty_units == 4 * SUPERSLAB_UNITS);
    require_whole();
}

static void replace_blocks(unsigned count, bool touched)
{
    for (unsigned i = 0; i < count; i++) {
        unsigned char *p = large_alloc(8 * MIB, 1, false);
        if (touched) memset(p, 1, 8 * MIB);
        require(large_free(p, tagmap_get(p)));
    }
}

static void sparse_blocks_leave_little_behind(void)
{
    start();
    void *held = large_alloc(8 * MIB, 1, false); /* the first lesson */
    replace_blocks(SPARSE_TURNS * 2 - 1, false);
    require(fake.calls[FAKE_PURGE] == 0);
    replace_blocks(1, false);
    require(fake.calls[FAKE_PURGE] == 4 && usage().dirty_units == 4);
    replace_blocks(SPARSE_TURNS, false);
    require(fake.calls[FAKE_PURGE] == 4, "it counts anew");
    require(large_free(held, tagmap_get(held)));
}

static void filled_blocks_stay(void)
{
    start();
    replace_blocks(1, true);
    void *held = large_alloc(8 * MIB, 1, false);
    memset(held, 1, 8 * MIB);
    replace_blocks(SPARSE_TURNS * 4, true);
    require(fake.calls[FAKE_PURGE] == 0);
    require(large_free(held, tagmap_get(held)));
}

/* ---- for mappings ---- */

static void *resize(void *p, size_t size)
{
    void *q = large_resize(p, tagmap_get(p), size, false);
    require(q, "%zu bytes", size);
    const char *broken = large_verify();
    require(!broken, "%s", broken);
    return q;
}

static void a_filled_mapping_that_grows_may_have_huge_pages(void)
{
    start();
    unsigned char *p = mapping_alloc(6 * MIB, 1, false);
    require(fake.huge_count == 1 && !fake.huge[0].allow);
    memset(p, 1, 6 * MIB);
    fake_fail(FAKE_REMAP, 1, 1);
    p = resize(p, 12 * MIB);
    require((uintptr_t)p % SUPERSLAB_SIZE == 0 && fake.huge_count == 2);
    require_advice(1, (uintptr_t)p, 14 * MIB, true);
    require(p[6 * MIB - 1] == 1);
}

static void a_growing_mapping_is_of_one_mind(void)
{
    start();
    fake.fill_ns = SLOW_NS;
    unsigned char *p = mapping_alloc(6 * MIB, 1, false);
    memset(p, 1, 6 * MIB);
    fake_fail(FAKE_REMAP, 1, 1);
    p = resize(p, 12 * MIB);
    require(fake.calls[FAKE_FILL_HUGE] == 1 && fake.huge_count == 2);
    require_advice(1, (uintptr_t)p, 14 * MIB, false);
}

static void a_mapping_that_was_not_filled_keeps_to_small_pages(void)
{
    start();
    unsigned char *p = mapping_alloc(6 * MIB, 1, false);
    memset(p, 1, 3 * MIB);
    (void)resize(p, 12 * MIB);
    require(fake.huge_count == 1 && !fake.huge[0].allow);
}

static void an_outgrown_run_is_looked_at(void)
{
    start();
    for (int filled = 0; filled < 2; filled++) {
        unsigned char *p = large_alloc(10 * MIB, 1, false);
        if (filled) memset(p, 1, 10 * MIB);
        void *behind = large_alloc(MIB, 1, false); /* so that it cannot grow where it is */
        fake.huge_count = 0;
        p = resize(p, 80 * MIB);
        require(fake.huge_count == 1 && fake.huge[0].allow == (filled != 0));
        require(filled == 0 || (uintptr_t)p % SUPERSLAB_SIZE == 0);
        require(large_free(p, tagmap_get(p)) && large_free(behind, tagmap_get(behind)));
        (void)large_purge(true);
    }
}

static void a_long_block_follows_the_lessons(void)
{
    start();
    for (unsigned i = 0; i < 3; i++) lesson(true);
    unsigned char *p = large_alloc(100 * MIB, 1, false);
    require(fake.huge_count == 1 && (uintptr_t)p % SUPERSLAB_SIZE == 0);
    require_advice(0, (uintptr_t)p, 100 * MIB, true);
}

/* The system may be set to make everything huge that nobody forbids. */
static void a_mapping_of_which_nothing_is_known_gets_small_pages(void)
{
    start();
    unsigned char *p = mapping_alloc(100 * MIB, 1, false);
    require(fake.huge_count == 1);
    require_advice(0, (uintptr_t)p, 100 * MIB, false);
    (void)mapping_alloc(MIB, 256 * 1024, false);
    require(fake.huge_count == 1, "no huge page fits");
}

/* ---- as the user wants it ---- */

static void never_means_never(void)
{
    start();
    option_set(OPTION_thp, THP_NEVER);
    (void)grow_dense();
    (void)take(1, true);
    for (unsigned i = 0; i < 8; i++) lesson(true);
    require(!density_expected() && fake.calls[FAKE_FILL_HUGE] == 0);
    uintptr_t filled = memory();
    memset((void *)filled, 1, UNIT_SIZE);
    for (unsigned i = 0; i < 4; i++) require(!density_of_slab(30, filled));
    unsigned char *p = mapping_alloc(6 * MIB, 1, false);
    memset(p, 1, 6 * MIB);
    (void)resize(p, 12 * MIB);
    (void)large_alloc(100 * MIB, 1, false);
    for (unsigned i = 0; i < fake.huge_count; i++) require(!fake.huge[i].allow);
}

static void always_means_everywhere(void)
{
    start();
    option_set(OPTION_thp, THP_ALWAYS);
    (void)grow_dense();
    (void)take(1, true);
    struct span span = take_long(4 * SUPERSLAB_UNITS, true);
    give(span, 4 * SUPERSLAB_UNITS);
    (void)take(1, false);
    (void)arena_purge(true);
    require(fake.calls[FAKE_FILL_HUGE] == 0 && fake.huge_count == 2);
    require(fake.huge[1].size == CHUNK_SIZE_MAX && fake.huge[1].allow);
    unsigned char *p = large_alloc(100 * MIB, 1, false);
    require_advice(2, (uintptr_t)p, 100 * MIB, true);
}

static void chunks_that_are_early_follow_later(void)
{
    start();
    struct span span = take(1, false);
    arena_start();
    require(fake.huge_count == 2);
    option_set(OPTION_thp, THP_ALWAYS);
    arena_start();
    require(fake.huge_count == 3);
    require_advice(2, span.base, CHUNK_SIZE_MAX, true);
}

/* Where the system's setting is 'always' it would have huge pages, whatever ours is. */
static void a_short_mapping_that_grows_is_advised_then(void)
{
    start();
    unsigned char *p = malloc_mapping(MIB);
    fake.huge_count = 0;
    p = large_resize(p, tagmap_get(p), 10 * MIB, false);
    require(p && fake.huge_count == 1 && !fake.huge[0].allow, "%u", fake.huge_count);
    require(fake.huge[0].base == (uintptr_t)p && fake.huge[0].size >= 10 * MIB);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_expected_without_a_lesson),
        TEST(two_filled_blocks_let_expect_another),
        TEST(untouched_blocks_change_the_expectation),
        TEST(one_filled_block_of_four_is_enough),
        TEST(a_filled_block_grows_densely),
        TEST(a_new_chunk_keeps_to_small_pages),
        TEST(a_dense_run_may_have_huge_pages),
        TEST(one_of_eight_dense_runs_teaches),
        TEST(a_dense_run_of_one_superslab_teaches_with_all_of_it),
        TEST(a_run_with_memory_is_left_alone),
        TEST(a_sparse_run_is_watched),
        TEST(units_taken_singly_keep_to_small_pages),
        TEST(purged_superslabs_keep_to_small_pages),
        TEST(a_run_has_small_pages_when_the_first_fill_is_slow),
        TEST(the_number_of_stretches_is_bounded),
        TEST(an_empty_superslab_goes_back_but_for_its_first_unit),
        TEST(a_superslab_in_use_is_not_empty),
        TEST(many_empty_superslabs_go_back_in_batches),
        TEST(a_refused_purge_of_empty_superslabs_ends),
        TEST(sparse_blocks_leave_little_behind),
        TEST(filled_blocks_stay),
        TEST(a_filled_mapping_that_grows_may_have_huge_pages),
        TEST(a_growing_mapping_is_of_one_mind),
        TEST(a_mapping_that_was_not_filled_keeps_to_small_pages),
        TEST(an_outgrown_run_is_looked_at),
        TEST(a_long_block_follows_the_lessons),
        TEST(a_mapping_of_which_nothing_is_known_gets_small_pages),
        TEST(never_means_never),
        TEST(always_means_everywhere),
        TEST(chunks_that_are_early_follow_later),
        TEST(a_short_mapping_that_grows_is_advised_then),
    };
    return run_unit_tests(tests);
}
