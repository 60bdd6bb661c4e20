/* addresses_test.c - blocks that have all 48 bits of an address: the kernel gives the highest addresses first. */
#include <hakmem/hakmem.h>

#include "tap.h"

enum { BLOCKS = 1000, HIGHEST_BIT = 47 };

static void *(*volatile take)(size_t) = malloc;
static void (*volatile give)(void *) = free;

static void blocks_of(size_t size, unsigned count)
{
    static unsigned char *block[BLOCKS];
    for (unsigned i = 0; i < count; i++) {
        block[i] = take(size);
        if (!block[i]) bail_out("size %zu: NULL", size);
        block[i][0] = block[i][size - 1] = (unsigned char)i;
        expect((uintptr_t)block[i] >> HIGHEST_BIT == 1, "size %zu: %p", size, (void *)block[i]);
        expect(hak_owns(block[i]), "size %zu: %p is nobody's", size, (void *)block[i]);
    }
    for (unsigned i = 0; i < count; i++) {
        expect(block[i][0] == (unsigned char)i && block[i][size - 1] == (unsigned char)i, "size %zu has changed", size);
        give(block[i]);
    }
    expect(hak_check(), "size %zu: the heap is broken", size);
    claim("blocks_of_%zu_have_48_bit_addresses", size);
}

int main(void)
{
    static const size_t sizes[] = {16, 100, 3000, 50000, 300000, 5000000};
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        blocks_of(sizes[i], sizes[i] > 100000 ? 20 : BLOCKS);
    blocks_of((size_t)100 << 20, 2);
    return done_testing();
}
