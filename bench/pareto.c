/* pareto.c - sizes and lifetimes with long tails: most blocks are small and die soon, a few are large, a few stay.
 *
 *     pareto OPERATIONS SLOTS [SEED]
 *
 * OPERATIONS times a slot gets another block. The size follows a Pareto distribution of index 1: half of the
 * blocks have 16 to 32 bytes, a quarter 32 to 64, and so on, up to 1 MiB. So each power of two brings about the
 * same number of bytes. Fifteen of sixteen blocks go to one of 256 slots, where they are soon replaced;
 * the others go to one of SLOTS slots, and stay long.
 */
#include "bench.h"

enum {
    MAX_SLOTS = 1 << 26,
    SHORT_SLOTS = 256,
    SMALLEST = 16,
    LARGEST = 1 << 20,
    SCALE = 1 << 20, /* steps of the random number behind a size; above LARGEST / SMALLEST */
};

/* SMALLEST / u for u uniform in (0, 1]: the inverse of the distribution function. */
static inline uint32_t pareto_size(uint32_t bits)
{
    uint32_t size = (uint32_t)SMALLEST * SCALE / (1 + bench_scale(bits, SCALE));
    return size < LARGEST ? size : LARGEST;
}

static void replace(struct block *b, uint64_t bits)
{
    if (b->p != NULL)
        block_give(b);
    block_take(b, pareto_size((uint32_t)bits), (unsigned char)(bits >> 56));
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 4)
        bench_fail("usage: pareto OPERATIONS SLOTS [SEED]");
    uint64_t operations = bench_number("OPERATIONS", argv[1], 1, UINT64_MAX / 2);
    uint32_t slot_count = (uint32_t)bench_number("SLOTS", argv[2], 1, MAX_SLOTS);
    uint64_t random = argc == 4 ? bench_number("SEED", argv[3], 0, UINT64_MAX) : 1;

    static struct block short_lived[SHORT_SLOTS];
    struct block *long_lived = calloc(slot_count, sizeof *long_lived);
    if (long_lived == NULL)
        bench_fail("no memory for %u slots", slot_count);

    double start = bench_seconds();
    for (uint64_t i = 0; i < operations; i++) {
        uint64_t bits = bench_random(&random);
        uint32_t where = (uint32_t)bench_random(&random);
        if (where % 16 != 0)
            replace(&short_lived[where / 16 % SHORT_SLOTS], bits);
        else
            replace(&long_lived[bench_scale(where, slot_count)], bits);
    }
    for (uint32_t i = 0; i < SHORT_SLOTS; i++)
        if (short_lived[i].p != NULL)
            block_give(&short_lived[i]);
    for (uint32_t i = 0; i < slot_count; i++)
        if (long_lived[i].p != NULL)
            block_give(&long_lived[i]);
    printf("pareto: %llu blocks, %.3f s\n", (unsigned long long)operations, bench_seconds() - start);
    free(long_lived);
    return 0;
}
