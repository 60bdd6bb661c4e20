/* one_pair.c - one malloc and one free after the other, nothing else alive.
 *
 *     one_pair PAIRS LOW HIGH [SEED]
 *
 * PAIRS times a block is taken and given back at once. LOW = HIGH: always one size. Otherwise 1,024 random sizes
 * from LOW to HIGH take turns. This is the shortest path of an allocator, and shows little else.
 */
#include "bench.h"

enum { SIZE_COUNT = 1024, MAX_BLOCK = 1 << 28 };

int main(int argc, char **argv)
{
    if (argc != 4 && argc != 5)
        bench_fail("usage: one_pair PAIRS LOW HIGH [SEED]");
    uint64_t pairs = bench_number("PAIRS", argv[1], 1, UINT64_MAX / 2);
    uint32_t low = (uint32_t)bench_number("LOW", argv[2], 1, MAX_BLOCK);
    uint32_t high = (uint32_t)bench_number("HIGH", argv[3], low, MAX_BLOCK);
    uint64_t random = argc == 5 ? bench_number("SEED", argv[4], 0, UINT64_MAX) : 1;

    static uint32_t sizes[SIZE_COUNT];
    for (uint32_t i = 0; i < SIZE_COUNT; i++)
        sizes[i] = low + bench_scale((uint32_t)bench_random(&random), high - low + 1);

    double start = bench_seconds();
    for (uint64_t i = 0; i < pairs; i++) {
        struct block b;
        block_take(&b, sizes[i % SIZE_COUNT], (unsigned char)i);
        block_give(&b);
    }
    printf("one pair: %llu pairs, %.3f s\n", (unsigned long long)pairs, bench_seconds() - start);
    return 0;
}
