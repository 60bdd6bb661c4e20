/* pairs.c - malloc and free pairs in windows that callgrind counts one by one.
 *
 *     pairs FEW MANY
 *
 * Callers: counts.py, which runs it under callgrind with each allocator preloaded. callgrind counts inside of the
 *          functions window_*, and writes the counts out after each call of one.
 *
 * Each of four patterns is warmed up in a window whose counts mean nothing, the start's among them. Four more
 * follow: FEW and MANY rounds with functions that do nothing, then FEW and MANY with malloc and free. A round is
 * 100 pairs. The differences have no constant part, and the loop's own instructions are known.
 *
 *     single        64 B, one at a time
 *     mixed         16 to 1024 B, one at a time
 *     burst         100 mallocs of 64 B, then 100 frees
 *     burst_mixed   the same with 16 to 1024 B
 */
#include "bench.h"

enum { CALLS = 100, WARM_UP = 200, LOW = 16, HIGH = 1024, MAX_ROUNDS = 1000000 };

static int few, many; /* rounds of a window */

typedef void window(int rounds, const uint32_t *sizes);

/* What stands for the allocator when the loop alone is counted. counts.py knows these by name. */
__attribute__((noinline)) static void *nothing_malloc(size_t size)
{
    static char block[HIGH];
    __asm__ volatile("" ::"r"(size));
    return block;
}

__attribute__((noinline)) static void nothing_free(void *p)
{
    __asm__ volatile("" ::"r"(p));
}

__attribute__((noinline)) static void window_single(int rounds, const uint32_t *sizes)
{
    for (int r = 0; r < rounds; r++)
        for (int i = 0; i < CALLS; i++)
            bench_free(bench_malloc(sizes[i]));
}

__attribute__((noinline)) static void window_burst(int rounds, const uint32_t *sizes)
{
    void *blocks[CALLS];
    for (int r = 0; r < rounds; r++) {
        for (int i = 0; i < CALLS; i++)
            blocks[i] = bench_malloc(sizes[i]);
        for (int i = 0; i < CALLS; i++)
            bench_free(blocks[i]);
    }
}

static void count_pattern(window *run, const uint32_t *sizes)
{
    void *(*real_malloc)(size_t) = bench_malloc;
    void (*real_free)(void *) = bench_free;
    run(WARM_UP, sizes);
    bench_malloc = nothing_malloc;
    bench_free = nothing_free;
    run(few, sizes);
    run(many, sizes);
    bench_malloc = real_malloc;
    bench_free = real_free;
    run(few, sizes);
    run(many, sizes);
}

int main(int argc, char **argv)
{
    static uint32_t equal[CALLS], mixed[CALLS];
    uint64_t seed = 12345;
    if (argc != 3)
        bench_fail("usage: pairs FEW MANY");
    few = (int)bench_number("FEW", argv[1], 1, MAX_ROUNDS);
    many = (int)bench_number("MANY", argv[2], (uint64_t)few + 1, MAX_ROUNDS);
    for (int i = 0; i < CALLS; i++) {
        equal[i] = 64;
        mixed[i] = LOW + bench_scale((uint32_t)bench_random(&seed), HIGH - LOW + 1);
    }
    count_pattern(window_single, equal);
    count_pattern(window_single, mixed);
    count_pattern(window_burst, equal);
    count_pattern(window_burst, mixed);
    return 0;
}
