/* heap_test.c - the slabs of a heap: places, spare, reserve, retire, orphans, adoption; broken on purpose. */
#include "unit.h"

static struct heap *heap; /* of this thread, with nothing in it */

static void start(void)
{
    do_free(do_malloc(1));
    heap = my_heap();
    heap_flush_bins(heap);
    heap_release_empty(heap);
}

/* A heap that no thread has, as attach.c would make it. */
static struct heap *make_heap(void)
{
    struct heap *other = new_heap();
    require(other != NULL);
    other->state = HEAP_LIVE;
    inbox_open(other);
    return other;
}

static void require_whole(struct heap *h)
{
    const char *broken = heap_verify_slabs(h);
    require(!broken, "%s", broken);
    broken = heap_verify_slabs(heap_common);
    require(!broken, "%s", broken);
    broken = arena_verify();
    require(!broken, "%s", broken);
}

static struct slab *slab_holding(const void *p)
{
    return slab_at(tagmap_get(p).record);
}

static void *take_one(struct heap *h, unsigned class)
{
    struct chain chain = heap_take(h, class, 1);
    require(chain.count == 1);
    return chain.first;
}

static void give_one(struct heap *h, void *p)
{
    heap_give(h, slab_holding(p), slab_index(slab_holding(p), p));
}

/* A whole slab's blocks, taken one by one. */
static unsigned take_slab(struct heap *h, unsigned class, void **block)
{
    unsigned count = class_capacity(class);
    for (unsigned i = 0; i < count; i++) block[i] = take_one(h, class);
    for (unsigned i = 1; i < count; i++) require(slab_holding(block[i]) == slab_holding(block[0]), "class %u", class);
    return count;
}

enum { BLOCKS_MAX = UNIT_SIZE / 8 };

static void *block[4][BLOCKS_MAX];

static size_t free_units_now(void)
{
    struct arena_usage usage;
    arena_usage(&usage);
    return usage.free_units;
}

/* ---- places ---- */

static void a_slab_moves_with_what_it_can_give(void)
{
    start();
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        if (class_capacity(class) < 2) continue;
        void *first = take_one(heap, class);
        struct slab *s = slab_holding(first);
        require(s->place == SLAB_UNCARVED, "class %u", class);
        require_whole(heap);
        for (unsigned i = 1; i < s->capacity; i++) block[0][i] = take_one(heap, class);
        require(s->place == SLAB_FULL, "class %u", class);
        require_whole(heap);
        give_one(heap, first);
        require(s->place == SLAB_PARTIAL, "class %u", class);
        require_whole(heap);
        require(take_one(heap, class) == first);
        require(s->place == SLAB_FULL);
    }
}

static void free_blocks_are_used_before_new_ones_are_carved(void)
{
    start();
    unsigned class = class_of(100);
    void *a = take_one(heap, class), *b = take_one(heap, class);
    struct slab *s = slab_holding(a);
    uint32_t carved = s->carved;
    give_one(heap, a);
    require(take_one(heap, class) == a && s->carved == carved);
    give_one(heap, b);
    give_one(heap, a);
    struct chain chain = heap_take(heap, class, 50);
    require(chain.count == 2 && s->carved == carved, "%u blocks", chain.count);
    chain = heap_take(heap, class, 5);
    require(chain.count == 5 && s->carved == carved + 5);
    require_whole(heap);
}

static void what_several_slabs_have_is_joined(void)
{
    start();
    unsigned class = class_of(1000);
    unsigned count = take_slab(heap, class, block[0]);
    (void)take_slab(heap, class, block[1]);
    (void)take_slab(heap, class, block[2]);
    for (unsigned s = 0; s < 3; s++)
        for (unsigned i = 0; i < 3; i++) give_one(heap, block[s][i]);
    struct chain chain = heap_take(heap, class, 8);
    require(chain.count == 8, "%u", chain.count);
    void *b = chain.first;
    for (unsigned i = 1; i < 8; i++) b = link_get(b);
    require(b == chain.last && count > 3);
    require_whole(heap);
}

static void tags_say_owner_and_class_of_every_unit(void)
{
    start();
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        char *p = take_one(heap, class);
        struct slab *s = slab_holding(p);
        for (unsigned i = 0; i < s->units; i++) {
            struct tag tag = tagmap_get((void *)(slab_units_base(s) + i * (uintptr_t)UNIT_SIZE + 77));
            require(tag_owner(tag) == heap->front.id && tag.record == s->number, "class %u unit %u", class, i);
            require(class_of_offset(tag_offset(tag)) == class);
        }
    }
}

/* ---- empty slabs ---- */

static void one_empty_slab_of_a_class_stays(void)
{
    start();
    unsigned class = class_of(4000);
    unsigned count = take_slab(heap, class, block[0]);
    (void)take_slab(heap, class, block[1]);
    for (unsigned i = 0; i < count; i++) give_one(heap, block[0][i]);
    require(heap->class[class].empty == 1 && heap->reserve_count == 0);
    struct slab *spare = slab_holding(block[0][0]);
    require(spare->units == 1 && spare->used == 0);
    for (unsigned i = 0; i < count; i++) give_one(heap, block[1][i]);
    require(heap->class[class].empty == 1, "%u", heap->class[class].empty);
    require(heap->reserve_count == 1, "one of two has retired");
    require_whole(heap);
}

static void taking_and_giving_one_block_never_retires(void)
{
    start();
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        void *p = take_one(heap, class);
        size_t before = free_units_now();
        for (unsigned i = 0; i < 10; i++) {
            give_one(heap, p);
            require(heap->class[class].empty == 1);
            require(take_one(heap, class) == p, "class %u", class);
        }
        require(free_units_now() == before && heap->reserve_count == 0);
    }
    require_whole(heap);
}

static void retired_units_are_kept_up_to_the_reserve(void)
{
    enum { SLABS = RESERVE_MAX + 4 };
    static void *p[SLABS][BLOCKS_MAX];
    start();
    unsigned class = class_of(5000), count = 0;
    for (unsigned i = 0; i < SLABS; i++) count = take_slab(heap, class, p[i]);
    size_t before = free_units_now();
    for (unsigned i = 0; i < SLABS; i++)
        for (unsigned k = 0; k < count; k++) give_one(heap, p[i][k]);
    require(heap->reserve_count == RESERVE_MAX);
    require(free_units_now() == before + SLABS - 1 - RESERVE_MAX);
    for (unsigned i = 0; i < RESERVE_MAX; i++)
        require(tag_offset(tagmap_get((void *)heap->reserve[i].base)) == TAG_FREE);
    require_whole(heap);
    void *q = take_one(heap, class_of(64)); /* another class takes from the reserve */
    require(heap->reserve_count == RESERVE_MAX - 1 && free_units_now() == before + SLABS - 1 - RESERVE_MAX);
    require(slab_holding(q)->class == class_of(64));
    require_whole(heap);
}

static void slabs_of_many_units_go_to_the_arena(void)
{
    start();
    unsigned class = class_of(20000);
    size_t before = free_units_now();
    unsigned count = take_slab(heap, class, block[0]);
    (void)take_slab(heap, class, block[1]);
    size_t between = free_units_now();
    for (unsigned s = 0; s < 2; s++)
        for (unsigned i = 0; i < count; i++) give_one(heap, block[s][i]);
    require(heap->reserve_count == 0 && free_units_now() == between + POOL_UNITS);
    heap_release_empty(heap);
    require(free_units_now() >= before);
    require_whole(heap);
}

static void release_leaves_neither_empty_slabs_nor_reserve(void)
{
    start();
    for (unsigned class = 0; class < CLASS_COUNT; class++) give_one(heap, take_one(heap, class));
    void *lives = take_one(heap, class_of(300));
    heap_release_empty(heap);
    require(heap->reserve_count == 0);
    for (unsigned class = 0; class < CLASS_COUNT; class++) require(heap->class[class].empty == 0, "class %u", class);
    require(slab_holding(lives)->used == 1);
    struct arena_usage usage;
    arena_usage(&usage);
    require(usage.free_units == usage.units - 1, "%zu of %zu", usage.free_units, usage.units);
    require_whole(heap);
}

static void a_unit_serves_another_class_only_when_all_blocks_are_home(void)
{
    start();
    unsigned class = class_of(5000);
    unsigned count = take_slab(heap, class, block[0]);
    for (unsigned i = 1; i < count; i++) give_one(heap, block[0][i]);
    heap_release_empty(heap);
    require(slab_holding(block[0][0])->class == class && slab_holding(block[0][0])->used == 1);
    give_one(heap, block[0][0]);
    heap_release_empty(heap);
    require(tag_offset(tagmap_get(block[0][0])) == TAG_FREE);
    require_whole(heap);
}

static void more_blocks_than_are_out_are_a_double_free(void)
{
    start();
    void *p = take_one(heap, class_of(48)), *q = take_one(heap, class_of(48));
    struct slab *s = slab_holding(p);
    give_one(heap, p);
    give_one(heap, q);
    char line[128];
    sprintf(line, "hakmem: double free: p=%p size=%u (see hakmem-errors(7))\n", p, s->stride);
    require_abort(line, give_one(heap, p));
    require_whole(heap);
}

static void memory_that_is_out_gives_an_empty_chain(void)
{
    start();
    fake_fail(FAKE_RESERVE, 1, FAKE_FOR_GOOD);
    fake_fail(FAKE_COMMIT, 1, FAKE_FOR_GOOD);
    struct span span;
    while (arena_take(1, false, &span)) continue;
    for (unsigned class = 0; class < CLASS_COUNT; class++)
        require(heap_take(heap, class, 10).count == 0, "class %u", class);
    require_whole(heap);
}

/* ---- orphans ---- */

static void orphans_belong_to_the_common_heap(void)
{
    start();
    struct heap *other = make_heap();
    void *p[CLASS_COUNT];
    for (unsigned class = 0; class < CLASS_COUNT; class++) p[class] = take_one(other, class);
    heap_orphan_slabs(other);
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        require(tag_owner(tagmap_get(p[class])) == HEAP_COMMON, "class %u", class);
        for (unsigned place = SLAB_PARTIAL; place < SLAB_PLACES; place++)
            require(list_is_empty(&other->class[class].slabs[place]), "class %u", class);
    }
    require_whole(other);
}

static void an_orphan_with_free_blocks_is_adopted(void)
{
    start();
    struct heap *other = make_heap();
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        if (class_capacity(class) < 2) continue;
        void *p = take_one(other, class);
        struct slab *s = slab_holding(p);
        heap_orphan_slabs(other);
        require(adoptable >> class & 1, "class %u", class);
        void *q = take_one(heap, class);
        require(slab_holding(q) == s, "class %u: a new slab was taken", class);
        require(tag_owner(tagmap_get(p)) == heap->front.id && !(adoptable >> class & 1));
        require_whole(heap);
        give_one(heap, p);
        give_one(heap, q);
    }
    require_whole(heap);
}

static void a_partly_used_orphan_comes_before_an_uncarved_one(void)
{
    start();
    struct heap *one = make_heap(), *two = make_heap();
    unsigned class = class_of(4000);
    (void)take_slab(one, class, block[0]);
    give_one(one, block[0][3]);
    void *uncarved = take_one(two, class);
    heap_orphan_slabs(one);
    heap_orphan_slabs(two);
    require(take_one(heap, class) == block[0][3]);
    require(slab_holding(take_one(heap, class)) == slab_holding(uncarved));
    require_whole(heap);
}

static void a_full_orphan_is_not_adopted_until_it_has_room(void)
{
    start();
    struct heap *other = make_heap();
    unsigned class = class_of(4000);
    (void)take_slab(other, class, block[0]);
    heap_orphan_slabs(other);
    require(!(adoptable >> class & 1));
    require(slab_holding(take_one(heap, class)) != slab_holding(block[0][0]));
    give_one(heap_common, block[0][5]);
    require(adoptable >> class & 1);
    unsigned left = class_capacity(class) - 1; /* own slab first */
    for (unsigned i = 0; i < left; i++) require(tag_owner(tagmap_get(take_one(heap, class))) == heap->front.id);
    require(take_one(heap, class) == block[0][5]);
    require_whole(heap);
}

static void an_orphan_that_becomes_empty_retires(void)
{
    start();
    struct heap *other = make_heap();
    size_t before = free_units_now();
    void *p = take_one(other, class_of(24));
    heap_orphan_slabs(other);
    give_one(heap_common, p);
    require(free_units_now() == before);
    require(tag_offset(tagmap_get(p)) == TAG_FREE && !(adoptable >> class_of(24) & 1));
    require_whole(heap);
}

static void the_surplus_is_all_partial_slabs_but_one(void)
{
    start();
    struct heap *other = make_heap();
    unsigned class = class_of(4000);
    for (unsigned i = 0; i < 4; i++) (void)take_slab(other, class, block[i]);
    for (unsigned i = 0; i < 3; i++) give_one(other, block[i][0]);
    heap_orphan_surplus(other);
    require(!list_is_empty(&other->class[class].slabs[SLAB_PARTIAL]));
    require(!has_two(&other->class[class].slabs[SLAB_PARTIAL]));
    unsigned orphans = 0;
    for (unsigned i = 0; i < 4; i++) orphans += tag_owner(tagmap_get(block[i][0])) == HEAP_COMMON;
    require(orphans == 2, "%u", orphans);
    require(tag_owner(tagmap_get(block[2][0])) == other->front.id, "the warm one went");
    require(tag_owner(tagmap_get(block[3][0])) == other->front.id, "a full one went");
    require_whole(other);
}

/* ---- broken on purpose ---- */

static void *lives;

static struct slab *one_slab(void)
{
    start();
    lives = take_one(heap, class_of(100));
    require_whole(heap);
    require(hak_check());
    return slab_holding(lives);
}

/* Both the verify function and hak_check() must name it. */
static void require_seen(const char *text)
{
    require_broken(heap_verify_slabs(heap), text);
    require(!hak_check());
    char line[256];
    sprintf(line, "hakmem: check failed: %s", text);
    require_text(line);
}

static void verify_sees_a_tag_of_another_owner(void)
{
    struct slab *s = one_slab();
    tag_slab(s, heap->front.id + 1);
    require_seen("heap I2: tag of a slab");
}

static void verify_sees_a_tag_of_another_class(void)
{
    struct slab *s = one_slab();
    tagmap_set(slab_units_base(s), 1, heap_tag(heap->front.id) | bin_offset(s->class + 1u), s->number);
    require_seen("heap I2: tag of a slab");
}

static void verify_sees_a_tag_of_another_record(void)
{
    struct slab *s = one_slab();
    tagmap_set(slab_units_base(s), 1, heap_tag(heap->front.id) | bin_offset(s->class), s->number + 1);
    require_seen("heap I2: tag of a slab");
}

static void verify_sees_a_wrong_tag_on_the_last_unit(void)
{
    (void)one_slab();
    struct slab *s = slab_holding(take_one(heap, class_of(30000)));
    require_whole(heap);
    tagmap_set(slab_units_base(s) + (POOL_UNITS - 1) * (uintptr_t)UNIT_SIZE, 1, TAG_NONE, 0);
    require_seen("heap I2: tag of a slab");
}

static void verify_sees_a_slab_in_the_wrong_list(void)
{
    struct slab *s = one_slab();
    list_remove(&s->link);
    list_push_front(&heap->class[s->class].slabs[SLAB_PARTIAL], &s->link);
    require_seen("heap I2: a slab is in the wrong list");
    s->place = SLAB_PARTIAL; /* says so itself, and has no free block */
    require_seen("heap I2: a slab is in the wrong list");
}

static void verify_sees_a_wrong_count_of_empty_slabs(void)
{
    struct slab *s = one_slab();
    heap->class[s->class].empty++;
    require_seen("heap I3: number of empty slabs");
    heap->class[s->class].empty--;
    require_whole(heap);
    give_one(heap, lives);
    heap->class[s->class].empty = 0;
    require_seen("heap I3: number of empty slabs");
}

static void check_sees_a_broken_slab(void)
{
    struct slab *s = one_slab();
    void *others[2] = {take_one(heap, class_of(100)), take_one(heap, class_of(100))};
    for (unsigned i = 0; i < 2; i++) give_one(heap, others[i]);
    s->used++;
    require_seen("slab I1: used + free + absent == carved");
    s->used--;
    require_whole(heap);
}

static void check_sees_a_broken_orphan(void)
{
    (void)one_slab();
    struct heap *other = make_heap();
    void *p = take_one(other, class_of(3000));
    struct slab *s = slab_holding(p);
    (void)take_one(other, class_of(3000));
    give_one(other, p);
    heap_orphan_slabs(other);
    require(hak_check());
    s->low = 1;
    require(!hak_check());
    require_text("hakmem: check failed: slab I3: a free block is below the lowest word\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_slab_moves_with_what_it_can_give),
        TEST(free_blocks_are_used_before_new_ones_are_carved),
        TEST(what_several_slabs_have_is_joined),
        TEST(tags_say_owner_and_class_of_every_unit),
        TEST(one_empty_slab_of_a_class_stays),
        TEST(taking_and_giving_one_block_never_retires),
        TEST(retired_units_are_kept_up_to_the_reserve),
        TEST(slabs_of_many_units_go_to_the_arena),
        TEST(release_leaves_neither_empty_slabs_nor_reserve),
        TEST(a_unit_serves_another_class_only_when_all_blocks_are_home),
        TEST(more_blocks_than_are_out_are_a_double_free),
        TEST(memory_that_is_out_gives_an_empty_chain),
        TEST(orphans_belong_to_the_common_heap),
        TEST(an_orphan_with_free_blocks_is_adopted),
        TEST(a_partly_used_orphan_comes_before_an_uncarved_one),
        TEST(a_full_orphan_is_not_adopted_until_it_has_room),
        TEST(an_orphan_that_becomes_empty_retires),
        TEST(the_surplus_is_all_partial_slabs_but_one),
        TEST(verify_sees_a_tag_of_another_owner),
        TEST(verify_sees_a_tag_of_another_class),
        TEST(verify_sees_a_tag_of_another_record),
        TEST(verify_sees_a_wrong_tag_on_the_last_unit),
        TEST(verify_sees_a_slab_in_the_wrong_list),
        TEST(verify_sees_a_wrong_count_of_empty_slabs),
        TEST(check_sees_a_broken_slab),
        TEST(check_sees_a_broken_orphan),
    };
    return run_unit_tests(tests);
}
