/* class_test.c - size classes: every request, every class, every alignment. */
#include "unit.h"

/* The classes as the head of class.h lists them, written down a second time. */
static unsigned list_sizes(uint32_t *size)
{
    unsigned count = 0;
    size[count++] = 8;
    for (uint32_t n = 16; n <= 128; n += 16) size[count++] = n;
    for (uint32_t base = 128; base < 8192; base *= 2)
        for (uint32_t step = 1; step <= 4; step++) size[count++] = base + step * base / 4;
    for (uint32_t base = 8192; base < 65536; base *= 2)
        for (uint32_t step = 1; step <= 8; step++) size[count++] = base + step * base / 8;
    return count;
}

static uint32_t slab_bytes(unsigned class)
{
    return class_units(class) * (uint32_t)UNIT_SIZE;
}

static void classes_are_those_of_the_list(void)
{
    uint32_t size[256];
    unsigned count = list_sizes(size);
    require(count == SIZE_CLASS_COUNT, "%u", count);
    for (unsigned c = 0; c < count; c++) require(class_size(c) == size[c], "class %u is %u", c, class_size(c));
    require(class_size(count - 1) == SMALL_SIZE_MAX);
}

static void the_old_steps_stay_classes(void)
{
    for (uint32_t n = 8; n <= 65536; n *= 2) require(class_size(class_of(n)) == n, "%u", n);
}

static void every_request_gets_the_smallest_class(void)
{
    uint32_t size[256];
    unsigned class = 0;
    (void)list_sizes(size);
    for (size_t n = 0; n <= SMALL_SIZE_MAX; n++) {
        while (size[class] < n) class++;
        require(class_of(n) == class, "%zu: class %u, not %u", n, class_of(n), class);
    }
}

static void the_table_of_small_sizes_agrees(void)
{
    void *p = do_malloc(1);
    for (size_t n = 0; n <= TABLE_SIZE_MAX; n++)
        require(my_heap()->front.bin_of_size[(n + 7) / 8] == bin_offset(class_of(n)), "%zu", n);
    do_free(p);
}

static void the_table_of_medium_sizes_agrees(void)
{
    for (size_t n = TABLE_SIZE_MAX + 1; n <= SMALL_SIZE_MAX; n++)
        require(medium_bin[(n - 1) / MEDIUM_STEP] == bin_offset(class_of(n)), "%zu", n);
}

_Static_assert(CLASS_OF_MEDIUM(129L) == 9 && CLASS_OF_MEDIUM(65536L) == SIZE_CLASS_COUNT - 1, "a constant expression");

static void the_constant_expression_agrees(void)
{
    for (long n = 129; n <= SMALL_SIZE_MAX; n++) require((unsigned)CLASS_OF_MEDIUM(n) == class_of((size_t)n), "%ld", n);
}

static void strides_and_first_blocks_keep_alignment(void)
{
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        uint32_t alignment = c == 0 ? 8 : 16;
        require(class_stride(c) >= class_size(c), "class %u", c);
        require(class_stride(c) % alignment == 0, "class %u", c);
        require(class_first(c) % 16 == 0, "class %u", c);
        require(class_stride(c) - class_size(c) <= COLOUR_BYTES, "class %u wastes", c);
    }
}

static void the_last_block_ends_inside_the_slab(void)
{
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        uint64_t end = class_first(c) + (uint64_t)class_capacity(c) * class_stride(c);
        require(class_capacity(c) >= 1, "class %u", c);
        require(end <= slab_bytes(c), "class %u ends at %lu", c, end);
        require(end + class_stride(c) > slab_bytes(c), "class %u: one more block fits", c);
    }
}

static void slabs_take_one_unit_or_eight(void)
{
    for (unsigned c = 0; c < CLASS_COUNT; c++)
        require(class_units(c) == (class_size(c) <= 8192 ? 1 : POOL_UNITS), "class %u", c);
}

static void page_sized_classes_are_coloured(void)
{
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        bool page_sized = c < SIZE_CLASS_COUNT && class_size(c) % 4096 == 0;
        require(class_is_coloured(c) == page_sized, "class %u", c);
        require(class_first(c) == (page_sized ? COLOUR_BYTES : 0), "class %u", c);
        require(class_stride(c) == class_size(c) + (page_sized ? COLOUR_BYTES : 0), "class %u", c);
    }
}

static void aligned_classes_are_whole_pages(void)
{
    for (unsigned c = SIZE_CLASS_COUNT; c < CLASS_COUNT; c++) {
        require(class_stride(c) % 4096 == 0 && class_first(c) == 0, "class %u", c);
        require(c == SIZE_CLASS_COUNT || class_size(c) > class_size(c - 1), "class %u", c);
    }
    require(class_size(CLASS_COUNT - 1) == SMALL_SIZE_MAX);
}

static bool all_blocks_aligned(unsigned class, size_t alignment)
{
    for (uint64_t i = 0, at = class_first(class); i < class_capacity(class); i++, at += class_stride(class))
        if (at % alignment != 0) return false;
    return true;
}

static bool aligned[CLASS_COUNT];

static void note_aligned_classes(size_t alignment)
{
    for (unsigned c = 0; c < CLASS_COUNT; c++) aligned[c] = all_blocks_aligned(c, alignment);
}

static void aligned_requests_get_aligned_blocks(void)
{
    for (size_t alignment = 1; alignment <= UNIT_SIZE; alignment *= 2) {
        note_aligned_classes(alignment);
        for (size_t n = 0; n <= SMALL_SIZE_MAX; n++) {
            unsigned class = class_of_aligned(n, alignment);
            require(class < CLASS_COUNT && class_size(class) >= n, "%zu at %zu", n, alignment);
            require(aligned[class], "%zu at %zu: class %u", n, alignment, class);
        }
    }
}

static void aligned_requests_get_the_smallest_class(void)
{
    for (size_t alignment = 1; alignment <= UNIT_SIZE; alignment *= 2) {
        note_aligned_classes(alignment);
        for (size_t n = 0; n <= SMALL_SIZE_MAX; n += n < 1024 ? 1 : 61) {
            uint32_t least = UINT32_MAX;
            for (unsigned c = 0; c < CLASS_COUNT; c++)
                if (aligned[c] && class_size(c) >= n && class_size(c) < least) least = class_size(c);
            uint32_t got = class_size(class_of_aligned(n, alignment));
            require(got == least, "%zu at %zu: %u bytes, not %u", n, alignment, got, least);
        }
    }
}

static void small_multiples_of_an_alignment_have_its_classes(void)
{
    require(class_size(class_of(PLAIN_SIZE_MAX)) == PLAIN_SIZE_MAX);
    require(class_is_coloured(class_of(PLAIN_SIZE_MAX + 1)) && !class_is_coloured(class_of(PLAIN_SIZE_MAX)));
    for (size_t alignment = 1; alignment < COLOURED_SIZE_MIN; alignment *= 2)
        for (size_t n = 1; align_up(n, alignment) <= PLAIN_SIZE_MAX; n++)
            require(class_of(align_up(n, alignment)) == class_of_aligned(n, alignment), "%zu at %zu", n, alignment);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(classes_are_those_of_the_list),
        TEST(the_old_steps_stay_classes),
        TEST(every_request_gets_the_smallest_class),
        TEST(the_table_of_small_sizes_agrees),
        TEST(the_table_of_medium_sizes_agrees),
        TEST(the_constant_expression_agrees),
        TEST(strides_and_first_blocks_keep_alignment),
        TEST(the_last_block_ends_inside_the_slab),
        TEST(slabs_take_one_unit_or_eight),
        TEST(page_sized_classes_are_coloured),
        TEST(aligned_classes_are_whole_pages),
        TEST(aligned_requests_get_aligned_blocks),
        TEST(aligned_requests_get_the_smallest_class),
        TEST(small_multiples_of_an_alignment_have_its_classes),
    };
    return run_unit_tests(tests);
}
