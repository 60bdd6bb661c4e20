/* buffers.c - a program that reads much into buffers, works on it, and drops all.
 *
 *     buffers MIB LOW HIGH ROUNDS [SEED]
 *
 * In each round buffers of LOW to HIGH bytes are taken until they hold MIB MiB, each is written from end to end, and
 * all are given back in random order. The first round shows what memory costs that is touched for the first time, the
 * others whether it is there when it is wanted again.
 */
#include "bench.h"

enum { MAX_BLOCK = 1 << 28, MAX_MIB = 1 << 20 };

static struct block *blocks;
static uint64_t random_state = 1;

static uint32_t random_below(uint32_t count)
{
    return bench_scale((uint32_t)bench_random(&random_state), count);
}

/* Returns how many were taken. */
static uint32_t fill(uint64_t bytes, uint32_t low, uint32_t high)
{
    uint32_t count = 0;
    for (uint64_t taken = 0; taken < bytes; count++) {
        uint32_t size = low + random_below(high - low + 1);
        block_take(&blocks[count], size, (unsigned char)count);
        memset(blocks[count].p, (unsigned char)count, size);
        taken += size;
    }
    return count;
}

static void drop(uint32_t count)
{
    while (count > 0) {
        uint32_t i = random_below(count--);
        block_give(&blocks[i]);
        blocks[i] = blocks[count];
    }
}

int main(int argc, char **argv)
{
    if (argc != 5 && argc != 6)
        bench_fail("usage: buffers MIB LOW HIGH ROUNDS [SEED]");
    uint64_t bytes = bench_number("MIB", argv[1], 1, MAX_MIB) << 20;
    uint32_t low = (uint32_t)bench_number("LOW", argv[2], 16, MAX_BLOCK);
    uint32_t high = (uint32_t)bench_number("HIGH", argv[3], low, MAX_BLOCK);
    uint64_t rounds = bench_number("ROUNDS", argv[4], 1, UINT32_MAX);
    if (argc == 6)
        random_state = bench_number("SEED", argv[5], 0, UINT64_MAX);
    blocks = malloc((bytes / low + 1) * sizeof(struct block));
    if (blocks == NULL)
        bench_fail("no memory for the table of buffers");
    double start = bench_seconds();
    for (uint64_t i = 0; i < rounds; i++)
        drop(fill(bytes, low, high));
    printf("buffers: %llu rounds, %.3f s\n", (unsigned long long)rounds, bench_seconds() - start);
    return 0;
}
