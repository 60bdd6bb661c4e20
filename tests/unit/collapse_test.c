/* collapse_test.c - SuperSlabs that are full of small pages get a huge page, once, and unless the system refuses. */
#include "unit.h"

enum { FULL_BLOCKS = 8 * 32 }; /* of a unit each: eight SuperSlabs */

/* Takes every unit of some SuperSlabs, in runs of one. */
static void fill_superslabs(struct span span[FULL_BLOCKS], bool touch)
{
    do_free(do_malloc(1));
    for (unsigned i = 0; i < FULL_BLOCKS; i++) {
        require(arena_take(1, false, &span[i]));
        if (touch) memset((void *)span[i].base, 1, UNIT_SIZE);
    }
}

static unsigned collapse_all(void)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < 20; i++) sum += arena_collapse();
    return sum;
}

static void full_superslabs_are_collapsed_once(void)
{
    static struct span span[FULL_BLOCKS];
    fill_superslabs(span, true);
    unsigned sum = collapse_all();
    require(sum >= 7, "%u", sum);
    require(fake.collapses == sum && collapse_all() == 0);
    for (unsigned i = 0; i < FULL_BLOCKS; i++) arena_give(span[i].base, span[i].record, 1);
    (void)arena_purge(true);
    require(collapse_all() == 0, "what is free");
    require_sound();
}

static void what_is_not_all_touched_is_left_alone(void)
{
    static struct span span[FULL_BLOCKS];
    fill_superslabs(span, false);
    require(collapse_all() == 0 && fake.collapses == 0);
}

static void a_refused_collapse_is_not_repeated(void)
{
    static struct span span[FULL_BLOCKS];
    fake.collapse_refused = true;
    fill_superslabs(span, true);
    require(collapse_all() == 0 && fake.collapses > 0);
    uint64_t collapses = fake.collapses;
    require(collapses <= 3, "%lu: each refusal makes more opportunities pass", collapses);
}

static void what_the_system_forbids_is_not_done(void)
{
    static struct span span[FULL_BLOCKS];
    fake.huge_are_forbidden = true;
    fill_superslabs(span, true);
    require(collapse_all() == 0 && fake.collapses == 0);
}

static void never_means_never(void)
{
    static struct span span[FULL_BLOCKS];
    require(option_set(OPTION_thp, THP_NEVER));
    fill_superslabs(span, true);
    require(collapse_all() == 0 && fake.collapses == 0);
}

/* Until part of it is purged, whoever takes its units. */
static void what_was_filled_by_a_huge_page_is_not_collapsed(void)
{
    static struct span span[SUPERSLAB_UNITS];
    do_free(do_malloc(1));
    for (unsigned i = 0; i < HUGE_AFTER || fake.calls[FAKE_FILL_HUGE] == 0; i++) require(arena_take(1, true, &span[0]));
    for (unsigned i = 0; i < SUPERSLAB_UNITS; i++) {
        if (i > 0) require(arena_take(1, i % 2, &span[i]));
        memset((void *)span[i].base, 1, UNIT_SIZE);
    }
    const struct superslab *s = chunk_superslab_of(span[0].record);
    require(s->free_count == 0 && s == chunk_superslab_of(span[SUPERSLAB_UNITS - 1].record));
    require(collapse_all() == 0 && fake.collapses == 0);
    arena_give(span[0].base, span[0].record, 1);
    require(arena_purge(true) > 0 && arena_take(1, false, &span[0]) && s->free_count == 0);
    memset((void *)span[0].base, 1, UNIT_SIZE);
    require(collapse_all() == 1);
}

/* Its only SuperSlab begins where a huge page does, and what lies behind is not the library's. */
static void a_superslab_that_its_chunk_cuts_short_is_left_alone(void)
{
    enum { UNITS = 16, ADDRESSES = 1 << 20 };
    struct span span;
    fake.address_limit = 256 * (size_t)ADDRESSES; /* chunks have a sixteenth of it */
    fake.place = UINT64_C(0x551000000000) + 512 * (uintptr_t)ADDRESSES; /* in the tag map's window no two meet */
    do_free(do_malloc(1));
    while (arena_take(1, false, &span)) fake.map_bytes_max = 0; /* the first chunk to its end */
    fake.place = UINT64_C(0x552000000000) - UNIT_SIZE + 4096; /* so that nothing behind it is cut off, and used next */
    fake.place_gap = 2 * ADDRESSES;
    fake.map_bytes_max = ADDRESSES + UNIT_SIZE - 4096;
    for (unsigned i = 0; i < UNITS; i++) {
        require(arena_take(1, false, &span));
        memset((void *)span.base, 1, UNIT_SIZE);
    }
    const struct superslab *s = chunk_superslab_of(span.record);
    require(s->base % SUPERSLAB_SIZE == 0 && s->free_count == 0 && bit_count(s->occupied) == SUPERSLAB_UNITS);
    require(chunk_of(span.record)->size == ADDRESSES);
    void *others = mmap((void *)(s->base + ADDRESSES), ADDRESSES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    require(others != MAP_FAILED);
    memset(others, 1, ADDRESSES);
    require(collapse_all() == 0 && fake.collapses == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(full_superslabs_are_collapsed_once),
        TEST(what_is_not_all_touched_is_left_alone),
        TEST(a_refused_collapse_is_not_repeated),
        TEST(what_the_system_forbids_is_not_done),
        TEST(never_means_never),
        TEST(what_was_filled_by_a_huge_page_is_not_collapsed),
        TEST(a_superslab_that_its_chunk_cuts_short_is_left_alone),
    };
    return run_unit_tests(tests);
}
