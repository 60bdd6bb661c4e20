/* stride_matches_capacity - the blocks of a slab end inside the slab, whatever their size.
 *
 * What went wrong once: blocks of 513 B were carved from slabs whose capacity was computed for 512 B. After
 * some 100,000 operations the last block overran the slab.
 *
 * Shown: for every class, a slab carved to the end and written to the last byte leaves the unit behind it as
 * it was; one more block would not fit; and for every request size, blocks do not overlap and stay inside.
 */
#include "whitebox.h"

enum { BLOCKS_MAX = 20000, CANARY = 0xc5 };

static void *block[BLOCKS_MAX];

/* ---- a slab of our own making, with a canary behind it ---- */

static bool all_bytes(const unsigned char *p, size_t size, unsigned value)
{
    return p[0] == value && memcmp(p, p + 1, size - 1) == 0;
}

/* Steps of different lengths, to meet the end in different ways. */
static uint32_t carve_to_the_end(struct slab *s, uint32_t step)
{
    uint32_t carved = 0;
    while (s->carved < s->capacity) {
        struct chain chain = slab_carve(s, step);
        uint32_t length = 0;
        for (char *b = chain.first;; b = link_get(b)) {
            expect(slab_is_block(s, b), "block %p of the slab at %#lx is none", (void *)b, s->base);
            length++;
            if (b == chain.last || length > s->capacity) break;
        }
        expect(length == chain.count, "a chain of %u says %u", length, chain.count);
        carved += length;
        if (chain.count == 0) break;
    }
    return carved;
}

static void full_carve(unsigned class, uint32_t step)
{
    struct span span;
    unsigned units = class_units(class);
    if (!arena_take(units + 1, false, &span)) bail_out("no units");
    size_t slab_bytes = units * (size_t)UNIT_SIZE;
    unsigned char *behind = (unsigned char *)span.base + slab_bytes;
    memset(behind, CANARY, UNIT_SIZE);
    struct slab *s = slab_init(&span, class);
    uint32_t carved = carve_to_the_end(s, step);
    expect(carved == s->capacity && s->used == carved, "class %u: carved %u, used %u of %u", class, carved, s->used,
           s->capacity);
    for (uint32_t i = 0; i < s->capacity; i++) memset(slab_block(s, i), 0x11, class_stride(class));
    expect(all_bytes(behind, UNIT_SIZE, CANARY), "class %u: the canary behind the slab was hit", class);
    uintptr_t end = (uintptr_t)slab_block(s, s->capacity - 1) + class_stride(class);
    expect(end <= span.base + slab_bytes, "class %u: the last block ends %lu bytes behind the slab", class,
           end - span.base - slab_bytes);
    expect((uintptr_t)slab_block(s, s->capacity) + class_stride(class) > span.base + slab_bytes,
           "class %u: a block more would fit", class);
    s->units = 0; /* no slab any more */
    arena_give(span.base, span.record, units + 1);
}

/* ---- through malloc ---- */

static int by_address(const void *a, const void *b)
{
    const char *x = *(void *const *)a, *y = *(void *const *)b;
    return (x > y) - (x < y);
}

static void no_overlap(uint32_t size, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        block[i] = call_malloc(size);
        if (!block[i]) bail_out("no memory for blocks of %u", size);
        memset(block[i], (int)i, hak_usable_size(block[i]));
    }
    qsort(block, count, sizeof(block[0]), by_address);
    uint32_t overlaps = 0, outside = 0;
    for (uint32_t i = 0; i < count; i++) {
        uintptr_t end = (uintptr_t)block[i] + hak_usable_size(block[i]);
        const struct slab *s = slab_at(tagmap_get(block[i]).record);
        outside += (uintptr_t)block[i] < s->base || end > s->base + s->units * (uintptr_t)UNIT_SIZE;
        overlaps += i + 1 < count && end > (uintptr_t)block[i + 1];
    }
    expect(overlaps + outside == 0, "size %u: %u blocks overlap, %u stick out of their slab", size, overlaps, outside);
    for (uint32_t i = 0; i < count; i++) call_free(block[i]);
}

int main(void)
{
    be(heap_enter());
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        full_carve(class, 1);
        full_carve(class, 7);
        full_carve(class, UINT32_MAX);
        expect(class_stride(class) >= class_size(class), "class %u: blocks shorter than their size", class);
    }
    claim("the_last_block_of_every_class_ends_inside_its_slab");
    for (uint32_t size = 1; size <= 1040; size++) no_overlap(size, 2 * class_capacity(class_of(size)) + 1);
    no_overlap(513, BLOCKS_MAX);
    claim("blocks_of_every_size_to_1040_lie_apart");
    for (unsigned class = class_of(1040); class < SIZE_CLASS_COUNT; class++) {
        uint32_t count = 2 * class_capacity(class) + 1;
        no_overlap(class_size(class), count);
        no_overlap(class_size(class - 1) + 1, count);
    }
    claim("blocks_of_every_larger_class_lie_apart");
    ok(hak_check(), "all_invariants_hold_at_the_end");
    return done_testing();
}
