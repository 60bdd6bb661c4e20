/* bench_random_mixed.c - blocks of 16 to 1040 bytes in a working set of random slots.
 *
 *     bench_random_mixed ITERS WS SEED
 *
 * ITERS times: pick one of WS slots at random; free its block when it has one, else give it a block of
 * a random size. An operation is one malloc or one free.
 */
#include "slots.h"

enum { LOW = 16, HIGH = 1040 };

int main(int argc, char **argv)
{
    if (argc != 4)
        bench_fail("usage: bench_random_mixed ITERS WS SEED");
    uint64_t iterations = bench_number("ITERS", argv[1], 1, UINT64_MAX / 2);
    uint32_t slot_count = (uint32_t)bench_number("WS", argv[2], 1, MAX_SLOTS);
    uint64_t seed = bench_number("SEED", argv[3], 0, UINT64_MAX);

    char what[96];
    snprintf(what, sizeof what, "mixed ws=%u seed=%llu", slot_count, (unsigned long long)seed);
    struct tally tally = slots_run(iterations, (struct sizes){.low = LOW, .count = HIGH - LOW + 1}, slot_count, seed);
    tally_print(what, iterations, &tally);
    return 0;
}
