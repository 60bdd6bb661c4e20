/* leak.c - a short process that takes many small blocks and gives none back.
 *
 *     leak BLOCKS LOW HIGH [SEED]
 *
 * BLOCKS blocks of LOW to HIGH bytes are taken, written at both ends, chained to each other, and left to the
 * system. So memory is only touched for the first time, never used again: what counts is over how many pages an
 * allocator spreads the blocks, and what it does before it hands them out. The chain is walked at the end, as a
 * compiler would walk what it has built, and every block is checked.
 */
#include "bench.h"

enum { MAX_BLOCK = 1 << 28 };

struct link {
    struct link *next;
    uint32_t size; /* of this block, bytes */
};

static struct link *push(struct link *next, uint32_t size)
{
    struct link *l = bench_malloc(size);
    if (l == NULL)
        bench_fail("malloc(%u) returned NULL: %s", size, strerror(errno));
    ((unsigned char *)l)[size - 1] = (unsigned char)size;
    *l = (struct link){.next = next, .size = size};
    return l;
}

static void check(const struct link *l)
{
    if (l->size > sizeof *l && ((const unsigned char *)l)[l->size - 1] != (unsigned char)l->size)
        bench_fail("block %p of %u bytes was changed", (const void *)l, l->size);
}

int main(int argc, char **argv)
{
    if (argc != 4 && argc != 5)
        bench_fail("usage: leak BLOCKS LOW HIGH [SEED]");
    uint64_t block_count = bench_number("BLOCKS", argv[1], 1, UINT64_MAX / 2);
    uint32_t low = (uint32_t)bench_number("LOW", argv[2], sizeof(struct link), MAX_BLOCK);
    uint32_t high = (uint32_t)bench_number("HIGH", argv[3], low, MAX_BLOCK);
    uint64_t random = argc == 5 ? bench_number("SEED", argv[4], 0, UINT64_MAX) : 1;

    static struct link *last; /* static: leak checkers see that all is still reachable */
    double start = bench_seconds();
    for (uint64_t i = 0; i < block_count; i++)
        last = push(last, low + bench_scale((uint32_t)bench_random(&random), high - low + 1));
    uint64_t found = 0;
    for (const struct link *l = last; l != NULL; l = l->next, found++)
        check(l);
    if (found != block_count)
        bench_fail("%llu blocks were chained, %llu were found", (unsigned long long)block_count,
                   (unsigned long long)found);
    printf("leak: %llu blocks, %.3f s\n", (unsigned long long)block_count, bench_seconds() - start);
    return 0;
}
