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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(full_superslabs_are_collapsed_once),
        TEST(what_is_not_all_touched_is_left_alone),
        TEST(a_refused_collapse_is_not_repeated),
        TEST(what_the_system_forbids_is_not_done),
        TEST(never_means_never),
    };
    return run_unit_tests(tests);
}
