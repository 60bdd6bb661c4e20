/* long_run_test.c - runs longer than a SuperSlab: where they go, how they share SuperSlabs, grow, are refused and
 * purged. At random: long_run_random_test.c.
 */
#include "unit.h"

static const size_t MIB = (size_t)1 << 20;
enum { SLABS = 8 };

static struct span slab[SLABS];               /* SuperSlabs that lie one behind the other, all taken */
static uint32_t dirty[LONG_SUPERSLABS_MAX];   /* of the run taken last */

static void require_whole(void)
{
    const char *broken = arena_verify();
    require(!broken, "%s", broken);
}

static struct span take(unsigned count)
{
    struct span span;
    bool done = count <= SUPERSLAB_UNITS ? arena_take(count, false, &span)
                                         : arena_take_long(count, count * (size_t)UNIT_SIZE, false, false, &span, dirty);
    require(done, "%u units", count);
    require_whole();
    return span;
}

static bool refused(unsigned count)
{
    struct span span;
    bool done = arena_take_long(count, count * (size_t)UNIT_SIZE, false, false, &span, dirty);
    require_whole();
    return !done;
}

static void give(struct span span, unsigned count)
{
    arena_give(span.base, span.record, count);
    require_whole();
}

static void start(void)
{
    require(tagmap_init());
}

static void take_everything(void)
{
    start();
    for (unsigned s = 0; s < SLABS; s++) {
        slab[s] = take(SUPERSLAB_UNITS);
        require(slab[s].base == slab[0].base + s * (uintptr_t)SUPERSLAB_SIZE);
    }
}

/* Unit `unit` of SuperSlab `s`. */
static struct span at(unsigned s, unsigned unit)
{
    unsigned i = s * SUPERSLAB_UNITS + unit;
    return (struct span){.base = slab[0].base + i * (uintptr_t)UNIT_SIZE, .record = slab[0].record + i};
}

static void give_units(unsigned s, unsigned unit, unsigned count)
{
    give(at(s, unit), count);
}

static void require_at(unsigned count, unsigned s)
{
    struct span span = take(count);
    long found = ((long)span.base - (long)slab[0].base) / (long)UNIT_SIZE;
    require(span.base == at(s, 0).base, "%u units at unit %ld, not in SuperSlab %u", count, found, s);
    require(span.record == at(s, 0).record);
}

static struct arena_usage usage(void)
{
    struct arena_usage u;
    arena_usage(&u);
    return u;
}

/* ---- where they go ---- */

static void they_go_where_most_units_are_dirty(void)
{
    take_everything();
    give_units(0, 0, 61);
    give_units(4, 0, 59);
    (void)arena_purge(true);
    give_units(1, 29, 3);
    give_units(5, 27, 5);
    require_at(64, 4);
    require(dirty[0] == 0 && dirty[1] == bit_run(27, 5), "%x %x", dirty[0], dirty[1]);
    require_at(64, 0);
    require(dirty[0] == 0 && dirty[1] == bit_run(29, 3), "%x %x", dirty[0], dirty[1]);
    require_at(64, SLABS);
    require(dirty[0] == 0 && dirty[1] == 0);
}

static void dirty_units_behind_the_end_do_not_count(void)
{
    take_everything();
    give_units(0, 0, 40);
    give_units(4, 0, 38);
    (void)arena_purge(true);
    give_units(1, 8, 24);
    give_units(5, 6, 2);
    require_at(40, 4);
    require(dirty[0] == 0 && dirty[1] == bit_run(6, 2), "%x %x", dirty[0], dirty[1]);
}

static void of_equal_places_the_lowest_is_taken(void)
{
    take_everything();
    give_units(5, 0, 96);
    give_units(1, 0, 96);
    require_at(33, 1);
    require(dirty[0] == UINT32_MAX && dirty[1] == 1);
    require_at(33, 5);
    require_at(33, 7);
    require_at(33, SLABS + 1);
}

static void the_start_of_the_next_superslab_must_be_free(void)
{
    take_everything();
    give_units(0, 0, 32);
    give_units(1, 1, 31);
    give_units(3, 0, 33);
    require_at(33, 3);
    require_at(33, SLABS);
    give_units(1, 0, 1);
    require_at(64, 0);
}

static void occupied_superslabs_are_stepped_over(void)
{
    take_everything();
    give_units(0, 0, 64);
    give_units(3, 0, 96);
    require_at(96, 3);
    require_at(64, 0);
    give_units(3, 0, 96);
    give_units(7, 0, 32);
    require_at(65, 3);
    require_at(40, 7);
    require(usage().units == 9 * SUPERSLAB_UNITS, "the last one begins in the last SuperSlab in use");
}

static void unused_superslabs_prolong_a_free_end(void)
{
    take_everything();
    give_units(6, 0, 64);
    require_at(128, 6);
    require(dirty[0] == UINT32_MAX && dirty[1] == UINT32_MAX && dirty[2] == 0 && dirty[3] == 0);
    require(usage().units == 10 * SUPERSLAB_UNITS && usage().free_units == 0);
    require_at(LONG_UNITS_MAX, 10);
    require(usage().units == 42 * SUPERSLAB_UNITS && usage().free_units == 0);
}

static void units_being_purged_are_not_free(void)
{
    take_everything();
    give_units(0, 0, 64);
    struct superslab *s = chunk_superslab_of(slab[1].record);
    superslab_change(s, UINT32_MAX, 0); /* what arena_purge() does before it releases the lock, and after */
    require_at(64, SLABS);
    superslab_change(s, 0, 0);
    require_at(64, 0);
    require(dirty[0] == UINT32_MAX && dirty[1] == 0);
}

/* A chunk of 8 SuperSlabs, which refuses runs of which 4 would not fit. */
static void runs_end_with_their_chunk(void)
{
    start();
    fake.map_bytes_max = 18 * MIB;
    require(refused(65), "no chunk is large enough");
    struct span a = take(64), b = take(64), c = take(64), d = take(33), other = take(64);
    require(b.base == a.base + 4 * MIB && c.base == b.base + 4 * MIB && d.base == c.base + 4 * MIB);
    require(chunk_of(other.record) != chunk_of(a.record) && chunk_of(d.record) == chunk_of(a.record));
    give(a, 64);
    give(b, 64);
    give(c, 64);
    give(d, 33);
    struct span whole = take(256);
    require(whole.base == a.base && dirty[6] == UINT32_MAX && dirty[7] == 1, "the whole chunk");
    require(refused(257));
    require(!arena_extend(whole.record, 256, 1), "past the end of the chunk");
}

/* ---- sharing ---- */

static void what_a_tail_leaves_serves_small_runs(void)
{
    start();
    struct span run = take(40), a = take(20), longer = take(33), c = take(24);
    require(a.base == run.base + 40 * UNIT_SIZE && longer.base == run.base + 64 * UNIT_SIZE);
    require(c.base == longer.base + 33 * UNIT_SIZE);
    memset((void *)a.base, 0xaa, 20 * UNIT_SIZE);
    memset((void *)c.base, 0xcc, 24 * UNIT_SIZE);
    give(run, 40);
    give(longer, 33);
    (void)arena_purge(true);
    for (size_t i = 0; i < 20 * UNIT_SIZE; i += 511) require(((unsigned char *)a.base)[i] == 0xaa);
    for (size_t i = 0; i < 24 * UNIT_SIZE; i += 511) require(((unsigned char *)c.base)[i] == 0xcc);
    struct span again = take(40);
    require(again.base == run.base && dirty[0] == 0 && dirty[1] == 0);
    give(again, 40);
    give(a, 20);
    give(c, 24);
    require(usage().free_units == usage().units && usage().dirty_units == 84, "%zu", usage().dirty_units);
}

static void any_part_of_a_run_can_be_given(void)
{
    struct span span;
    take_everything();
    give_units(2, 20, 70); /* over two borders */
    require(usage().dirty_units == 70 && usage().free_units == 70);
    for (unsigned i = 0; i < 70; i++) require(tag_offset(tagmap_get((void *)at(2, 20 + i).base)) == TAG_FREE);
    span = take(32);
    require(span.base == at(3, 0).base, "SuperSlab 3 is free as a whole");
    require(take(26).base == at(4, 0).base && take(12).base == at(2, 20).base);
}

/* ---- extending ---- */

static void a_run_grows_over_borders(void)
{
    take_everything();
    give_units(1, 0, 73); /* SuperSlabs 1 and 2, nine units of the next */
    require(arena_extend(at(0, 30).record, 2, 40));
    require_whole();
    require(usage().dirty_units == 33 && usage().free_units == 33);
    require(arena_extend(at(0, 30).record, 42, 33));
    require_whole();
    require(usage().dirty_units == 0 && usage().free_units == 0);
}

static void a_run_grows_as_a_whole_or_not_at_all(void)
{
    take_everything();
    give_units(1, 0, 73);
    require(!arena_extend(at(0, 30).record, 2, 74), "the last one is taken");
    require(!arena_extend(at(0, 30).record, 2, 200));
    require(!arena_extend(at(0, 29).record, 2, 10), "the first one is taken");
    require(usage().dirty_units == 73 && usage().free_units == 73);
    require_whole();
    give_units(7, 0, 32);
    require(!arena_extend(at(6, 31).record, 1, 33), "the SuperSlab behind is not in use");
    require(usage().free_units == 105);
    require(arena_extend(at(6, 31).record, 1, 32));
    require_whole();
}

/* ---- the system refuses ---- */

static void require_refusal_is_harmless(enum fake_call call)
{
    take_everything();
    give_units(6, 0, 64);
    fake_fail(FAKE_ANY, 1, FAKE_FOR_GOOD);
    require_at(64, 6); /* asks nobody */
    give_units(6, 0, 64);
    fake_fail_nothing();
    size_t before = fake.address_bytes;
    struct arena_usage then = usage();
    unsigned count = call == FAKE_COMMIT ? 256 : 1024;
    if (call != FAKE_COMMIT) chunk_of(slab[0].record)->total = 20; /* so that another chunk is wanted */
    fake_fail(call, 1, FAKE_FOR_GOOD);
    for (unsigned i = 0; i < 3; i++) require(refused(count) && fake.failures[call] > i, "%s", fake_call_name(call));
    struct arena_usage now = usage();
    require(memcmp(&then, &now, sizeof(now)) == 0 && fake.address_bytes == before, "%s", fake_call_name(call));
    fake_fail_nothing();
    struct span span = take(count);
    require(reads_as_zero((void *)(span.base + (count - 1) * (size_t)UNIT_SIZE), UNIT_SIZE));
}

static void a_refused_commit_changes_nothing(void) { require_refusal_is_harmless(FAKE_COMMIT); }
static void a_refused_reservation_changes_nothing(void) { require_refusal_is_harmless(FAKE_RESERVE); }

static void where_memory_is_charged_they_use_what_is_there(void)
{
    take_everything();
    fake.memory_is_charged = true;
    require(refused(33));
    for (unsigned s = 2; s < 4; s++) give(slab[s], SUPERSLAB_UNITS);
    require(refused(65) && take(64).base == slab[2].base);
    require_whole();
}

/* A chunk has their addresses already: where no mapping can be had, it gives them. */
static void where_memory_is_charged_they_make_a_chunk_larger_at_last(void)
{
    start();
    give(take(1), 1);
    fake.memory_is_charged = true;
    fake_fail(FAKE_MAP, 1, FAKE_FOR_GOOD);
    unsigned char *p = large_alloc(40 * MIB, 1, true);
    require(p && arena_contains(p) && reads_as_zero(p, 40 * MIB));
    require(large_free(p, tagmap_get(p)));
    require_whole();
}

/* The chunk that comes first has more, of which the system gives none. */
static void what_a_later_chunk_has_committed_is_used(void)
{
    struct span span;
    fake.address_limit = (size_t)4 << 30; /* chunks of 256 MiB */
    start();
    for (unsigned i = 0; i < 6; i++) (void)take(60 * MIB / UNIT_SIZE);
    (void)take(18 * MIB / UNIT_SIZE); /* more than is left in the first */
    struct chunk *second = chunk_of_block[chunk_last_block];
    require(chunk_with_room() != second && second->committed > bytes_of(second, second->used));
    size_t rest = second->committed - bytes_of(second, second->used);
    fake_fail(FAKE_COMMIT, 1, FAKE_FOR_GOOD);
    fake_fail(FAKE_RESERVE, 1, FAKE_FOR_GOOD);
    size_t units = 0;
    while (arena_take(1, false, &span)) units++;
    require(units >= rest / UNIT_SIZE, "%zu of %zu", units, rest / UNIT_SIZE);
    require(second->committed == bytes_of(second, second->used));
    require_whole();
}

static void a_generous_commit_that_is_refused_becomes_an_exact_one(void)
{
    enum { RUNS = 30, EXACT = 8 }; /* so many take as much as has been taken, or more */
    start();
    for (unsigned i = 0; i < RUNS; i++) {
        if (i > EXACT) fake_fail(FAKE_COMMIT, 1, 1);
        struct span span = take(100);
        memset((void *)span.base, 1, 100 * (size_t)UNIT_SIZE);
    }
    require(fake.failures[FAKE_COMMIT] > 5);
}

/* Chunks of two SuperSlabs are good for the long runs that happen to fit. */
static void a_chunk_that_is_too_small_gives_a_mapping(void)
{
    start();
    fake.map_bytes_max = 5 * MIB;
    void *a = large_alloc(3 * MIB, 1, false);
    require(a && tag_offset(tagmap_get(a)) == TAG_MAPPING);
    void *b = large_alloc(100000, 1, false);
    require(tag_offset(tagmap_get(b)) == TAG_RUN && chunk_of(tagmap_get(b).record)->total == 2);
    require(large_free(b, tagmap_get(b)));
    void *c = large_alloc(3 * MIB, 1, false), *d = large_alloc(3 * MIB, 1, false);
    require(c == b && tag_offset(tagmap_get(c)) == TAG_RUN && tag_offset(tagmap_get(d)) == TAG_MAPPING);
    require_whole();
}

static void short_superslabs_are_no_part_of_long_runs(void)
{
    start();
    fake.map_bytes_max = 20 * UNIT_SIZE; /* chunks of 16 units */
    for (unsigned i = 0; i < 4; i++) give(take(16 - i), 16 - i);
    require(refused(33) && refused(64));
    struct arena_usage u = usage();
    require(u.units == 16 && chunk_of(chunk_superslab_of(1 << RECORD_INDEX_BITS)->record)->empty == 0);
}

static void a_window_has_tags_for_them(void)
{
    fake.address_limit = 1024 * MIB;
    start();
    require(tagmap.windowed);
    unsigned char *p = large_alloc(16 * MIB, 1, false), *q = large_alloc(49 * MIB, 1, false);
    require(tag_offset(tagmap_get(p)) == TAG_RUN && tag_offset(tagmap_get(q)) == TAG_MAPPING, "chunks of 64 MiB");
    for (size_t i = 0; i < 16 * MIB; i += UNIT_SIZE) {
        require(tagmap_get(p + i).record == tagmap_get(p).record && tag_describes(p + i, tagmap_get(p + i)));
        require(i == 0 || !large_free(p + i, tagmap_get(p + i)));
    }
    require(large_free(p, tagmap_get(p)) && large_free(q, tagmap_get(q)));
    require(front_classify(p + 5 * MIB) == FRONT_FREED);
}

/* ---- purging ---- */

/* Two ticks until all of it is stale; then four SuperSlabs fit into the time of each step. */
static void they_are_purged_in_steps_that_do_not_wait(void)
{
    bool more = false;
    start();
    fake.purge_ns = STEP_NS / 4;
    struct span span = take(10 * SUPERSLAB_UNITS);
    give(span, 10 * SUPERSLAB_UNITS);
    require(arena_purge_step(true, &more) && !more && usage().dirty_units == 10 * SUPERSLAB_UNITS);
    lock_acquire(&purge_lock);
    require(!arena_purge_step(true, &more) && usage().dirty_units == 10 * SUPERSLAB_UNITS);
    lock_release(&purge_lock);
    for (unsigned left = 10; left > 2; left -= 4) {
        require(arena_purge_step(left == 10, &more) && more);
        require(usage().dirty_units == (left - 4) * SUPERSLAB_UNITS);
        require_whole();
    }
    require(arena_purge_step(false, &more) && !more && usage().dirty_units == 0);
    require_whole();
}

static void they_are_purged_as_a_whole(void)
{
    start();
    struct span span = take(LONG_UNITS_MAX);
    for (unsigned i = 0; i < LONG_UNITS_MAX; i++) *(unsigned *)(span.base + i * (uintptr_t)UNIT_SIZE) = 1 + i;
    give(span, LONG_UNITS_MAX);
    require(arena_purge(false) == 0 && usage().dirty_units == LONG_UNITS_MAX);
    fake_fail(FAKE_PURGE, 5, 1); /* SuperSlab 4's */
    require(arena_purge(false) == (LONG_UNITS_MAX - SUPERSLAB_UNITS) * (size_t)UNIT_SIZE);
    require_whole();
    require(take(LONG_UNITS_MAX).base == span.base);
    for (unsigned i = 0; i < LONG_UNITS_MAX; i++) {
        bool kept = i / SUPERSLAB_UNITS == 4;
        require((dirty[i / SUPERSLAB_UNITS] >> i % SUPERSLAB_UNITS & 1) == kept, "unit %u", i);
        require(*(unsigned *)(span.base + i * (uintptr_t)UNIT_SIZE) == (kept ? 1 + i : 0), "unit %u", i);
    }
}

static void zeroed_blocks_are_zero_where_part_is_dirty(void)
{
    take_everything();
    for (unsigned s = 0; s < SLABS; s++) memset((void *)slab[s].base, 0xee, SUPERSLAB_SIZE);
    for (unsigned s = 0; s < SLABS; s++) give_units(s, s, 5); /* elsewhere in each */
    (void)arena_purge(true);
    for (unsigned s = 0; s < SLABS; s++) {
        give_units(s, s + 5, 27 - s);
        if (s > 0) give_units(s, 0, s);
    }
    for (size_t size = 7 * (size_t)SUPERSLAB_SIZE + 12345; size > SUPERSLAB_SIZE; size -= 2 * MIB + 100000) {
        unsigned char *p = large_alloc(size, 1, true);
        require((uintptr_t)p == slab[0].base && reads_as_zero(p, size), "%zu", size);
        memset(p, 0xee, size);
        require(large_free(p, tagmap_get(p)));
        require_whole();
    }
}

/* ---- broken on purpose ---- */

static void verify_sees_a_wrong_count_of_empty_superslabs(void)
{
    take_everything();
    give_units(2, 0, 64);
    struct chunk *c = chunk_of(slab[0].record);
    require(c->empty == 2);
    c->empty++;
    require_broken(arena_verify(), "arena I5: SuperSlabs of a chunk");
    c->empty -= 2;
    require_broken(arena_verify(), "arena I5: SuperSlabs of a chunk");
    c->empty++;
    require_whole();
}

static void verify_sees_superslabs_that_are_not_committed(void)
{
    take_everything();
    struct chunk *c = chunk_of(slab[0].record);
    size_t committed = c->committed;
    c->committed = c->used * (size_t)SUPERSLAB_SIZE - UNIT_SIZE;
    require_broken(arena_verify(), "arena I5: SuperSlabs of a chunk");
    c->committed = committed;
    require_whole();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(they_go_where_most_units_are_dirty),
        TEST(dirty_units_behind_the_end_do_not_count),
        TEST(of_equal_places_the_lowest_is_taken),
        TEST(the_start_of_the_next_superslab_must_be_free),
        TEST(occupied_superslabs_are_stepped_over),
        TEST(unused_superslabs_prolong_a_free_end),
        TEST(units_being_purged_are_not_free),
        TEST(runs_end_with_their_chunk),
        TEST(what_a_tail_leaves_serves_small_runs),
        TEST(any_part_of_a_run_can_be_given),
        TEST(a_run_grows_over_borders),
        TEST(a_run_grows_as_a_whole_or_not_at_all),
        TEST(a_refused_commit_changes_nothing),
        TEST(a_refused_reservation_changes_nothing),
        TEST(where_memory_is_charged_they_use_what_is_there),
        TEST(where_memory_is_charged_they_make_a_chunk_larger_at_last),
        TEST(what_a_later_chunk_has_committed_is_used),
        TEST(a_generous_commit_that_is_refused_becomes_an_exact_one),
        TEST(a_chunk_that_is_too_small_gives_a_mapping),
        TEST(short_superslabs_are_no_part_of_long_runs),
        TEST(a_window_has_tags_for_them),
        TEST(they_are_purged_in_steps_that_do_not_wait),
        TEST(they_are_purged_as_a_whole),
        TEST(zeroed_blocks_are_zero_where_part_is_dirty),
        TEST(verify_sees_a_wrong_count_of_empty_superslabs),
        TEST(verify_sees_superslabs_that_are_not_committed),
    };
    return run_unit_tests(tests);
}
