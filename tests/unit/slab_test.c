/* slab_test.c - one slab: carving, taking, giving, and each invariant broken on purpose. */
#include "unit.h"

/* A slab straight from the arena, without tags. */
static struct slab *make_slab(unsigned class)
{
    struct span span;
    if (!tagmap.mask) require(tagmap_init());
    require(arena_take(class_units(class), false, &span));
    require(span.dirty == 0);
    return slab_init(&span, class);
}

static void require_chain(const struct chain *chain)
{
    void *b = chain->first;
    for (uint32_t i = 1; i < chain->count; i++) b = link_get(b);
    require(b == chain->last, "%u blocks", chain->count);
}

static void require_whole(const struct slab *s)
{
    const char *broken = slab_verify(s);
    require(!broken, "%s", broken);
}

static struct chain chain_of_one(void *p)
{
    return (struct chain){.first = p, .last = p, .count = 1};
}

static void a_slab_begins_with_nothing_carved(void)
{
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        struct slab *s = make_slab(c);
        require(s->class == c && s->units == class_units(c) && s->stride == class_stride(c));
        require(s->capacity == class_capacity(c) && s->carved == 0 && s->used == 0 && !s->free);
        require(s->base == slab_units_base(s) + class_first(c));
        require(slab_at(s->number) == s && s->place == SLAB_NOWHERE);
        require(slab_place_of(s) == SLAB_UNCARVED);
        require_whole(s);
    }
}

static void carve_cuts_in_order_and_never_past_capacity(void)
{
    const uint32_t wants[] = {1, 7, 100, UINT32_MAX};
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        struct slab *s = make_slab(c);
        for (uint32_t i = 0; s->carved < s->capacity; i++) {
            uint32_t before = s->carved, left = s->capacity - before, want = wants[i % 4];
            struct chain chain = slab_carve(s, want);
            require(chain.count == (want < left ? want : left), "class %u", c);
            require(s->carved == before + chain.count && s->used == s->carved);
            char *block = chain.first;
            for (uint32_t k = 0; k < chain.count; k++) {
                require(block == slab_block(s, before + k), "class %u block %u", c, before + k);
                if (k + 1 < chain.count) block = link_get(block);
            }
            require(block == chain.last);
            require_whole(s);
        }
        uintptr_t end = (uintptr_t)slab_block(s, s->capacity - 1) + s->stride;
        require(end <= slab_units_base(s) + s->units * (uintptr_t)UNIT_SIZE, "class %u", c);
        require(slab_place_of(s) == SLAB_FULL);
    }
}

static void carve_touches_only_what_it_cuts(void)
{
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        struct slab *s = make_slab(c);
        struct chain chain = slab_carve(s, 3);
        uintptr_t end = slab_units_base(s) + s->units * (uintptr_t)UNIT_SIZE;
        uintptr_t carved_end = s->base + chain.count * (uintptr_t)s->stride;
        require(reads_as_zero((void *)carved_end, end - carved_end), "class %u", c);
        require(reads_as_zero((void *)slab_units_base(s), class_first(c)), "class %u", c);
        for (uint32_t i = 0; i < chain.count; i++) { /* the link is all that is written */
            char *block = slab_block(s, i);
            require(reads_as_zero(block + sizeof(void *), s->stride - sizeof(void *)), "class %u", c);
        }
    }
}

static void a_canary_behind_the_slab_survives_full_blocks(void)
{
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        struct slab *s = make_slab(c);
        struct span behind;
        require(arena_take(1, false, &behind));
        memset((void *)behind.base, 0x5a, UNIT_SIZE);
        (void)slab_carve(s, s->capacity);
        for (uint32_t i = 0; i < s->capacity; i++) memset(slab_block(s, i), 0xff, class_size(c));
        for (size_t i = 0; i < UNIT_SIZE; i++) require(((unsigned char *)behind.base)[i] == 0x5a, "class %u", c);
        require(s->class == c && s->carved == s->capacity);
    }
}

static void only_starts_of_carved_blocks_are_blocks(void)
{
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        struct slab *s = make_slab(c);
        (void)slab_carve(s, s->capacity / 2 + 1);
        for (uint32_t i = 0; i < s->capacity; i++) {
            char *block = slab_block(s, i);
            require(slab_is_block(s, block) == (i < s->carved), "class %u block %u", c, i);
            require(!slab_is_block(s, block + 1) && !slab_is_block(s, block - 1), "class %u block %u", c, i);
            require(!slab_is_block(s, block + s->stride / 2), "class %u block %u", c, i);
        }
        require(!slab_is_block(s, (void *)(s->base - s->stride)));
        require(!slab_is_block(s, NULL));
        require(!slab_is_block(s, (void *)(slab_units_base(s) + s->units * (uintptr_t)UNIT_SIZE)));
    }
}

static void what_is_given_is_taken_whole(void)
{
    struct slab *s = make_slab(class_of(100));
    struct chain carved = slab_carve(s, 20);
    require(slab_give(s, carved));
    require(s->used == 0 && slab_free_count(s) == 20 && slab_place_of(s) == SLAB_PARTIAL);
    require_whole(s);
    struct chain taken = slab_take_free(s);
    require(taken.first == carved.first && taken.last == carved.last && taken.count == 20);
    require(s->used == 20 && !s->free);
    require_chain(&taken);
    require_whole(s);
}

static void chains_join_at_the_front(void)
{
    struct slab *s = make_slab(class_of(100));
    (void)slab_carve(s, 6);
    void *block[6];
    for (uint32_t i = 0; i < 6; i++) block[i] = slab_block(s, i);
    require(slab_give(s, chain_of_one(block[4])));
    require_whole(s);
    link_set(block[0], block[2]);
    require(slab_give(s, (struct chain){.first = block[0], .last = block[2], .count = 2}));
    require_whole(s);
    require(s->free == block[0] && link_get(block[0]) == block[2] && link_get(block[2]) == block[4]);
    require(s->free_tail == block[4] && s->used == 3);
}

static void take_one_takes_the_first(void)
{
    struct slab *s = make_slab(class_of(8));
    struct chain carved = slab_carve(s, 5);
    require(slab_give(s, carved));
    for (uint32_t i = 0; i < 5; i++) {
        require(slab_take_one(s) == slab_block(s, i));
        require(s->used == i + 1);
        require_whole(s);
    }
    require(!s->free && slab_place_of(s) == SLAB_UNCARVED);
}

static void giving_more_than_is_out_is_refused_and_changes_nothing(void)
{
    struct slab *s = make_slab(class_of(64));
    (void)slab_carve(s, 4);
    void *a = slab_block(s, 0), *b = slab_block(s, 1);
    link_set(a, b);
    require(slab_give(s, (struct chain){.first = a, .last = b, .count = 2}));
    struct slab before = *s;
    require(!slab_give(s, (struct chain){.first = slab_block(s, 2), .last = slab_block(s, 3), .count = 3}));
    require(memcmp(&before, s, sizeof(before)) == 0);
    require_whole(s);
    require(slab_give(s, chain_of_one(slab_block(s, 2))));
    require(slab_give(s, chain_of_one(slab_block(s, 3))));
    require(!slab_give(s, chain_of_one(slab_block(s, 3))), "a fifth of four");
    require_whole(s);
}

enum { MODEL_BLOCKS = 4096, STEPS = 20000 };

/* Blocks out of the slab, against the slab's own count. */
static void random_sequences_keep_the_invariants(void)
{
    static void *out[MODEL_BLOCKS * 2];
    unsigned seed = 20240607;
    for (unsigned c = 0; c < CLASS_COUNT; c += 7) {
        struct slab *s = make_slab(c);
        uint32_t count = 0;
        for (int step = 0; step < STEPS / 10; step++) {
            unsigned dice = (unsigned)rand_r(&seed) % 8;
            struct chain chain = {.count = 0};
            if (dice < 2 && s->carved < s->capacity) chain = slab_carve(s, 1 + (unsigned)rand_r(&seed) % 5);
            else if (dice == 2 && s->free) chain = slab_take_free(s);
            else if (dice < 5 && s->free) chain = chain_of_one(slab_take_one(s));
            void *b = chain.first;
            for (uint32_t i = 0; i < chain.count; i++) {
                out[count++] = b;
                if (i + 1 < chain.count) b = link_get(b);
            }
            if (dice >= 5 && count > 0) {
                uint32_t i = (uint32_t)rand_r(&seed) % count;
                require(slab_give(s, chain_of_one(out[i])));
                out[i] = out[--count];
            }
            require(s->used == count, "seed 20240607 class %u step %d: used %u, out %u", c, step, s->used, count);
            if (step % 16 == 0) require_whole(s);
        }
        require_whole(s);
    }
}

/* ---- broken on purpose ---- */

/* Ten blocks carved, four of them free: 3, 2, 1, 0. */
static struct slab *half_used(void)
{
    struct slab *s = make_slab(class_of(48));
    (void)slab_carve(s, 10);
    for (uint32_t i = 0; i < 4; i++) require(slab_give(s, chain_of_one(slab_block(s, i))));
    require_whole(s);
    return s;
}

static void verify_sees_a_wrong_used_count(void)
{
    struct slab *s = half_used();
    s->used++;
    require_broken(slab_verify(s), "slab I1: used + free + absent == carved");
    s->used -= 2;
    require_broken(slab_verify(s), "slab I1: used + free + absent == carved");
    s->used = s->carved + 1;
    require_broken(slab_verify(s), "slab I1: used <= carved <= capacity");
}

static void verify_sees_more_carved_than_fits(void)
{
    struct slab *s = half_used();
    s->carved = s->capacity + 1;
    require_broken(slab_verify(s), "slab I1: used <= carved <= capacity");
}

static void verify_sees_a_lost_block(void)
{
    struct slab *s = half_used();
    s->free = link_get(s->free);
    require_broken(slab_verify(s), "slab I1: used + free + absent == carved");
}

static void verify_sees_a_link_off_a_boundary(void)
{
    struct slab *s = half_used();
    s->free = (char *)s->free + 8;
    require_broken(slab_verify(s), "slab I2: a free block is off a block boundary");
    s = half_used();
    link_set(slab_block(s, 2), (char *)slab_block(s, 1) + 16);
    require_broken(slab_verify(s), "slab I2: a free block is off a block boundary");
}

static void verify_sees_a_link_beyond_what_is_carved(void)
{
    struct slab *s = half_used();
    link_set(slab_block(s, 0), slab_block(s, 10));
    require_broken(slab_verify(s), "slab I2: a free block is off a block boundary");
}

static void verify_sees_a_block_that_is_there_twice(void)
{
    struct slab *s = half_used();
    link_set(slab_block(s, 0), slab_block(s, 3));
    require_broken(slab_verify(s), "slab I2: the free list has a cycle");
    s = half_used();
    link_set(slab_block(s, 3), slab_block(s, 3));
    require_broken(slab_verify(s), "slab I2: the free list has a cycle");
}

static void verify_sees_a_wrong_tail(void)
{
    struct slab *s = half_used();
    s->free_tail = slab_block(s, 1);
    require_broken(slab_verify(s), "slab I3: the tail is not the last block");
}

static void verify_sees_a_tail_that_is_linked_on(void)
{
    struct slab *s = half_used();
    link_set(s->free_tail, slab_block(s, 7)); /* a block in use */
    link_set(slab_block(s, 7), NULL);
    s->used--; /* the count alone would hide it */
    require_broken(slab_verify(s), "slab I3: the tail is not the last block");
}

static void verify_sees_a_wrong_sum(void)
{
    struct slab *s = half_used();
    s->free_sum++;
    require_broken(slab_verify(s), "slab I5: the sum of the free blocks' places");
}

/* Any block put back twice in place of any other: while the counts are right, the sum is not. */
static void a_slab_is_complete_with_each_block_once(void)
{
    for (unsigned c = 0; c < CLASS_COUNT; c += 3) {
        struct slab *s = make_slab(c);
        uint32_t count = s->capacity < 12 ? s->capacity : 12;
        for (uint32_t twice = 0; twice < count; twice++) {
            if (s->carved == 0) (void)slab_carve(s, count);
            uint32_t missing = (twice + 1) % count;
            for (uint32_t i = 0; i < count; i++)
                require(i == missing || slab_give(s, chain_of_one(slab_block(s, i))), "class %u block %u", c, i);
            require(s->used == 1 && !slab_find_fault(s));
            if (s->free != slab_block(s, twice)) {
                struct slab whole = *s;
                require(slab_give(s, chain_of_one(slab_block(s, twice))));
                require(s->used == 0 && !slab_is_complete(s), "class %u block %u", c, twice);
                require(slab_find_fault(s) == slab_block(s, twice), "class %u block %u", c, twice);
                *s = whole;
            }
            require(!slab_give(s, chain_of_one(s->free)), "class %u: the last again", c);
            s->free = NULL;
            s->free_sum = 0;
            s->used = s->carved;
        }
    }
}

static void given_one_by_one_it_is_complete(void)
{
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        struct slab *s = make_slab(c);
        (void)slab_carve(s, s->capacity);
        for (uint32_t i = 0; i < s->capacity; i++) {
            void *block = slab_block(s, s->capacity - 1 - i);
            if (!slab_give_one(s, block)) require(slab_give(s, chain_of_one(block)), "class %u", c);
        }
        require(s->used == 0 && slab_is_complete(s) && !slab_find_fault(s), "class %u", c);
        require_whole(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_slab_begins_with_nothing_carved),
        TEST(carve_cuts_in_order_and_never_past_capacity),
        TEST(carve_touches_only_what_it_cuts),
        TEST(a_canary_behind_the_slab_survives_full_blocks),
        TEST(only_starts_of_carved_blocks_are_blocks),
        TEST(what_is_given_is_taken_whole),
        TEST(chains_join_at_the_front),
        TEST(take_one_takes_the_first),
        TEST(giving_more_than_is_out_is_refused_and_changes_nothing),
        TEST(random_sequences_keep_the_invariants),
        TEST(verify_sees_a_wrong_used_count),
        TEST(verify_sees_more_carved_than_fits),
        TEST(verify_sees_a_lost_block),
        TEST(verify_sees_a_link_off_a_boundary),
        TEST(verify_sees_a_link_beyond_what_is_carved),
        TEST(verify_sees_a_block_that_is_there_twice),
        TEST(verify_sees_a_wrong_tail),
        TEST(verify_sees_a_tail_that_is_linked_on),
        TEST(verify_sees_a_wrong_sum),
        TEST(a_slab_is_complete_with_each_block_once),
        TEST(given_one_by_one_it_is_complete),
    };
    return run_unit_tests(tests);
}
