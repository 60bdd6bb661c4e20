/* slab_test.c - size classes and slabs. */
#include "unit.h"

/* ---- classes ---- */

static unsigned smallest_class(size_t n)
{
    unsigned class = 0;
    while (class_size(class) < n) class++;
    return class;
}

static void sizes_grow_to_the_largest(void)
{
    for (unsigned c = 1; c < SIZE_CLASS_COUNT; c++) require(class_size(c) > class_size(c - 1), "class %u", c);
    require(class_size(0) == 8 && class_size(SIZE_CLASS_COUNT - 1) == SMALL_SIZE_MAX);
}

static void eight_steps_of_the_first_hakmem_are_classes(void)
{
    for (size_t n = 8; n <= 1024; n *= 2) require(class_size(class_of(n)) == n, "%zu", n);
}

static void every_size_gets_the_smallest_class(void)
{
    for (size_t n = 0; n <= SMALL_SIZE_MAX; n++) require(class_of(n) == smallest_class(n), "%zu", n);
}

static void every_table_agrees_with_class_of(void)
{
    hak_free(hak_malloc(1));
    for (size_t n = 0; n <= TABLE_SIZE_MAX; n++)
        require(heap_self->bin_of_size[(n + 7) / 8] == bin_offset(class_of(n)), "%zu", n);
    for (size_t n = TABLE_SIZE_MAX + 1; n <= SMALL_SIZE_MAX; n++)
        require(medium_bin[(n - 1) / 256] == bin_offset(class_of(n)), "%zu", n);
}

static void rounding_wastes_at_most_a_quarter(void)
{
    for (size_t n = 129; n <= SMALL_SIZE_MAX; n++)
        require(class_stride(class_of(n)) - n <= n / 4 + COLOUR_BYTES, "%zu", n);
}

static void blocks_fit_their_slab_and_are_aligned(void)
{
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        size_t bytes = class_units(c) * (size_t)UNIT_SIZE;
        size_t end = class_first(c) + class_capacity(c) * (size_t)class_stride(c);
        require(class_stride(c) >= class_size(c), "class %u", c);
        require(class_capacity(c) > 0 && end <= bytes && bytes - end < class_stride(c), "class %u", c);
        require(c == 0 || (class_stride(c) % 16 == 0 && class_first(c) % 16 == 0), "class %u", c);
    }
}

static void aligned_classes_fit_and_align(void)
{
    for (size_t alignment = 1; alignment <= UNIT_SIZE; alignment *= 2)
        for (size_t n = 0; n <= SMALL_SIZE_MAX; n += n < 5000 ? 1 : 61) {
            unsigned class = class_of_aligned(n, alignment);
            require(class_size(class) >= n, "%zu aligned to %zu", n, alignment);
            require(class_stride(class) % alignment == 0 && class_first(class) % alignment == 0, "%zu aligned to %zu", n,
                    alignment);
            for (unsigned c = 0; c < CLASS_COUNT; c++) {
                bool good = class_size(c) >= n && class_stride(c) % alignment == 0 && class_first(c) % alignment == 0;
                require(!good || class_size(c) >= class_size(class), "%zu aligned to %zu: class %u is smaller", n,
                        alignment, c);
            }
        }
}

/* ---- slabs ---- */

/* A slab with memory of its own, of no heap. */
static struct slab *make_slab(unsigned class)
{
    struct span span;
    if (!tagmap.mask) require(tagmap_init());
    require(arena_take(class_units(class), &span));
    return slab_init(&span, class);
}

static void carving_gives_every_block_once(void)
{
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        struct slab *s = make_slab(class);
        char *expected = (char *)s->base;
        while (s->carved < s->capacity) {
            struct chain chain = slab_carve(s, 5);
            require(chain.count >= 1 && chain.count <= 5);
            void *block = chain.first;
            for (uint32_t i = 0; i < chain.count; i++, expected += s->stride) {
                require(block == expected, "class %u", class);
                require(i + 1 < chain.count || block == chain.last);
                if (i + 1 < chain.count) block = link_get(block);
            }
            require(s->used == s->carved && !slab_verify(s));
        }
        require((uintptr_t)expected <= slab_units_base(s) + s->units * (uintptr_t)UNIT_SIZE, "class %u", class);
    }
}

static void carving_touches_nothing_beyond(void)
{
    struct slab *s = make_slab(class_of(256));
    (void)slab_carve(s, 4);
    require(reads_as_zero((char *)s->base + 4 * s->stride, UNIT_SIZE - 4 * s->stride));
}

static void only_carved_starts_are_blocks(void)
{
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        struct slab *s = make_slab(class);
        require(!slab_is_block(s, (void *)s->base));
        (void)slab_carve(s, 2);
        uint32_t carved = s->carved;
        for (intptr_t d = -9; d < (intptr_t)(carved + 1) * s->stride; d += d < 64 ? 1 : 13) {
            bool expected = d >= 0 && d % s->stride == 0 && (uint32_t)(d / s->stride) < carved;
            require(slab_is_block(s, (char *)s->base + d) == expected, "class %u at %ld", class, (long)d);
        }
        for (uint32_t i = 0; i < carved; i++) require(slab_is_block(s, slab_block(s, i)));
        require(!slab_is_block(s, slab_block(s, carved)));
    }
}

static struct chain one(void *block)
{
    return (struct chain){.first = block, .last = block, .count = 1};
}

static void giving_and_taking_keep_the_count(void)
{
    struct slab *s = make_slab(class_of(100));
    (void)slab_carve(s, 100);
    for (uint32_t i = 0; i < 50; i++) {
        require(slab_give(s, one(slab_block(s, i * 2))));
        require(!slab_verify(s) && slab_free_count(s) == i + 1);
    }
    void *last = slab_take_one(s);
    require(last == slab_block(s, 98) && slab_free_count(s) == 49 && !slab_verify(s));
    struct chain all = slab_take_free(s);
    require(all.count == 49 && s->used == 100 && s->free == NULL && !slab_verify(s));
    require(all.last == slab_block(s, 0));
    require(slab_give(s, all) && !slab_verify(s) && slab_free_count(s) == 49);
}

static void giving_more_than_is_out_changes_nothing(void)
{
    struct slab *s = make_slab(class_of(100));
    (void)slab_carve(s, 1);
    require(slab_give(s, one(slab_block(s, 0))));
    struct slab before = *s;
    require(!slab_give(s, one(slab_block(s, 0))));
    require(memcmp(&before, s, sizeof(before)) == 0 && !slab_verify(s));
}

static void places_follow_the_state(void)
{
    struct slab *s = make_slab(class_of(60000));
    require(slab_place_of(s) == SLAB_UNCARVED);
    (void)slab_carve(s, s->capacity);
    require(slab_place_of(s) == SLAB_FULL);
    require(slab_give(s, one(slab_block(s, 0))));
    require(slab_place_of(s) == SLAB_PARTIAL);
}

/* ---- broken on purpose ---- */

static struct slab *half_free_slab(void)
{
    struct slab *s = make_slab(class_of(100));
    (void)slab_carve(s, 10);
    for (uint32_t i = 0; i < 5; i++) require(slab_give(s, one(slab_block(s, i))));
    require(!slab_verify(s));
    return s;
}

static void verify_sees_wrong_counts(void)
{
    struct slab *s = half_free_slab();
    s->used++;
    require_broken(slab_verify(s), "slab I1");
    s->used -= 2;
    require_broken(slab_verify(s), "slab I1");
    s->used = s->carved + 1;
    require_broken(slab_verify(s), "slab I1");
    s = half_free_slab();
    s->carved = s->capacity + 1;
    require_broken(slab_verify(s), "slab I1");
}

static void verify_sees_a_list_off_the_blocks(void)
{
    struct slab *s = half_free_slab();
    s->free = (char *)s->free + 8;
    require_broken(slab_verify(s), "slab I2");
    s = half_free_slab();
    link_set(s->free, slab_block(s, s->carved)); /* never carved */
    require_broken(slab_verify(s), "slab I2");
    s = half_free_slab();
    link_set(s->free, (void *)(s->base - 16));
    require_broken(slab_verify(s), "slab I2");
}

static void verify_sees_a_block_twice(void)
{
    struct slab *s = half_free_slab();
    link_set(s->free_tail, s->free);
    require_broken(slab_verify(s), "slab I2");
}

static void verify_sees_a_wrong_tail(void)
{
    struct slab *s = half_free_slab();
    s->free_tail = s->free;
    require_broken(slab_verify(s), "slab I3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sizes_grow_to_the_largest),
        TEST(eight_steps_of_the_first_hakmem_are_classes),
        TEST(every_size_gets_the_smallest_class),
        TEST(every_table_agrees_with_class_of),
        TEST(rounding_wastes_at_most_a_quarter),
        TEST(blocks_fit_their_slab_and_are_aligned),
        TEST(aligned_classes_fit_and_align),
        TEST(carving_gives_every_block_once),
        TEST(carving_touches_nothing_beyond),
        TEST(only_carved_starts_are_blocks),
        TEST(giving_and_taking_keep_the_count),
        TEST(giving_more_than_is_out_changes_nothing),
        TEST(places_follow_the_state),
        TEST(verify_sees_wrong_counts),
        TEST(verify_sees_a_list_off_the_blocks),
        TEST(verify_sees_a_block_twice),
        TEST(verify_sees_a_wrong_tail),
    };
    return run_unit_tests(tests);
}
