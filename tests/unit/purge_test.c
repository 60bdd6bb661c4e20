/* purge_test.c - free units go back to the system when they have been idle, in few calls, and as far as it lets them;
 * also amid random use.
 */
#include "superslabs.h"

static void a_unit_idle_for_a_whole_tick_is_given_back(void)
{
    start();
    struct span span = take(2);
    dirty_fill(span, 2);
    give(span, 2);
    require(arena_purge(false) == 0, "not a whole tick yet");
    require(dirty_units() == 2);
    require(arena_purge(false) == 2 * (size_t)UNIT_SIZE);
    require(dirty_units() == 0 && !arena_has_dirty());
    require(arena_purge(false) == 0 && arena_purge(true) == 0);
    struct span again = take(2);
    require(again.base == span.base && again.dirty == 0);
    require(reads_as_zero((void *)again.base, 2 * UNIT_SIZE));
    require_whole();
}

static void a_unit_used_again_is_kept(void)
{
    start();
    struct span span = take(1);
    give(span, 1);
    for (unsigned i = 0; i < 10; i++) {
        require(arena_purge(false) == 0, "tick %u", i);
        struct span again = take(1);
        require(again.base == span.base && again.dirty == 1, "tick %u", i);
        give(again, 1);
    }
    require(arena_purge(false) == 0);
    require(arena_purge(false) == UNIT_SIZE);
    require_whole();
}

static void units_of_different_age_go_on_their_own_dates(void)
{
    take_everything();
    free_some(0, 0, 3);
    require(arena_purge(false) == 0);
    free_some(0, 10, 2);
    require(arena_purge(false) == 3 * (size_t)UNIT_SIZE);
    require(dirty_units() == 2);
    require(arena_purge(false) == 2 * (size_t)UNIT_SIZE);
    require_whole();
}

static void neighbours_go_in_one_call(void)
{
    take_everything();
    free_some(0, 0, SUPERSLAB_UNITS);
    require(arena_purge(true) == SUPERSLAB_SIZE);
    require(fake.calls[FAKE_PURGE] == 1, "%lu calls", fake.calls[FAKE_PURGE]);
    free_some(1, 0, 3);
    free_some(1, 8, 1);
    free_some(1, 31, 1);
    require(arena_purge(true) == 5 * (size_t)UNIT_SIZE);
    require(fake.calls[FAKE_PURGE] == 4, "%lu calls", fake.calls[FAKE_PURGE]);
}

/* Else its page table would stay, and it would never have a huge page again. */
static void the_last_memory_goes_with_the_whole_superslab(void)
{
    take_everything();
    free_some(0, 0, 31);
    require(arena_purge(true) == 31 * (size_t)UNIT_SIZE);
    require(fake.purged == (void *)unit[0][0].base && fake.purged_size == 31 * UNIT_SIZE, "%zu", fake.purged_size);
    free_some(0, 31, 1);
    require(arena_purge(true) == UNIT_SIZE, "bytes that had no memory do not count");
    require(fake.purged == (void *)unit[0][0].base && fake.purged_size == SUPERSLAB_SIZE, "%zu", fake.purged_size);
    free_some(1, 0, SUPERSLAB_UNITS);
    (void)arena_purge(false);
    struct span again = take(1);
    require(superslab_of(again)->base == unit[1][0].base, "dirty ones first");
    dirty_fill(again, 1);
    (void)arena_purge(false);
    require(fake.purged_size == 31 * UNIT_SIZE, "%zu: one is in use", fake.purged_size);
    require(*(unsigned char *)again.base == 0xdd);
    require_whole();
}

/* Of a whole one, too. */
static void a_refusal_of_the_last_memory_keeps_it_dirty(void)
{
    take_everything();
    free_some(0, 0, 30);
    require(arena_purge(true) == 30 * (size_t)UNIT_SIZE);
    free_some(0, 30, 2);
    fake_fail(FAKE_PURGE, 1, 1);
    require(arena_purge(true) == 0 && dirty_units() == 2, "%zu dirty", dirty_units());
    require(arena_purge(true) == 2 * (size_t)UNIT_SIZE && dirty_units() == 0);
    require_whole();
}

static void a_refused_purge_keeps_units_dirty(void)
{
    start();
    struct span span = take(4);
    dirty_fill(span, 4);
    give(span, 4);
    fake_fail(FAKE_PURGE, 1, FAKE_FOR_GOOD);
    require(arena_purge(true) == 0);
    require(dirty_units() == 4);
    require_whole();
    struct span again = take(4);
    require(again.base == span.base && again.dirty == 0xf, "%x", again.dirty);
    give(again, 4);
    fake_fail_nothing();
    require(arena_purge(true) == 4 * (size_t)UNIT_SIZE);
    require(take(4).dirty == 0);
}

static void a_purge_refused_in_part_calls_no_stale_unit_clean(void)
{
    take_everything();
    for (unsigned i = 0; i < SUPERSLAB_UNITS; i++) dirty_fill(unit[0][i], 1);
    free_some(0, 2, 1);
    free_some(0, 9, 1);
    free_some(0, 20, 3);
    fake_fail(FAKE_PURGE, 2, 1);
    require(arena_purge(true) == 4 * (size_t)UNIT_SIZE);
    require_whole();
    for (unsigned i = 0; i < 5; i++) {
        struct span span = take(1);
        require(superslab_of(span) == superslab_of(unit[0][0]));
        require(span.dirty || reads_as_zero((void *)span.base, UNIT_SIZE), "unit %u", i);
    }
}

static void more_superslabs_than_a_batch_are_purged(void)
{
    enum { MANY = 3 * PURGE_BATCH + 5 };
    static struct span whole[MANY];
    start();
    for (unsigned i = 0; i < MANY; i++) whole[i] = take(SUPERSLAB_UNITS);
    for (unsigned i = 0; i < MANY; i++) arena_give(whole[i].base + i % 32 * UNIT_SIZE, whole[i].record + i % 32, 1);
    require(arena_purge(false) == 0);
    require_whole();
    require(arena_purge(false) == MANY * (size_t)UNIT_SIZE);
    require(dirty_units() == 0);
    require_whole();
}

static void refused_purges_of_many_superslabs_end(void)
{
    enum { MANY = 2 * PURGE_BATCH };
    static struct span whole[MANY];
    start();
    for (unsigned i = 0; i < MANY; i++) whole[i] = take(SUPERSLAB_UNITS);
    for (unsigned i = 0; i < MANY; i++) give(whole[i], SUPERSLAB_UNITS);
    fake_fail(FAKE_PURGE, 1, FAKE_FOR_GOOD);
    require(arena_purge(true) == 0);
    require(fake.calls[FAKE_PURGE] == MANY);
    require(dirty_units() == MANY * SUPERSLAB_UNITS);
    require_whole();
}

/* As where a program has freed memory that it had locked: some units of each SuperSlab are refused, others not. */
static void a_long_burst_that_is_refused_in_part_ends(void)
{
    enum { MANY = 8, MIDDLE = SUPERSLAB_UNITS / 2 };
    static struct span whole[MANY];
    start();
    for (unsigned i = 0; i < MANY; i++) whole[i] = take(SUPERSLAB_UNITS);
    for (unsigned i = 0; i < MANY; i++) {
        arena_give(whole[i].base, whole[i].record, MIDDLE);
        arena_give(whole[i].base + (MIDDLE + 1) * UNIT_SIZE, whole[i].record + MIDDLE + 1, MIDDLE - 1);
    }
    require(arena_burst_is_long());
    fake_fail_every(FAKE_PURGE, 2);
    arena_purge_burst(fake.now_ms);
    require(fake.failures[FAKE_PURGE] >= MANY && dirty_units() < MANY * MIDDLE, "%zu", dirty_units());
    require_whole();
}

static void random_use_keeps_the_invariants(void)
{
    enum { HELD = 200, STEPS = 6000 };
    static struct { struct span span; unsigned count; } held[HELD];
    unsigned seed = 4711;
    start();
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned i = (unsigned)rand_r(&seed) % HELD, dice = (unsigned)rand_r(&seed) % 100;
        fake_fail_every(FAKE_PURGE, dice % 2 ? 3 : 0);
        if (held[i].count == 0) {
            held[i].count = 1 + (unsigned)rand_r(&seed) % (dice < 80 ? 4 : 32);
            held[i].span = take(held[i].count);
        } else if (dice < 20 && arena_extend(held[i].span.record, held[i].count, 1)) {
            held[i].count++;
        } else {
            give(held[i].span, held[i].count);
            held[i].count = 0;
        }
        if (dice == 50) (void)arena_purge(false);
        if (dice == 51) (void)arena_purge(true);
        if (step % 16 == 0) {
            const char *broken = arena_verify();
            require(!broken, "seed 4711 step %u: %s", step, broken);
        }
    }
    for (unsigned i = 0; i < HELD; i++)
        if (held[i].count > 0) give(held[i].span, held[i].count);
    struct arena_usage usage;
    arena_usage(&usage);
    require(usage.free_units == usage.units);
    require_whole();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_unit_idle_for_a_whole_tick_is_given_back),
        TEST(a_unit_used_again_is_kept),
        TEST(units_of_different_age_go_on_their_own_dates),
        TEST(neighbours_go_in_one_call),
        TEST(the_last_memory_goes_with_the_whole_superslab),
        TEST(a_refusal_of_the_last_memory_keeps_it_dirty),
        TEST(a_refused_purge_keeps_units_dirty),
        TEST(a_purge_refused_in_part_calls_no_stale_unit_clean),
        TEST(more_superslabs_than_a_batch_are_purged),
        TEST(refused_purges_of_many_superslabs_end),
        TEST(a_long_burst_that_is_refused_in_part_ends),
        TEST(random_use_keeps_the_invariants),
    };
    return run_unit_tests(tests);
}
