/* heap_scale.c - what one operation costs when much else is alive.
 *
 *     heap_scale MIB OPERATIONS [SEED]
 *
 * Fills a heap with MIB MiB of blocks of 16 to 1024 bytes, then OPERATIONS times replaces a random block by another.
 * An operation is one free and the malloc that follows it. Only the replacing is timed, so that the costs at 10 MiB
 * and at 10 GiB can stand side by side. The blocks are written at both ends, which the cache no longer holds when the
 * heap is large: part of the rise is the program's own.
 */
#include "bench.h"

enum { MAX_MIB = 1 << 20, LOW = 16, HIGH = 1024 };

static uint32_t size_from(uint64_t bits)
{
    return LOW + bench_scale((uint32_t)bits, HIGH - LOW + 1);
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 4)
        bench_fail("usage: heap_scale MIB OPERATIONS [SEED]");
    uint64_t bytes = bench_number("MIB", argv[1], 1, MAX_MIB) << 20;
    uint64_t operations = bench_number("OPERATIONS", argv[2], 1, UINT64_MAX / 2);
    uint64_t random = argc == 4 ? bench_number("SEED", argv[3], 0, UINT64_MAX) : 1;

    uint32_t block_count = (uint32_t)(bytes / ((LOW + HIGH) / 2));
    struct block *blocks = calloc(block_count, sizeof *blocks);
    if (blocks == NULL)
        bench_fail("no memory for %u blocks", block_count);
    for (uint32_t i = 0; i < block_count; i++) {
        uint64_t bits = bench_random(&random);
        block_take(&blocks[i], size_from(bits), (unsigned char)(bits >> 8));
    }

    double start = bench_seconds();
    for (uint64_t i = 0; i < operations; i++) {
        uint64_t bits = bench_random(&random);
        struct block *b = &blocks[bench_scale((uint32_t)(bits >> 32), block_count)];
        block_give(b);
        block_take(b, size_from(bits), (unsigned char)(bits >> 8));
    }
    double seconds = bench_seconds() - start;

    for (uint32_t i = 0; i < block_count; i++)
        block_give(&blocks[i]);
    free(blocks);
    printf("heap of %s MiB: %llu operations, %.0f operations per second, %.3f s\n", argv[1],
           (unsigned long long)operations, (double)operations / (seconds > 1e-9 ? seconds : 1e-9), seconds);
    return 0;
}
