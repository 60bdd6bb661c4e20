/* slots.h - the loop of the fixed and the mixed benchmark: a random slot is freed when it is filled,
 * and filled when it is empty.
 *
 * Callers: bench_fixed_size.c and bench_random_mixed.c. Inline, so that each program's size choice
 *          becomes a constant or two instructions of its loop.
 */
#ifndef BENCH_SLOTS_H
#define BENCH_SLOTS_H

#include "bench.h"

enum { MAX_SLOTS = 1 << 26, MAX_BLOCK = 1 << 30 };

struct sizes {
    uint32_t low;   /* smallest block, bytes */
    uint32_t count; /* how many sizes from low up; 1 = all equal */
};

struct tally {
    uint64_t mallocs;
    uint64_t frees;
    double seconds; /* of the loop alone, without emptying the slots at the end */
};

static inline struct tally slots_run(uint64_t iterations, struct sizes sizes, uint32_t slot_count, uint64_t seed)
{
    struct block *slots = calloc(slot_count, sizeof *slots);
    if (slots == NULL)
        bench_fail("no memory for %u slots", slot_count);

    uint64_t mallocs = 0;
    double start = bench_seconds();
    for (uint64_t i = 0; i < iterations; i++) {
        uint64_t bits = bench_random(&seed);
        uint32_t slot = bench_scale((uint32_t)(bits >> 32), slot_count);
        if (slots[slot].p != NULL) {
            block_give(&slots[slot]);
        } else {
            uint32_t size = sizes.low + bench_scale((uint32_t)bits, sizes.count);
            block_take(&slots[slot], size, (unsigned char)(slot ^ 0xa5));
            mallocs++;
        }
    }
    struct tally tally = {.mallocs = mallocs, .frees = iterations - mallocs, .seconds = bench_seconds() - start};

    for (uint32_t slot = 0; slot < slot_count; slot++) {
        if (slots[slot].p == NULL)
            continue;
        block_give(&slots[slot]);
        tally.frees++;
    }
    free(slots);
    return tally;
}

/* The one line that the program prints: what ran, then the rate. */
static void tally_print(const char *what, uint64_t iterations, const struct tally *t)
{
    if (t->mallocs != t->frees)
        bench_fail("%llu mallocs, %llu frees", (unsigned long long)t->mallocs, (unsigned long long)t->frees);
    double seconds = t->seconds > 1e-9 ? t->seconds : 1e-9;
    printf("%s: %llu operations (%llu blocks), %.0f operations per second, %.3f s\n", what,
           (unsigned long long)iterations, (unsigned long long)t->mallocs, (double)iterations / seconds, seconds);
    if (fflush(stdout) != 0)
        bench_fail("cannot write the result");
}

#endif
