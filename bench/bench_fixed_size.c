/* bench_fixed_size.c - blocks of one size in a working set of random slots.
 *
 *     bench_fixed_size ITERS SIZE WS [SEED]
 *
 * ITERS times: pick one of WS slots at random; free its block when it has one, else give it a block of
 * SIZE bytes. An operation is one malloc or one free.
 */
#include "slots.h"

int main(int argc, char **argv)
{
    if (argc != 4 && argc != 5)
        bench_fail("usage: bench_fixed_size ITERS SIZE WS [SEED]");
    uint64_t iterations = bench_number("ITERS", argv[1], 1, UINT64_MAX / 2);
    uint32_t size = (uint32_t)bench_number("SIZE", argv[2], 1, MAX_BLOCK);
    uint32_t slot_count = (uint32_t)bench_number("WS", argv[3], 1, MAX_SLOTS);
    uint64_t seed = argc == 5 ? bench_number("SEED", argv[4], 0, UINT64_MAX) : 1;

    char what[96];
    snprintf(what, sizeof what, "fixed size=%u ws=%u seed=%llu", size, slot_count, (unsigned long long)seed);
    struct tally tally = slots_run(iterations, (struct sizes){.low = size, .count = 1}, slot_count, seed);
    tally_print(what, iterations, &tally);
    return 0;
}
