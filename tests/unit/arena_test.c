/* arena_test.c - chunks, SuperSlabs, runs of units, and purging by date. */
#include "unit.h"

static void start(void)
{
    require(tagmap_init());
}

static struct span take(unsigned count)
{
    struct span span;
    require(arena_take(count, &span), "%u units", count);
    require(span.base % UNIT_SIZE == 0);
    require(!arena_verify(), "%s", arena_verify());
    return span;
}

static void give(const struct span *span, unsigned count)
{
    arena_give(span->base, span->record, count);
    require(!arena_verify(), "%s", arena_verify());
    require(tag_offset(tagmap_get((void *)span->base)) == TAG_FREE);
}

static size_t dirty_units(void)
{
    struct arena_usage usage;
    arena_usage(&usage);
    return usage.dirty_units;
}

/* ---- taking and giving ---- */

static void runs_of_all_lengths_are_apart(void)
{
    static unsigned char *base[400];
    static unsigned units[400];
    start();
    for (unsigned i = 0; i < 400; i++) {
        units[i] = 1 + i * 7 % 32;
        struct span span = take(units[i]);
        base[i] = (void *)span.base;
        require(span.dirty == 0);
        memset(base[i], (int)i, units[i] * (size_t)UNIT_SIZE > 8192 ? 8192 : units[i] * (size_t)UNIT_SIZE);
        for (unsigned k = 0; k < i; k++)
            require(base[k] + units[k] * (size_t)UNIT_SIZE <= base[i] || base[i] + units[i] * (size_t)UNIT_SIZE <= base[k]);
    }
    for (unsigned i = 0; i < 400; i++) require(base[i][8191] == (unsigned char)i);
}

static void a_run_stays_inside_a_superslab(void)
{
    start();
    for (unsigned i = 0; i < 200; i++) {
        unsigned count = 1 + i * 13 % 32;
        struct span span = take(count);
        struct superslab *s = chunk_superslab_of(span.record);
        require(span.base >= s->base && span.base + count * (uintptr_t)UNIT_SIZE <= s->base + SUPERSLAB_SIZE);
        require(span.record == s->record + (span.base - s->base) / UNIT_SIZE);
        require(record_at(span.record) != record_at(span.record + 1) || count == 1);
    }
}

static void given_units_come_back_dirty_and_first(void)
{
    start();
    struct span a = take(3), b = take(2);
    give(&a, 3);
    require(dirty_units() == 3 && arena_has_dirty());
    struct span again = take(1);
    require(again.base == a.base && again.dirty == 1, "a dirty unit is preferred");
    struct span two = take(2);
    require(two.base == a.base + UNIT_SIZE && two.dirty == 3);
    require(dirty_units() == 0);
    give(&b, 2);
}

static void the_fullest_superslab_comes_first(void)
{
    static struct span unit[3 * SUPERSLAB_UNITS];
    start();
    for (unsigned i = 0; i < array_length(unit); i++) unit[i] = take(1);
    for (unsigned i = 0; i < 20; i++) give(&unit[i], 1);                          /* 20 free in the first */
    for (unsigned i = 0; i < 3; i++) give(&unit[SUPERSLAB_UNITS + i], 1);         /* 3 in the second */
    for (unsigned i = 0; i < 9; i++) give(&unit[2 * SUPERSLAB_UNITS + i], 1);     /* 9 in the third */
    uintptr_t expected[] = {unit[SUPERSLAB_UNITS].base, unit[2 * SUPERSLAB_UNITS].base, unit[0].base};
    unsigned counts[] = {3, 9, 20};
    for (unsigned which = 0; which < 3; which++)
        for (unsigned i = 0; i < counts[which]; i++) {
            struct span span = take(1);
            require(align_down(span.base, SUPERSLAB_SIZE) == align_down(expected[which], SUPERSLAB_SIZE), "take %u of %u", i,
                    which);
        }
}

static void runs_extend_only_into_free_units(void)
{
    uint32_t dirty = 99;
    start();
    struct span a = take(2), b = take(2), c = take(1);
    require(!arena_extend(a.record, 2, 1, &dirty));
    give(&b, 2);
    require(arena_extend(a.record, 2, 1, &dirty) && dirty == 1);
    require(!arena_extend(a.record, 3, 2, &dirty)); /* c lives there */
    require(arena_extend(a.record, 3, 1, &dirty) && dirty == 1);
    unsigned rest = SUPERSLAB_UNITS - 5;
    require(!arena_extend(c.record, 1, rest + 1, &dirty)); /* behind the SuperSlab */
    require(arena_extend(c.record, 1, rest, &dirty) && dirty == 0);
    require(!arena_verify());
}

static void units_are_found_by_address(void)
{
    start();
    struct span a = take(1);
    require(arena_contains((void *)a.base) && arena_contains((void *)(a.base + UNIT_SIZE - 1)));
    require(!arena_contains(&a) && !arena_contains(NULL) && !arena_contains((void *)(a.base - 1)));
}

/* ---- the system refuses ---- */

static void each_refusal_is_survived(enum fake_call call)
{
    for (uint64_t n = 1; n < 12; n++) {
        fake_fail(call, n, 1);
        for (unsigned i = 0; i < 40; i++) {
            struct span span;
            if (!arena_take(32, &span)) continue;
            memset((void *)span.base, 1, SUPERSLAB_SIZE); /* committed as a whole */
        }
        require(!arena_verify(), "%s", arena_verify());
        fake_fail_nothing();
    }
    (void)take(32);
}

static void reserve_may_fail(void) { start(); each_refusal_is_survived(FAKE_RESERVE); }
static void commit_may_fail(void) { start(); each_refusal_is_survived(FAKE_COMMIT); }
static void map_may_fail(void) { start(); each_refusal_is_survived(FAKE_MAP); }
static void unmap_may_fail(void) { start(); each_refusal_is_survived(FAKE_UNMAP); }

static void chunks_shrink_to_what_is_there(void)
{
    start();
    fake.map_bytes_max = 5 * (size_t)UNIT_SIZE;
    struct span span;
    unsigned got = 0;
    for (unsigned i = 0; i < 20; i++) got += arena_take(1, &span);
    require(got == 20, "%u units of 20", got);
    require(!arena_take(32, &span));
    require(!arena_verify(), "%s", arena_verify());
}

static void nothing_left_is_false(void)
{
    start();
    fake_fail(FAKE_ANY, 1, FAKE_FOR_GOOD);
    struct span span;
    require(!arena_take(1, &span) && !arena_take(32, &span));
    fake_fail_nothing();
    (void)take(1);
}

/* ---- purging ---- */

static void idle_units_are_purged_after_two_ticks(void)
{
    start();
    struct span a = take(4);
    memset((void *)a.base, 0xaa, 4 * UNIT_SIZE);
    give(&a, 4);
    require(arena_purge(false) == 0 && dirty_units() == 4); /* dirty since this tick at most */
    require(arena_purge(false) == 4 * UNIT_SIZE && dirty_units() == 0);
    require(!arena_has_dirty() && !arena_verify());
    struct span again = take(4);
    require(again.dirty == 0 && reads_as_zero((void *)again.base, 4 * UNIT_SIZE));
}

static void units_in_use_again_are_not_purged(void)
{
    start();
    struct span a = take(4);
    give(&a, 4);
    (void)arena_purge(false);
    struct span b = take(2);
    memset((void *)b.base, 0xbb, 2 * UNIT_SIZE);
    require(arena_purge(false) == 2 * UNIT_SIZE);
    require(((unsigned char *)b.base)[2 * UNIT_SIZE - 1] == 0xbb);
    give(&b, 2);
    require(arena_purge(false) == 0 && dirty_units() == 2); /* its time begins anew */
}

static void purge_all_does_not_wait(void)
{
    start();
    struct span a = take(4), b = take(5), c = take(1);
    give(&a, 4);
    give(&c, 1);
    require(arena_purge(true) == 5 * UNIT_SIZE && dirty_units() == 0 && arena_purge(true) == 0);
    require(fake.calls[FAKE_PURGE] == 2, "one call for each stretch: %lu", fake.calls[FAKE_PURGE]);
    give(&b, 5);
}

static void a_refused_purge_keeps_units_dirty(void)
{
    start();
    struct span a = take(3);
    memset((void *)a.base, 0xcc, 3 * UNIT_SIZE);
    give(&a, 3);
    fake_fail(FAKE_PURGE, 1, FAKE_FOR_GOOD);
    require(arena_purge(true) == 0 && dirty_units() == 3 && !arena_verify());
    struct span again = take(3);
    require(again.base == a.base && again.dirty == 7);
    require(((unsigned char *)again.base)[0] == 0xcc);
}

static void calloc_is_never_stale_after_a_refused_purge(void)
{
    for (uint64_t k = 1; k <= 3; k++) {
        fake_fail_every(FAKE_PURGE, k);
        for (int round = 0; round < 12; round++) {
            size_t size = 70000 + (size_t)round * 150000;
            unsigned char *p = hak_malloc(size);
            memset(p, 0xdd, size);
            hak_free(p);
            (void)hak_purge();
            p = hak_calloc(1, size + (size_t)round % 3 * 5000);
            require(reads_as_zero(p, size), "size %zu", size);
            memset(p, 0xee, size);
            hak_free(p);
        }
        require_sound();
    }
    require(fake.failures[FAKE_PURGE] > 0);
}

static void many_superslabs_are_purged_in_batches(void)
{
    static struct span run[200];
    start();
    for (unsigned i = 0; i < 200; i++) run[i] = take(32);
    for (unsigned i = 0; i < 200; i++) give(&run[i], 32);
    require(dirty_units() == 200 * 32);
    require(arena_purge(true) == (size_t)200 * SUPERSLAB_SIZE && dirty_units() == 0 && !arena_verify());
}

/* ---- broken on purpose ---- */

static struct superslab *some_superslab(void)
{
    start();
    struct span a = take(4), b = take(2);
    give(&a, 4);
    return chunk_superslab_of(b.record);
}

static void verify_sees_a_unit_occupied_and_dirty(void)
{
    struct superslab *s = some_superslab();
    s->occupied |= 1;
    require_broken(arena_verify(), "arena I");
    s->occupied &= ~1u;
    require(!arena_verify());
    s->dirty |= 1u << 4; /* b's */
    require_broken(arena_verify(), "arena I1");
}

static void verify_sees_a_stale_unit_not_dirty(void)
{
    some_superslab()->stale |= 1u << 20;
    require_broken(arena_verify(), "arena I1");
}

static void verify_sees_a_wrong_bucket(void)
{
    struct superslab *s = some_superslab();
    list_remove(&s->bucket_link);
    list_push_front(&bucket[1][3], &s->bucket_link);
    require_broken(arena_verify(), "arena I2");
    list_remove(&s->bucket_link);
    list_push_front(&bucket[0][30], &s->bucket_link);
    require_broken(arena_verify(), "arena I2");
}

static void verify_sees_a_superslab_in_no_bucket(void)
{
    some_superslab()->in_bucket = false;
    require_broken(arena_verify(), "arena I2");
}

static void verify_sees_a_wrong_dirty_list(void)
{
    some_superslab()->in_dirty_list = false;
    require_broken(arena_verify(), "arena I3");
}

static void verify_sees_wrong_sums(void)
{
    (void)some_superslab();
    arena.free_units++;
    require_broken(arena_verify(), "arena I4");
    arena.free_units--;
    arena.dirty_units--;
    require_broken(arena_verify(), "arena I4");
    arena.dirty_units++;
    require(!arena_verify());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(runs_of_all_lengths_are_apart),
        TEST(a_run_stays_inside_a_superslab),
        TEST(given_units_come_back_dirty_and_first),
        TEST(the_fullest_superslab_comes_first),
        TEST(runs_extend_only_into_free_units),
        TEST(units_are_found_by_address),
        TEST(reserve_may_fail),
        TEST(commit_may_fail),
        TEST(map_may_fail),
        TEST(unmap_may_fail),
        TEST(chunks_shrink_to_what_is_there),
        TEST(nothing_left_is_false),
        TEST(idle_units_are_purged_after_two_ticks),
        TEST(units_in_use_again_are_not_purged),
        TEST(purge_all_does_not_wait),
        TEST(a_refused_purge_keeps_units_dirty),
        TEST(calloc_is_never_stale_after_a_refused_purge),
        TEST(many_superslabs_are_purged_in_batches),
        TEST(verify_sees_a_unit_occupied_and_dirty),
        TEST(verify_sees_a_stale_unit_not_dirty),
        TEST(verify_sees_a_wrong_bucket),
        TEST(verify_sees_a_superslab_in_no_bucket),
        TEST(verify_sees_a_wrong_dirty_list),
        TEST(verify_sees_wrong_sums),
    };
    return run_unit_tests(tests);
}
