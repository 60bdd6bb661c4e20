/* arena_test.c - chunks, SuperSlabs, units and runs: order of choice, refusals, and broken on purpose. How their memory
 * goes back: purge_test.c.
 */
#include "superslabs.h"

/* ---- taking and giving ---- */

static void runs_of_every_length_are_whole_and_apart(void)
{
    static struct span taken[SUPERSLAB_UNITS * 2 + 1];
    unsigned count = 0;
    start();
    for (unsigned round = 0; round < 2; round++)
        for (unsigned units = 1; units <= SUPERSLAB_UNITS; units++) {
            struct span span = take(units);
            require(span.base % UNIT_SIZE == 0 && span.dirty == 0);
            require(span.base / SUPERSLAB_SIZE == (span.base + units * (uintptr_t)UNIT_SIZE - 1) / SUPERSLAB_SIZE);
            require(reads_as_zero((void *)span.base, units * (size_t)UNIT_SIZE));
            memset((void *)span.base, (int)units, units * (size_t)UNIT_SIZE);
            taken[count++] = span;
            require_whole();
        }
    for (unsigned i = 0; i < count; i++) {
        unsigned units = i % SUPERSLAB_UNITS + 1;
        for (size_t k = 0; k < units * (size_t)UNIT_SIZE; k += 97)
            require(((unsigned char *)taken[i].base)[k] == units, "run %u", i);
        for (unsigned k = 0; k < i; k++) require(taken[i].record != taken[k].record);
    }
}

static void records_of_a_run_follow_each_other(void)
{
    start();
    struct span a = take(4), b = take(1);
    require(superslab_of(a) == superslab_of(b));
    require(b.record - a.record == (b.base - a.base) / UNIT_SIZE);
    memset(record_at(a.record + 3), 0xff, sizeof(struct record));
    require(reads_as_zero(record_at(b.record), sizeof(struct record)));
}

static void a_unit_given_back_is_tagged_free(void)
{
    start();
    struct span span = take(3);
    tagmap_set(span.base, 3, TAG_RUN, span.record);
    give(span, 3);
    for (unsigned i = 0; i < 3; i++)
        require(tag_offset(tagmap_get((void *)(span.base + i * UNIT_SIZE))) == TAG_FREE);
    require(dirty_units() == 3);
    require_whole();
}

static void usage_counts_units(void)
{
    struct arena_usage usage;
    start();
    arena_usage(&usage);
    require(usage.units == 0 && usage.free_units == 0 && usage.dirty_units == 0 && !arena_has_dirty());
    struct span span = take(5);
    arena_usage(&usage);
    require(usage.units == 32 && usage.free_units == 27 && usage.dirty_units == 0 && !arena_has_dirty());
    give(span, 5);
    arena_usage(&usage);
    require(usage.units == 32 && usage.free_units == 32 && usage.dirty_units == 5 && arena_has_dirty());
    (void)take(32);
    arena_usage(&usage);
    require(usage.units == 32 && usage.free_units == 0 && usage.dirty_units == 0);
}

static void the_fullest_superslab_comes_first(void)
{
    take_everything();
    free_some(0, 0, 10);
    free_some(1, 5, 2);
    free_some(2, 9, 5);
    require(arena_purge(true) == 17 * (size_t)UNIT_SIZE);
    const unsigned expected[] = {1, 1, 2, 2, 2, 2, 2, 0, 0};
    for (unsigned i = 0; i < array_length(expected); i++) {
        struct span span = take(1);
        require(superslab_of(span) == superslab_of(unit[expected[i]][0]), "take %u", i);
        require(span.dirty == 0);
    }
    require_whole();
}

static void a_run_comes_from_the_fullest_superslab_that_has_it(void)
{
    take_everything();
    free_some(0, 0, 20);
    free_some(1, 0, 1);
    free_some(1, 2, 1); /* two units, not a run */
    free_some(2, 4, 3);
    (void)arena_purge(true);
    struct span span = take(2);
    require(superslab_of(span) == superslab_of(unit[2][0]));
    span = take(2);
    require(superslab_of(span) == superslab_of(unit[0][0]));
    require_whole();
}

static void memory_that_is_there_is_used_before_new_memory(void)
{
    take_everything();
    free_some(0, 0, 2);
    (void)arena_purge(true); /* SuperSlab 0: fuller, without memory */
    free_some(1, 0, 9);      /* SuperSlab 1: emptier, with memory */
    for (unsigned i = 0; i < 9; i++) {
        struct span span = take(1);
        require(superslab_of(span) == superslab_of(unit[1][0]), "take %u", i);
        require(span.dirty == 1);
    }
    require(take(1).dirty == 0);
    require_whole();
}

static void a_dirty_unit_comes_before_a_clean_one(void)
{
    take_everything();
    free_some(0, 0, 4);
    (void)arena_purge(true);
    free_some(0, 20, 2); /* higher than the clean ones */
    require(take(1).base == unit[0][20].base);
    require(take(1).base == unit[0][21].base);
    require(take(1).base == unit[0][0].base);
}

static void a_run_says_which_of_its_units_are_dirty(void)
{
    take_everything();
    free_some(0, 0, 8);
    (void)arena_purge(true);
    give(take(1), 1); /* unit 0 */
    struct span span = take(8);
    require(span.base == unit[0][0].base && span.dirty == 1, "%x", span.dirty);
    give(span, 8);
    require(take(8).dirty == 0xff);
}

/* ---- extending ---- */

static void a_run_grows_into_free_neighbours(void)
{
    take_everything();
    free_some(0, 4, 4);
    require(arena_extend(unit[0][3].record, 1, 2));
    require(dirty_units() == 2);
    require(superslab_of(unit[0][0])->occupied == ~bit_run(6, 2));
    (void)arena_purge(true);
    require(arena_extend(unit[0][3].record, 3, 2));
    require_whole();
}

static void a_run_does_not_grow_over_its_neighbours(void)
{
    take_everything();
    free_some(0, 4, 3);
    free_some(0, 30, 2);
    uint32_t before = superslab_of(unit[0][0])->occupied;
    require(!arena_extend(unit[0][3].record, 1, 4), "the fourth is taken");
    require(!arena_extend(unit[0][8].record, 1, 1));
    require(!arena_extend(unit[0][29].record, 1, 3), "the next SuperSlab is taken");
    require(!arena_extend(unit[0][31].record, 1, 1), "the next SuperSlab is taken");
    require(superslab_of(unit[0][0])->occupied == before);
    require(arena_extend(unit[0][29].record, 1, 2));
    require_whole();
}

/* ---- the system refuses ---- */

static void require_refusal_is_harmless(enum fake_call call, uint64_t count)
{
    struct span span;
    fake_fail(call, 1, count);
    require(!arena_take(1, false, &span), "%s", fake_call_name(call));
    require(fake.failures[call] > 0);
    require_whole();
    fake_fail_nothing();
    (void)take(SUPERSLAB_UNITS);
    require_whole();
}

static void a_refused_reservation_is_no_memory(void)
{
    start();
    require_refusal_is_harmless(FAKE_RESERVE, FAKE_FOR_GOOD);
}

static void a_refused_commit_is_no_memory(void)
{
    start();
    require_refusal_is_harmless(FAKE_COMMIT, FAKE_FOR_GOOD);
}

/* The second reservation is theirs, and the first commit. */
static void refused_books_are_no_memory(void)
{
    struct span span;
    start();
    for (unsigned i = 0; i < 2; i++) {
        fake_fail(i == 0 ? FAKE_RESERVE : FAKE_COMMIT, i == 0 ? 2 : 1, FAKE_FOR_GOOD);
        require(!arena_take(1, false, &span));
        require_whole();
    }
    fake_fail_nothing();
    (void)take(SUPERSLAB_UNITS);
    require_whole();
}

static void a_refusal_gives_the_addresses_back(void)
{
    start();
    size_t before = fake.address_bytes;
    struct span span;
    for (unsigned i = 0; i < 2; i++) {
        fake_fail(i == 0 ? FAKE_RESERVE : FAKE_COMMIT, i == 0 ? 2 : 1, FAKE_FOR_GOOD);
        require(!arena_take(1, false, &span));
        require(fake.address_bytes == before, "%zu bytes", fake.address_bytes - before);
    }
}

static void a_refused_unmap_costs_addresses_only(void)
{
    start();
    fake_fail(FAKE_UNMAP, 1, FAKE_FOR_GOOD);
    for (unsigned i = 0; i < 40; i++) dirty_fill(take(1), 1);
    require_whole();
}

static void a_generous_commit_that_is_refused_becomes_a_small_one(void)
{
    start();
    for (unsigned i = 0; i < 8; i++) (void)take(SUPERSLAB_UNITS);
    for (unsigned i = 0; i < 40; i++) {
        fake_fail(FAKE_COMMIT, 1, 1); /* every other call */
        dirty_fill(take(SUPERSLAB_UNITS), SUPERSLAB_UNITS);
    }
    require(fake.failures[FAKE_COMMIT] > 1);
    require_whole();
}

static void short_chunks_serve_what_fits(void)
{
    struct span span;
    struct arena_usage usage;
    start();
    fake.map_bytes_max = 5 * UNIT_SIZE; /* 4 units, and the slack of their alignment */
    require(!arena_take(5, false, &span));
    require_whole();
    for (unsigned i = 0; i < 6; i++) {
        span = take(4);
        dirty_fill(span, 4);
        require_whole();
    }
    give(span, 4);
    require(take(3).base == span.base);
    span = take(1);
    require(!arena_extend(span.record, 1, 1), "past the end of the chunk");
    arena_usage(&usage);
    require(usage.units % 4 == 0 && usage.units >= 24, "%zu", usage.units);
    require(arena_contains((void *)span.base));
    require_whole();
}

static void chunks_of_one_unit_serve(void)
{
    start();
    fake.map_bytes_max = 2 * UNIT_SIZE - 4096;
    for (unsigned i = 0; i < 20; i++) dirty_fill(take(1), 1);
    struct span span;
    require(!arena_take(2, false, &span));
    require_whole();
}

/* The third SuperSlab's chunk does not exist: what exists stays usable. */
static void the_end_of_memory_leaves_the_rest_usable(void)
{
    struct span span;
    take_everything();
    fake_fail(FAKE_COMMIT, 1, FAKE_FOR_GOOD);
    fake_fail(FAKE_RESERVE, 1, FAKE_FOR_GOOD);
    unsigned more = 0;
    while (arena_take(1, false, &span)) more++;
    require(more % SUPERSLAB_UNITS == 0, "%u", more);
    free_some(1, 7, 1);
    require(take(1).base == unit[1][7].base);
    require(!arena_take(1, false, &span));
    require_whole();
}

/* ---- looking ---- */

static void the_arena_knows_its_addresses(void)
{
    int local;
    require(!arena_contains(&local) && !arena_contains(NULL));
    take_everything();
    uintptr_t base = unit[0][0].base;
    require(arena_contains((void *)base) && arena_contains((void *)(base + SLABS * (uintptr_t)SUPERSLAB_SIZE - 1)));
    require(!arena_contains((void *)(base - 1)) && !arena_contains(&local) && !arena_contains(NULL));
    require(!arena_contains((void *)(base + SLABS * (uintptr_t)SUPERSLAB_SIZE)), "never taken");
    free_some(0, 0, 1);
    require(arena_contains((void *)base), "handed out or not");
}

/* ---- broken on purpose ---- */

static struct superslab *half_used(void)
{
    take_everything();
    free_some(0, 0, 8);
    (void)arena_purge(true);
    free_some(0, 8, 8);
    require_whole();
    return superslab_of(unit[0][0]);
}

static void verify_sees_a_unit_occupied_and_dirty(void)
{
    half_used()->dirty |= 1u << 20;
    require_broken(arena_verify(), "arena I1: a unit is occupied and dirty");
}

static void verify_sees_a_unit_stale_and_not_dirty(void)
{
    half_used()->stale |= 1;
    require_broken(arena_verify(), "arena I1: a unit is stale and not dirty");
}

static void verify_sees_a_superslab_missing_from_its_bucket(void)
{
    struct superslab *s = half_used();
    list_remove(&s->bucket_link);
    require_broken(arena_verify(), "arena I2: number of SuperSlabs in buckets");
    list_push_front(&bucket[1][s->free_count], &s->bucket_link);
    require_whole();
    list_push_front(&bucket[0][0], &superslab_of(unit[1][0])->bucket_link); /* full */
    require_broken(arena_verify(), "arena I2: a SuperSlab is in the wrong bucket");
}

static void give_units(struct span span, unsigned first, unsigned count)
{
    give((struct span){.base = span.base + first * (uintptr_t)UNIT_SIZE, .record = span.record + first}, count);
}

/* Of those with as many free units only a few are looked at, as long as there are others to be had. */
static void the_last_room_is_found(void)
{
    enum { FULL = 24, UNITS = 8 };
    struct span all[FULL];
    fake.address_limit = (size_t)1 << 30;
    require(tagmap_init());
    for (unsigned i = 0; i < FULL; i++) all[i] = take(SUPERSLAB_UNITS);
    fake_fail(FAKE_RESERVE, 1, FAKE_FOR_GOOD);
    fake_fail(FAKE_COMMIT, 1, FAKE_FOR_GOOD);
    struct span span;
    while (arena_take(1, false, &span)) continue; /* what is left of the chunk */
    give_units(all[0], 0, 2 * UNITS);
    for (unsigned i = 1; i < FULL; i++)
        for (unsigned odd = 0; odd < SUPERSLAB_UNITS; odd += 2) give_units(all[i], odd, 1);
    require(arena_take(UNITS, false, &span) && span.base == all[0].base);
    (void)arena_purge(true);
    require(arena_take(UNITS, false, &span) && span.base == all[0].base + UNITS * UNIT_SIZE, "without memory as well");
    require(!arena_take(UNITS, false, &span));
    require(!arena_verify());
}

static void verify_sees_a_superslab_in_the_wrong_bucket(void)
{
    struct superslab *s = half_used();
    list_remove(&s->bucket_link);
    list_push_front(&bucket[0][3], &s->bucket_link); /* has 16 free units, and dirty ones */
    require_broken(arena_verify(), "arena I2");
}

static void verify_sees_a_superslab_missing_from_the_dirty_list(void)
{
    struct superslab *s = half_used();
    list_remove(&s->dirty_link);
    require_broken(arena_verify(), "arena I3: length of the dirty list");
    list_push_back(&arena.dirty_list, &s->dirty_link);
    require_whole();
    list_push_back(&arena.dirty_list, &superslab_of(unit[1][0])->dirty_link);
    require_broken(arena_verify(), "arena I3: the dirty list has a clean one");
}

static void verify_sees_wrong_sums(void)
{
    (void)half_used();
    arena.free_units++;
    require_broken(arena_verify(), "arena I4: sums of free and dirty units");
    arena.free_units--;
    require_whole();
    arena.dirty_units--;
    require_broken(arena_verify(), "arena I4: sums of free and dirty units");
}

static void verify_sees_a_bit_that_changed_alone(void)
{
    struct superslab *s = half_used();
    s->occupied |= 1;
    require_broken(arena_verify(), "arena I4: free units of a SuperSlab");
    s->occupied &= ~1u;
    require_whole();
    s->dirty &= s->dirty - 1;
    require_broken(arena_verify(), "arena I4: dirty units of a SuperSlab");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(runs_of_every_length_are_whole_and_apart),
        TEST(records_of_a_run_follow_each_other),
        TEST(a_unit_given_back_is_tagged_free),
        TEST(usage_counts_units),
        TEST(the_fullest_superslab_comes_first),
        TEST(a_run_comes_from_the_fullest_superslab_that_has_it),
        TEST(memory_that_is_there_is_used_before_new_memory),
        TEST(a_dirty_unit_comes_before_a_clean_one),
        TEST(a_run_says_which_of_its_units_are_dirty),
        TEST(a_run_grows_into_free_neighbours),
        TEST(a_run_does_not_grow_over_its_neighbours),
        TEST(a_refused_reservation_is_no_memory),
        TEST(a_refused_commit_is_no_memory),
        TEST(refused_books_are_no_memory),
        TEST(a_refusal_gives_the_addresses_back),
        TEST(a_refused_unmap_costs_addresses_only),
        TEST(a_generous_commit_that_is_refused_becomes_a_small_one),
        TEST(short_chunks_serve_what_fits),
        TEST(chunks_of_one_unit_serve),
        TEST(the_end_of_memory_leaves_the_rest_usable),
        TEST(the_arena_knows_its_addresses),
        TEST(verify_sees_a_unit_occupied_and_dirty),
        TEST(verify_sees_a_unit_stale_and_not_dirty),
        TEST(verify_sees_a_superslab_missing_from_its_bucket),
        TEST(the_last_room_is_found),
        TEST(verify_sees_a_superslab_in_the_wrong_bucket),
        TEST(verify_sees_a_superslab_missing_from_the_dirty_list),
        TEST(verify_sees_wrong_sums),
        TEST(verify_sees_a_bit_that_changed_alone),
    };
    return run_unit_tests(tests);
}
