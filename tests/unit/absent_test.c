/* absent_test.c - granules of one slab: found vacant, made absent, brought back; each invariant broken on purpose. */
#include "unit.h"

/* A slab straight from the arena, without tags. */
static struct slab *make_slab(unsigned class)
{
    struct span span;
    if (!tagmap.mask) require(tagmap_init());
    require(arena_take(class_units(class), false, &span));
    return slab_init(&span, class);
}

static void give_index(struct slab *s, uint32_t index)
{
    require(slab_give(s, index), "class %u block %u", s->class, index);
}

/* All that is carved is free. */
static void give_all(struct slab *s)
{
    for (uint32_t i = 0; i < s->carved; i++) give_index(s, i);
}

static struct slab *all_free(unsigned class)
{
    struct slab *s = make_slab(class);
    (void)slab_carve(s, s->capacity);
    give_all(s);
    return s;
}

static void require_whole(const struct slab *s)
{
    const char *broken = slab_verify(s);
    require(!broken, "class %u: %s", s->class, broken);
}

static uint32_t vacant(const struct slab *s)
{
    return slab_find_vacant(s);
}

/* As the heap does: the memory goes, too. */
static void purge(struct slab *s, uint32_t granules)
{
    slab_make_absent(s, granules);
    for (uint32_t left = granules; left; left &= left - 1) {
        size_t size = slab_granule_size(s);
        require(os_purge((void *)(slab_units_base(s) + lowest_bit(left) * size), size));
    }
}

static unsigned free_by_hand(const struct slab *s)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < s->carved; i++) count += slab_is_free(s, i);
    return count;
}

/* The slow way to everything: one block after the other. */
static uint32_t granules_of(const struct slab *s, uint32_t index)
{
    uintptr_t from = s->base + index * (uintptr_t)s->stride, to = from + s->stride;
    uint32_t granules = 0;
    for (unsigned g = 0; g < SLAB_GRANULES; g++) {
        uintptr_t begin = slab_units_base(s) + g * slab_granule_size(s), end = begin + slab_granule_size(s);
        if (from < end && to > begin) granules |= 1u << g;
    }
    return granules;
}

static uint32_t absent_by_hand(const struct slab *s)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->carved; i++) count += (granules_of(s, i) & s->absent) != 0;
    return count;
}

/* Which granules may go when the blocks of which used[i] is true are in use. */
static uint32_t vacant_by_hand(const struct slab *s, const bool *used)
{
    uint32_t with_blocks = 0, with_used = 0, with_carved = 0, with_uncarved = 0;
    for (uint32_t i = 0; i < s->capacity; i++) {
        uint32_t granules = granules_of(s, i);
        with_blocks |= granules;
        if (i < s->carved && used[i]) with_used |= granules;
        if (i < s->carved) with_carved |= granules;
        else with_uncarved |= granules;
    }
    return with_blocks & ~with_used & ~(with_carved & with_uncarved) & ~(uint32_t)s->absent;
}

static void what_no_used_block_overlaps_is_vacant(void)
{
    static bool used[UNIT_SIZE / 8];
    unsigned seed = 4;
    for (unsigned c = 0; c < CLASS_COUNT; c++)
        for (unsigned round = 0; round < 12; round++) {
            struct slab *s = make_slab(c);
            unsigned keep = (unsigned)rand_r(&seed) % 20;
            (void)slab_carve(s, round % 2 ? s->capacity : 1 + (unsigned)rand_r(&seed) % s->capacity);
            memset(used, 0, sizeof(used));
            while (keep-- > 0) used[(unsigned)rand_r(&seed) % s->carved] = true;
            for (uint32_t i = 0; i < s->carved; i++)
                if (!used[i]) give_index(s, i);
            require(vacant(s) == vacant_by_hand(s, used), "class %u: %x %x", c, vacant(s), vacant_by_hand(s, used));
            require_whole(s);
        }
}

static void absent_blocks_are_neither_used_nor_free(void)
{
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        struct slab *s = all_free(c);
        uint32_t granules = vacant(s) & 0x0ff6;
        purge(s, granules);
        require(s->absent == granules && slab_absent_count(s) == absent_by_hand(s), "class %u", c);
        require(slab_absent_count(s) > 0 && s->used == 0);
        require(free_by_hand(s) == slab_free_count(s) && free_by_hand(s) + slab_absent_count(s) == s->carved);
        for (uint32_t i = 0; i < s->carved; i++) require(!slab_is_free(s, i) || !slab_has_absent(s, i));
        require_whole(s);
        require((vacant(s) & granules) == 0, "class %u: found twice", c);
        struct chain taken = {.count = 0};
        if (slab_free_count(s) > 0) taken = slab_take(s, s->capacity);
        require(taken.count == s->used && s->used == s->carved - absent_by_hand(s), "class %u", c);
        require_whole(s);
    }
}

static void what_was_absent_comes_back_once(void)
{
    static unsigned char out[UNIT_SIZE / 8];
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        struct slab *s = all_free(c);
        uint32_t first = vacant(s);
        purge(s, first);
        memset(out, 0, sizeof(out));
        uint32_t count = 0;
        while (count < s->capacity) {
            if (slab_free_count(s) == 0) {
                require(slab_place_of(s) == SLAB_ABSENT, "class %u", c);
                uint32_t before = s->absent;
                slab_revive(s);
                require(slab_free_count(s) > 0 && (s->absent & ~before) == 0 && s->absent != before, "class %u", c);
                require_whole(s);
            }
            char *p = slab_take(s, 1).first;
            uint32_t i = slab_index(s, p);
            require(slab_is_block(s, p) && !out[i]++, "class %u: block %u twice", c, i);
            memset(p, 0xff, s->stride);
            count++;
        }
        require(!s->absent && s->used == s->capacity && slab_place_of(s) == SLAB_FULL, "class %u", c);
        require_whole(s);
    }
}

static void a_revival_touches_one_granule(void)
{
    struct slab *s = all_free(class_of(64));
    purge(s, 0xffff);
    require(slab_free_count(s) == 0 && slab_absent_count(s) == s->capacity);
    slab_revive(s);
    require(s->absent == 0xfffe && slab_free_count(s) == 64);
    require(slab_take(s, 3).count == 3);
    for (unsigned i = 0; i < 16; i++)
        require(os_has_memory((void *)(slab_units_base(s) + i * 4096)) == (i == 0), "page %u", i);
}

static void restored_blocks_join_those_that_are_free(void)
{
    struct slab *s = all_free(class_of(200)); /* 224 bytes: some lie on two pages */
    slab_make_absent(s, 0x00f0);
    require_whole(s);
    slab_restore(s, 0x0020); /* its neighbours stay */
    require(s->absent == 0x00d0);
    require_whole(s);
    slab_restore(s, 0x00d0);
    require(s->absent == 0 && free_by_hand(s) == s->capacity);
    require_whole(s);
}

static void carving_brings_its_granules_back(void)
{
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        struct slab *s = make_slab(c);
        struct chain chain = slab_carve(s, 1);
        uint32_t granules = vacant(s);
        require((granules & granules_of(s, 0)) == 0, "class %u", c);
        purge(s, granules);
        require_whole(s);
        while (s->carved < s->capacity) {
            chain = slab_carve(s, 3);
            for (uint32_t i = s->carved - chain.count; i < s->carved; i++)
                require((granules_of(s, i) & s->absent) == 0, "class %u block %u", c, i);
            require_whole(s);
        }
        require(s->absent == 0, "class %u: %x", c, s->absent);
    }
}

static void an_absent_block_is_not_taken_back(void)
{
    struct slab *s = all_free(class_of(100));
    (void)slab_take(s, 10);
    purge(s, vacant(s));
    struct slab before = *s;
    require(slab_has_absent(s, 300) && !slab_is_free(s, 300));
    require(!slab_give(s, 300) && !slab_give_one(s, 300));
    require(memcmp(&before, s, sizeof(before)) == 0);
    give_index(s, 3);
    require_whole(s);
}

/* ---- random ---- */

static void *out[UNIT_SIZE / 8];
static uint32_t out_count;

static void take_out(struct chain chain)
{
    void *b = chain.first;
    for (uint32_t i = 0; i < chain.count; i++) {
        out[out_count++] = b;
        b = i + 1 < chain.count ? link_get(b) : NULL;
    }
}

static void require_out_present(const struct slab *s)
{
    for (uint32_t i = 0; i < out_count; i++) require(!slab_has_absent(s, slab_index(s, out[i])), "class %u", s->class);
    require(s->used == out_count && slab_absent_count(s) == absent_by_hand(s));
    require_whole(s);
}

static void random_sequences_keep_the_invariants(void)
{
    unsigned seed = 20261121;
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        struct slab *s = make_slab(c);
        out_count = 0;
        for (unsigned step = 0; step < 600; step++) {
            unsigned dice = (unsigned)rand_r(&seed) % 10;
            unsigned some = 1 + (unsigned)rand_r(&seed) % (s->capacity / 4 + 1);
            if (dice < 2 && s->carved < s->capacity) take_out(slab_carve(s, some));
            else if (dice == 2 && slab_free_count(s) > 0) take_out(slab_take(s, some * 2));
            else if (dice == 3 && s->carved == s->capacity && s->absent) slab_revive(s);
            else if (dice < 6) {
                uint32_t granules = vacant(s) & (uint32_t)rand_r(&seed);
                purge(s, granules);
                if (granules && dice == 5) slab_restore(s, granules & (uint32_t)rand_r(&seed));
            } else for (; some > 0 && out_count > 0; some--) {
                uint32_t i = (uint32_t)rand_r(&seed) % out_count;
                give_index(s, slab_index(s, out[i]));
                out[i] = out[--out_count];
            }
            if (step % 4 == 0) require_out_present(s);
        }
        require_out_present(s);
    }
}

/* ---- broken on purpose ---- */

/* Every block is free but the first two. */
static struct slab *half_absent(void)
{
    struct slab *s = all_free(class_of(64));
    (void)slab_take(s, 2);
    purge(s, 0xff00);
    require_whole(s);
    return s;
}

static void verify_sees_absent_blocks_that_count_as_used(void)
{
    struct slab *s = half_absent();
    s->used += slab_absent_count(s);
    require_broken(slab_verify(s), "slab I1: used + free + absent == carved");
    s = half_absent();
    s->absent = 0x7f00;
    require_broken(slab_verify(s), "slab I1: used + free + absent == carved");
}

static void verify_sees_an_absent_block_that_is_free(void)
{
    struct slab *s = half_absent();
    s->absent |= 2;
    require_broken(slab_verify(s), "slab I2: a free block is absent");
    s = half_absent();
    *slab_word(s, 1000 / 64) |= 1;
    require_broken(slab_verify(s), "slab I2: a free block is absent");
}

static void verify_sees_a_granule_that_carving_would_split(void)
{
    struct slab *s = make_slab(class_of(64));
    (void)slab_carve(s, 100);
    give_all(s);
    require(vacant(s) == 0xfffd, "%x", vacant(s));
    slab_make_absent(s, 2);
    require_broken(slab_verify(s), "slab I4: an absent granule is where carving ends");
}

static void verify_sees_a_granule_without_blocks(void)
{
    struct slab *s = all_free(class_of(5000)); /* 12 blocks of 5120 bytes, and a page */
    require(vacant(s) == 0x7fff, "%x", vacant(s));
    s->absent = 0x8000;
    require_broken(slab_verify(s), "slab I4: an absent granule is where carving ends, or without blocks");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_no_used_block_overlaps_is_vacant),
        TEST(absent_blocks_are_neither_used_nor_free),
        TEST(what_was_absent_comes_back_once),
        TEST(a_revival_touches_one_granule),
        TEST(restored_blocks_join_those_that_are_free),
        TEST(carving_brings_its_granules_back),
        TEST(an_absent_block_is_not_taken_back),
        TEST(random_sequences_keep_the_invariants),
        TEST(verify_sees_absent_blocks_that_count_as_used),
        TEST(verify_sees_an_absent_block_that_is_free),
        TEST(verify_sees_a_granule_that_carving_would_split),
        TEST(verify_sees_a_granule_without_blocks),
    };
    return run_unit_tests(tests);
}
