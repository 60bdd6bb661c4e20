/* large_blocks.c - blocks of megabytes in a few slots.
 *
 *     large_blocks OPERATIONS SLOTS LOW_MIB HIGH_MIB FULL [SEED]
 *
 * OPERATIONS times: pick one of SLOTS slots at random, give back its block, and take another of LOW_MIB to HIGH_MIB
 * MiB. The first and the last page of a block are written; in FULL percent of the blocks every page is. What
 * counts here is whether the allocator keeps memory that the system would have to zero again.
 */
#include "bench.h"

enum { MAX_SLOTS = 1 << 16, MAX_MIB = 1024, MIB = 1 << 20, PAGE = 4096 };

/* One byte in each page between the ends, which block_take has written. */
static void touch_every_page(const struct block *b)
{
    for (uint32_t at = PAGE; at + PAGE < b->size; at += PAGE)
        b->p[at] = b->mark;
}

static void check_every_page(const struct block *b)
{
    for (uint32_t at = PAGE; at + PAGE < b->size; at += PAGE)
        if (b->p[at] != b->mark)
            bench_fail("block %p of %u bytes: wrote %02x at %u, found %02x", (void *)b->p, b->size, b->mark, at,
                       b->p[at]);
}

int main(int argc, char **argv)
{
    if (argc != 6 && argc != 7)
        bench_fail("usage: large_blocks OPERATIONS SLOTS LOW_MIB HIGH_MIB FULL [SEED]");
    uint64_t operations = bench_number("OPERATIONS", argv[1], 1, UINT64_MAX / 2);
    uint32_t slot_count = (uint32_t)bench_number("SLOTS", argv[2], 1, MAX_SLOTS);
    uint32_t low = (uint32_t)bench_number("LOW_MIB", argv[3], 1, MAX_MIB) * MIB;
    uint32_t high = (uint32_t)bench_number("HIGH_MIB", argv[4], low / MIB, MAX_MIB) * MIB;
    uint32_t full_percent = (uint32_t)bench_number("FULL", argv[5], 0, 100);
    uint64_t random = argc == 7 ? bench_number("SEED", argv[6], 0, UINT64_MAX) : 1;

    static struct block slots[MAX_SLOTS];
    static unsigned char is_full[MAX_SLOTS]; /* 1: every page of the block was written */
    double start = bench_seconds();
    for (uint64_t i = 0; i < operations; i++) {
        uint64_t bits = bench_random(&random);
        uint32_t slot = bench_scale((uint32_t)(bits >> 32), slot_count);
        struct block *b = &slots[slot];
        if (b->p != NULL) {
            if (is_full[slot])
                check_every_page(b);
            block_give(b);
        }
        block_take(b, low + bench_scale((uint32_t)bits, high - low + 1), (unsigned char)(bits >> 8));
        is_full[slot] = bench_scale((uint32_t)bench_random(&random), 100) < full_percent;
        if (is_full[slot])
            touch_every_page(b);
    }
    for (uint32_t slot = 0; slot < slot_count; slot++)
        if (slots[slot].p != NULL)
            block_give(&slots[slot]);
    printf("large blocks: %llu blocks, %.3f s\n", (unsigned long long)operations, bench_seconds() - start);
    return 0;
}
