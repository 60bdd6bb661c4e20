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

static bool slab_map_is_clear(const struct slab *s)
{
    uint64_t any = s->word;
    for (unsigned w = 0; w < FREEMAP_WORDS; w++) any |= *freemap_word(s->number, w);
    return any == 0;
}

static void require_whole(const struct slab *s)
{
    const char *broken = slab_verify(s);
    require(!broken, "%s", broken);
}

static void give_range(struct slab *s, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) require(slab_give(s, i), "block %u", i);
}

static void *take_one(struct slab *s)
{
    struct chain chain = slab_take(s, 1);
    require(chain.count == 1 && chain.first == chain.last);
    return chain.first;
}

static void a_slab_begins_with_nothing_carved(void)
{
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        struct slab *s = make_slab(c);
        require(s->class == c && s->units == class_units(c) && s->stride == class_stride(c));
        require(s->capacity == class_capacity(c) && s->carved == 0 && s->used == 0);
        require(slab_free_count(s) == 0 && slab_map_is_clear(s));
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

static void free_blocks_are_taken_in_order(void)
{
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        struct slab *s = make_slab(c);
        (void)slab_carve(s, s->capacity);
        for (uint32_t i = 0; i < s->capacity; i++)
            if (i % 3 != 1) require(slab_give(s, s->capacity - 1 - i)); /* backwards */
        require_whole(s);
        uint32_t last = UINT32_MAX;
        for (uint32_t want = 1; slab_free_count(s) > 0; want += 5) {
            uint32_t before = slab_free_count(s);
            struct chain chain = slab_take(s, want);
            require(chain.count == (want < before ? want : before), "class %u", c);
            require(slab_free_count(s) == before - chain.count, "class %u", c);
            require_whole(s);
            const void *b = chain.first;
            for (uint32_t i = 0; i < chain.count; i++) {
                uint32_t index = slab_index(s, b);
                require(slab_is_block(s, b) && (last == UINT32_MAX || index > last), "class %u block %u", c, index);
                require((s->capacity - 1 - index) % 3 != 1, "class %u block %u is used", c, index);
                last = index;
                if (i + 1 < chain.count) b = link_get(b);
            }
            require(b == chain.last);
        }
        require(s->used == s->capacity && slab_place_of(s) == SLAB_FULL);
        require_whole(s);
    }
}

static void the_lowest_comes_first_again(void)
{
    struct slab *s = make_slab(class_of(16));
    (void)slab_carve(s, 2000);
    give_range(s, 900, 1000);
    require(take_one(s) == slab_block(s, 900));
    give_range(s, 130, 131);
    require_whole(s);
    require(take_one(s) == slab_block(s, 130));
    require(take_one(s) == slab_block(s, 901));
    require_whole(s);
}

static void a_single_block_is_not_touched(void)
{
    struct slab *s = make_slab(class_of(48));
    (void)slab_carve(s, 10);
    memset(slab_block(s, 3), 0x5a, 48);
    give_range(s, 3, 5);
    require(take_one(s) == slab_block(s, 3));
    for (unsigned i = 0; i < 48; i++) require(((unsigned char *)slab_block(s, 3))[i] == 0x5a);
}

static void giving_what_is_not_out_is_refused_and_changes_nothing(void)
{
    for (unsigned c = 0; c < CLASS_COUNT; c += 3) {
        struct slab *s = make_slab(c);
        uint32_t count = s->capacity < 200 ? s->capacity : 200;
        (void)slab_carve(s, count);
        for (uint32_t i = 0; i < count; i++) {
            require(slab_give(s, i));
            struct slab before = *s;
            for (uint32_t k = 0; k <= i; k++) {
                require(!slab_give(s, k), "class %u block %u", c, k);
                require(!slab_give_one(s, k), "class %u block %u", c, k);
            }
            require(memcmp(&before, s, sizeof(before)) == 0);
        }
        require(s->used == 0);
        require_whole(s);
    }
}

/* Its units' maps are as those of units that never had one. */
static void a_slab_that_retires_leaves_no_bit(void)
{
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        struct slab *s = make_slab(c);
        (void)slab_carve(s, s->capacity);
        give_range(s, 0, s->capacity);
        slab_retire(s);
        require(s->units == 0 && slab_map_is_clear(s), "class %u", c);
    }
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
            bool some = slab_free_count(s) > 0;
            if (dice < 2 && s->carved < s->capacity) chain = slab_carve(s, 1 + (unsigned)rand_r(&seed) % 5);
            else if (dice == 2 && some) chain = slab_take(s, 1 + (unsigned)rand_r(&seed) % 100);
            else if (dice < 5 && some) chain = slab_take(s, 1);
            void *b = chain.first;
            for (uint32_t i = 0; i < chain.count; i++) {
                out[count++] = b;
                if (i + 1 < chain.count) b = link_get(b);
            }
            if (dice >= 5 && count > 0) {
                uint32_t i = (uint32_t)rand_r(&seed) % count;
                uint32_t index = slab_index(s, out[i]);
                require(slab_give_one(s, index) || slab_give(s, index));
                out[i] = out[--count];
            }
            require(s->used == count, "seed 20240607 class %u step %d: used %u, out %u", c, step, s->used, count);
            if (step % 16 == 0) require_whole(s);
        }
        require_whole(s);
    }
}

/* ---- broken on purpose ---- */

/* Ten blocks carved, the first four of them free. */
static struct slab *half_used(void)
{
    struct slab *s = make_slab(class_of(48));
    (void)slab_carve(s, 10);
    give_range(s, 0, 4);
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
    *s->map &= *s->map - 1;
    require_broken(slab_verify(s), "slab I1: used + free + absent == carved");
}

static void verify_sees_a_free_block_beyond_what_is_carved(void)
{
    struct slab *s = half_used();
    *s->map |= 1 << 10;
    s->used--; /* the count alone would not tell */
    require_broken(slab_verify(s), "slab I2: a free block is not carved");
    s = half_used();
    *slab_word(s, 9) |= 1;
    require_broken(slab_verify(s), "slab I2: a free block is not carved");
}

static void verify_sees_a_free_block_below_the_lowest_word(void)
{
    struct slab *s = half_used();
    s->low = 1;
    require_broken(slab_verify(s), "slab I3: a free block is below the lowest word");
}

/* ---- marks ---- */

static struct slab *marked_slab(unsigned class)
{
    require(option_set(OPTION_failfast, 1));
    struct slab *s = make_slab(class);
    require(s->marked);
    return s;
}

static void the_first_bytes_of_a_marked_slabs_free_blocks_are_watched(void)
{
    for (unsigned c = 0; c < CLASS_COUNT; c += 5) {
        struct slab *s = marked_slab(c);
        (void)slab_carve(s, 3);
        for (uint32_t i = 0; i < 3; i++) memset(slab_block(s, i), 0xff, s->stride);
        require(slab_give(s, 0) && slab_give(s, 2));
        for (uint32_t at = 0; at < s->stride; at++) {
            char *byte = (char *)slab_block(s, 2) + at;
            char was = *byte;
            *byte = (char)(was + 1);
            const void *written = slab_find_written(s);
            require(written == (at < MARK_BYTES ? slab_block(s, 2) : NULL), "class %u byte %u", c, at);
            if (written) require_broken(slab_verify(s), "slab I5: a free block was written to");
            *byte = was;
        }
        require_whole(s);
        require(!slab_find_written(s));
    }
}

static void a_block_that_was_withdrawn_is_used(void)
{
    struct slab *s = marked_slab(class_of(48));
    (void)slab_carve(s, 10);
    give_range(s, 2, 5);
    slab_withdraw(s, 3);
    require_whole(s);
    require(s->used == 8 && !slab_is_free(s, 3) && slab_is_free(s, 2) && slab_is_free(s, 4));
    require(take_one(s) == slab_block(s, 2) && take_one(s) == slab_block(s, 4));
    require(slab_free_count(s) == 0);
}

static void others_are_not_marked(void)
{
    struct slab *s = half_used();
    require(option_set(OPTION_failfast, 1));
    memset(slab_block(s, 2), 0x5a, 48);
    require(!s->marked && !slab_find_written(s));
    require_whole(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_slab_begins_with_nothing_carved),
        TEST(carve_cuts_in_order_and_never_past_capacity),
        TEST(carve_touches_only_what_it_cuts),
        TEST(a_canary_behind_the_slab_survives_full_blocks),
        TEST(only_starts_of_carved_blocks_are_blocks),
        TEST(free_blocks_are_taken_in_order),
        TEST(the_lowest_comes_first_again),
        TEST(a_single_block_is_not_touched),
        TEST(giving_what_is_not_out_is_refused_and_changes_nothing),
        TEST(a_slab_that_retires_leaves_no_bit),
        TEST(random_sequences_keep_the_invariants),
        TEST(verify_sees_a_wrong_used_count),
        TEST(verify_sees_more_carved_than_fits),
        TEST(verify_sees_a_lost_block),
        TEST(verify_sees_a_free_block_beyond_what_is_carved),
        TEST(verify_sees_a_free_block_below_the_lowest_word),
        TEST(the_first_bytes_of_a_marked_slabs_free_blocks_are_watched),
        TEST(a_block_that_was_withdrawn_is_used),
        TEST(others_are_not_marked),
    };
    return run_unit_tests(tests);
}
