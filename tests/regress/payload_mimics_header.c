/* payload_mimics_header - what the program writes beside a block says nothing about the block.
 *
 * What went wrong once: free read the class from the byte before the block, which belonged to the
 * neighbour: user data that looked like a header sent the block to another class.
 *
 * Shown: with whole slabs of every class filled with each of the 256 byte values, so that every block
 * has such neighbours, at every offset that the class has within a page, sizes, owners and contents are
 * right, freed blocks come back for requests of their class, and the books balance.
 */
#include "whitebox.h"

enum { BLOCKS_MAX = 2 * UNIT_SIZE / 8 };

static unsigned char *block[BLOCKS_MAX];

static uint32_t block_count(unsigned class)
{
    return (class_units(class) == 1 ? 2 : 1) * class_capacity(class);
}

/* A request that only this class serves. */
static void *take(unsigned class)
{
    return class < SIZE_CLASS_COUNT ? call_malloc(class_size(class)) : front_aligned(4096, class_size(class));
}

static bool belongs(const void *p, unsigned class)
{
    struct tag tag = tagmap_get(p);
    return tag_offset(tag) == bin_offset(class) && tag_owner(tag) == heap_self->id;
}

static bool is_filled(const unsigned char *p, uint32_t size, unsigned value)
{
    return p[0] == value && memcmp(p, p + 1, size - 1) == 0;
}

static void fill_all(unsigned class, uint32_t count, unsigned value)
{
    uint32_t size = class_stride(class);
    for (uint32_t i = 0; i < count; i++) {
        block[i] = take(class);
        if (!block[i]) bail_out("no memory for class %u", class);
        memset(block[i], (int)value, size);
    }
}

static void check_all(unsigned class, uint32_t count, unsigned value)
{
    uint32_t size = class_stride(class);
    uint32_t wrong_size = 0, wrong_owner = 0, wrong_bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        wrong_size += hak_usable_size(block[i]) != size;
        wrong_owner += !belongs(block[i], class);
        wrong_bytes += !is_filled(block[i], size, value);
    }
    expect(wrong_size + wrong_owner + wrong_bytes == 0, "class %u, byte %#x: %u sizes, %u owners, %u contents wrong",
           class, value, wrong_size, wrong_owner, wrong_bytes);
}

/* Every second block leaves its filled neighbours and comes back. */
static void free_between(unsigned class, uint32_t count, unsigned value)
{
    for (uint32_t i = 0; i < count; i += 2) call_free(block[i]);
    uint32_t taken_for_another = 0;
    for (uint32_t i = 1; i < count; i += 2) taken_for_another += !belongs(block[i], class);
    for (uint32_t i = 0; i < count; i += 2) {
        block[i] = take(class);
        if (!block[i]) bail_out("no memory for class %u", class);
        memset(block[i], (int)value, class_stride(class));
    }
    expect(taken_for_another == 0, "class %u, byte %#x: %u blocks changed class", class, value, taken_for_another);
}

static uint32_t page_offsets(uint32_t count)
{
    static bool seen[4096 / 8];
    uint32_t offsets = 0;
    memset(seen, 0, sizeof seen);
    for (uint32_t i = 0; i < count; i++) {
        bool *at = &seen[(uintptr_t)block[i] % 4096 / 8];
        offsets += !*at;
        *at = true;
    }
    return offsets;
}

/* How many offsets in a page the blocks of one slab have: as many as block starts differ modulo 4096. */
static uint32_t offsets_of_slab(unsigned class)
{
    for (uint32_t i = 0; i < class_capacity(class); i++) block[i] = (void *)(i * (uintptr_t)class_stride(class));
    return page_offsets(class_capacity(class));
}

static void play_class(unsigned class)
{
    uint32_t count = block_count(class);
    uint32_t all_offsets = offsets_of_slab(class);
    for (unsigned value = 0; value < 256; value++) {
        fill_all(class, count, value);
        if (value == 0)
            expect(page_offsets(count) >= all_offsets, "class %u: %u page offsets of %u", class, page_offsets(count),
                   all_offsets);
        free_between(class, count, value);
        check_all(class, count, value);
        for (uint32_t i = 0; i < count; i++) call_free(block[i]);
    }
    struct census c = census_take(class);
    expect(!c.broken, "class %u: %s", class, c.broken);
    expect(c.used == c.binned && balance_of(class) == 0, "class %u: %lu used, %lu in bins, balance %lu", class, c.used,
           c.binned, balance_of(class));
    claim("no_byte_beside_a_block_matters to blocks of %u%s", class_size(class),
          class < SIZE_CLASS_COUNT ? "" : ", aligned");
}

int main(void)
{
    be(heap_enter());
    for (unsigned class = 0; class < CLASS_COUNT; class++) play_class(class);
    ok(hak_check(), "all_invariants_hold_at_the_end");
    return done_testing();
}
