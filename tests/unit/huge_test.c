/* huge_test.c - huge pages for slabs: which heaps get them, what is dirty then, what slow ones change, which slabs of
 * larger blocks count as dense, and broken on purpose. For large blocks: huge_large_test.c.
 */
#include "dense.h"

/* ---- for slabs ---- */

static void a_small_heap_gets_small_pages(void)
{
    start();
    struct span span = grow_dense();
    require(fake.calls[FAKE_FILL_HUGE] == 0 && usage().dirty_units == 0 && !span.present);
}

static void a_dense_heap_grows_by_a_huge_page(void)
{
    start();
    (void)grow_dense();
    struct span span = take(1, true);
    require(fake.calls[FAKE_FILL_HUGE] == 1 && span.base % SUPERSLAB_SIZE == 0);
    require(span.dirty == 0 && span.present && usage().dirty_units == SUPERSLAB_UNITS - 1);
    for (unsigned i = 1; i < SUPERSLAB_UNITS; i++) {
        struct span next = take(1, i % 2 != 0);
        require(next.base == span.base + i * (uintptr_t)UNIT_SIZE, "the same SuperSlab goes on");
        require(next.dirty == 0 && next.present, "unit %u has memory, which reads as zero", i);
    }
    require(fake.calls[FAKE_FILL_HUGE] == 1 && usage().dirty_units == 0);
    (void)take(1, true);
    require(fake.calls[FAKE_FILL_HUGE] == 2);
}

static void a_used_unit_of_a_huge_page_is_dirty(void)
{
    start();
    (void)grow_dense();
    struct span span = take(4, true);
    give(span, 4);
    span = take(8, false);
    require(span.dirty == 0x0f && span.present, "the other four read as zero");
}

static struct span taken_meanwhile;

static void take_meanwhile(void)
{
    require(arena_take(1, false, &taken_meanwhile));
}

static void a_superslab_being_filled_is_not_shared(void)
{
    start();
    (void)grow_dense();
    fake.while_filling = take_meanwhile;
    struct span span = take(1, true);
    require(taken_meanwhile.base - span.base >= SUPERSLAB_SIZE, "both in one SuperSlab");
}

static void what_is_not_dense_gets_small_pages(void)
{
    start();
    (void)grow_dense();
    (void)take(1, false);
    require(fake.calls[FAKE_FILL_HUGE] == 0);
    (void)take(1, true);
    require(fake.calls[FAKE_FILL_HUGE] == 0, "the SuperSlab is in use");
}

static void a_heap_that_is_mostly_not_dense_gets_small_pages(void)
{
    start();
    (void)grow_dense();
    for (unsigned i = 0; i <= HUGE_AFTER / SUPERSLAB_UNITS; i++) (void)take(SUPERSLAB_UNITS, false);
    (void)take(1, true);
    require(fake.calls[FAKE_FILL_HUGE] == 0);
}

static void a_heap_that_shrank_gets_small_pages(void)
{
    start();
    struct span first = grow_dense();
    give(first, 1);
    (void)take(1, false);
    (void)take(1, true);
    require(fake.calls[FAKE_FILL_HUGE] == 0, "one dense unit less");
}

static void a_refused_huge_page_costs_nothing(void)
{
    start();
    (void)grow_dense();
    fake_fail(FAKE_FILL_HUGE, 1, 1);
    struct span span = take(1, true);
    require(span.dirty == 0 && usage().dirty_units == 0);
    require_whole();
    span = take(1, true);
    require(fake.calls[FAKE_FILL_HUGE] == 1, "one try for each SuperSlab");
}

static void the_rest_of_a_huge_page_goes_back_when_idle(void)
{
    start();
    (void)grow_dense();
    (void)take(1, true);
    require(arena_purge(false) == 0);
    require(arena_purge(false) == (SUPERSLAB_UNITS - 1) * (size_t)UNIT_SIZE);
    require_whole();
    struct span span = take(1, false);
    require(span.dirty == 0);
}

static void a_purge_that_is_refused_keeps_nothing_zero(void)
{
    start();
    (void)grow_dense();
    (void)take(1, true);
    fake_fail(FAKE_PURGE, 1, 1);
    (void)arena_purge(true);
    require_whole();
    require(take(1, false).dirty == 1);
}

/* ---- whether they are at hand ---- */

/* How many opportunities pass until the next try. */
static unsigned passes(void)
{
    unsigned count = 0;
    while (!huge_at_hand()) count++;
    return count;
}

static void fill(uint64_t ns)
{
    fake.fill_ns = ns;
    (void)huge_fill(0);
}

static void after_slow_fills_ever_more_opportunities_pass(void)
{
    require(passes() == 0);
    fill(SLOW_NS - 1);
    require(passes() == 0);
    for (unsigned i = 1; i <= PASS_MAX; i = 2 * i + 1) {
        fill(SLOW_NS);
        require(passes() == i, "%u", i);
    }
    fill(SLOW_NS);
    require(passes() == PASS_MAX);
}

static void quick_fills_halve_what_passes(void)
{
    for (unsigned i = 0; i < 4; i++) {
        fill(SLOW_NS);
        (void)passes();
    }
    fill(0);
    require(passes() == 0);
    fill(SLOW_NS);
    require(passes() == 15, "15, halved, doubled");
}

static void a_refused_fill_counts_as_slow(void)
{
    fake_fail(FAKE_FILL_HUGE, 1, 1);
    fill(0);
    require(passes() == 1);
}

static void a_heap_grows_in_small_pages_while_huge_ones_are_slow(void)
{
    start();
    fake.fill_ns = SLOW_NS;
    (void)grow_dense();
    for (unsigned i = 0; i < 7 * SUPERSLAB_UNITS; i++) (void)take(1, true);
    require(fake.calls[FAKE_FILL_HUGE] == 3, "SuperSlabs 1, 3 and 7: %zu", (size_t)fake.calls[FAKE_FILL_HUGE]);
}

/* ---- slabs of blocks above 2 KiB ---- */

static const unsigned CLASS = 30, OTHER_CLASS = 31;

/* A unit, of which the first so many pages were touched. */
static uintptr_t unit_with(unsigned pages)
{
    uintptr_t p = os_aligned(os_map, UNIT_SIZE, UNIT_SIZE);
    memset((void *)p, 1, pages * os_page_size());
    return p;
}

/* Of the next slabs, those that are expected to be filled. */
static unsigned expected(unsigned class, uintptr_t unit, unsigned slabs)
{
    unsigned yes = 0;
    for (unsigned i = 0; i < slabs; i++) yes += density_of_slab(class, unit);
    return yes;
}

static void nothing_is_expected_of_a_class_without_a_lesson(void)
{
    require(expected(CLASS, 0, 2 * SLABS_LEARN_EVERY) == 0);
}

static void a_filled_slab_lets_expect_another(void)
{
    require(expected(CLASS, 0, 3) == 0);
    require(expected(CLASS, unit_with(13), 1) == 1, "the first lesson waits for no date");
    require(expected(CLASS, 0, 2 * SLABS_LEARN_EVERY) == 2 * (SLABS_LEARN_EVERY - 1), "one of each turn is for learning");
    require(expected(OTHER_CLASS, 0, 2 * SLABS_LEARN_EVERY) == 0, "nothing is known of others");
}

static void a_slab_with_gaps_lets_expect_none(void)
{
    require(expected(CLASS, unit_with(12), 2 * SLABS_LEARN_EVERY) == 0);
}

static void a_slab_with_gaps_ends_the_expectation(void)
{
    require(expected(CLASS, unit_with(16), SLABS_LEARN_EVERY) == SLABS_LEARN_EVERY - 1);
    require(expected(CLASS, 0, 1) == 0);
    require(expected(CLASS, unit_with(8), FILLED_LOOK_EVERY) == FILLED_LOOK_EVERY - 1, "the last of these has looked");
    require(expected(CLASS, 0, 2 * SLABS_LEARN_EVERY) == 0);
}

static void a_class_with_gaps_is_looked_at_again_now_and_then(void)
{
    uintptr_t filled = unit_with(16);
    require(expected(CLASS, unit_with(8), 1) == 0);
    require(expected(CLASS, filled, SLABS_LEARN_EVERY) == 0, "the last of these has learned");
    require(expected(CLASS, filled, SLABS_LEARN_EVERY) == SLABS_LEARN_EVERY - 1);
}

/* `count` blocks, each with so much of it touched. */
static void use_blocks(unsigned count, size_t size, size_t touched)
{
    for (unsigned i = 0; i < count; i++) {
        void *p = hak_malloc(size);
        require(p, "block %u", i);
        memset(p, 1, touched);
    }
}

/* What decides is the slab that begins a SuperSlab. */
static void a_class_that_grows_alone_gets_small_pages_now_and_then(void)
{
    for (unsigned slabs = 4; slabs <= 32; slabs += 28) {
        unsigned dense = 0;
        (void)expected(slabs, unit_with(16), slabs);
        for (unsigned i = 0; i < SLABS_LEARN_EVERY; i++) {
            dense += density_of_slab(slabs, 0);
            (void)expected(slabs, 0, slabs - 1);
        }
        require(dense == SLABS_LEARN_EVERY - 1, "%u of %u SuperSlabs of %u slabs", dense, SLABS_LEARN_EVERY, slabs);
    }
}

static void filled_blocks_make_a_heap_dense(void)
{
    use_blocks(12 * 20, 5000, 5000);
    require(arena.dense_units >= 15, "%zu", arena.dense_units);
    require_whole();
}

static void blocks_with_gaps_do_not(void)
{
    use_blocks(12 * 20, 5000, 1);
    require(arena.dense_units == 0, "%zu", arena.dense_units);
}

/* The first units of a SuperSlab have memory, and are free. */
static void leave_memory(unsigned units)
{
    struct span span = take(units, false);
    memset((void *)span.base, 1, units * (size_t)UNIT_SIZE);
    give(span, units);
}

/* What a slab took over from others is no sign of what its own blocks touch. */
static void memory_from_earlier_teaches_nothing(void)
{
    start();
    leave_memory(24);
    use_blocks(12 * 20, 5000, 1);
    require(lesson_of[class_of(5000)] == LESSON_NONE && arena.dense_units == 0);
}

static void memory_of_some_units_teaches_nothing(void)
{
    const unsigned class = class_of(20000);
    start();
    leave_memory(POOL_UNITS + POOL_UNITS - 1);
    use_blocks(2 * class_capacity(class) + 1, 20000, 1);
    require(lesson_of[class] == LESSON_NONE, "the second slab had memory in all units but one");
    use_blocks(class_capacity(class), 20000, 1);
    require(lesson_of[class] == LESSON_SPARSE);
}

/* ---- broken on purpose ---- */

static void verify_sees_a_unit_zero_and_not_dirty(void)
{
    start();
    chunk_superslab_of(take(1, true).record)->zero = 2;
    require_broken(arena_verify(), "arena I1: a unit is zero and not dirty");
}

static void verify_sees_a_unit_dense_and_not_occupied(void)
{
    start();
    chunk_superslab_of(take(1, true).record)->dense = 2;
    require_broken(arena_verify(), "arena I1: a unit is dense and not occupied");
}

static void verify_sees_a_wrong_sum_of_dense_units(void)
{
    start();
    (void)take(1, true);
    arena.dense_units++;
    require_broken(arena_verify(), "arena I4: sum of dense units");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_small_heap_gets_small_pages),
        TEST(a_dense_heap_grows_by_a_huge_page),
        TEST(a_used_unit_of_a_huge_page_is_dirty),
        TEST(a_superslab_being_filled_is_not_shared),
        TEST(what_is_not_dense_gets_small_pages),
        TEST(a_heap_that_is_mostly_not_dense_gets_small_pages),
        TEST(a_heap_that_shrank_gets_small_pages),
        TEST(a_refused_huge_page_costs_nothing),
        TEST(the_rest_of_a_huge_page_goes_back_when_idle),
        TEST(a_purge_that_is_refused_keeps_nothing_zero),
        TEST(after_slow_fills_ever_more_opportunities_pass),
        TEST(quick_fills_halve_what_passes),
        TEST(a_refused_fill_counts_as_slow),
        TEST(a_heap_grows_in_small_pages_while_huge_ones_are_slow),
        TEST(nothing_is_expected_of_a_class_without_a_lesson),
        TEST(a_filled_slab_lets_expect_another),
        TEST(a_slab_with_gaps_lets_expect_none),
        TEST(a_slab_with_gaps_ends_the_expectation),
        TEST(a_class_with_gaps_is_looked_at_again_now_and_then),
        TEST(a_class_that_grows_alone_gets_small_pages_now_and_then),
        TEST(filled_blocks_make_a_heap_dense),
        TEST(blocks_with_gaps_do_not),
        TEST(memory_from_earlier_teaches_nothing),
        TEST(memory_of_some_units_teaches_nothing),
        TEST(verify_sees_a_unit_zero_and_not_dirty),
        TEST(verify_sees_a_unit_dense_and_not_occupied),
        TEST(verify_sees_a_wrong_sum_of_dense_units),
    };
    return run_unit_tests(tests);
}
