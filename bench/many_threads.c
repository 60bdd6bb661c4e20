/* many_threads.c - the same work, divided among 1, 2, 4 ... threads.
 *
 *     many_threads THREADS ITERS WS MINSIZE MAXSIZE [SEED]
 *
 * ITERS operations on WS random slots in all (see slots.h), with blocks of MINSIZE to MAXSIZE bytes. Each of
 * THREADS threads has its share of both, so that neither the work nor the memory in use depends on their
 * number. The cost of an operation should not either, as soon as all processors are busy. An operation is one
 * malloc or one free.
 *
 * WS equal to THREADS gives every thread one slot: a loop of malloc, free.
 *
 * Sharing: nothing.
 */
#include "threads.h"

#include "slots.h"

struct worker {
    uint64_t iterations;
    uint64_t seed;
    uint32_t slot_count;
    struct sizes sizes;
    struct tally tally; /* the outcome */
} __attribute__((aligned(WORKER_ALIGN)));

static struct worker workers[MAX_TEAM];

static void *worker_thread(void *argument)
{
    struct worker *w = argument;
    w->tally = slots_run(w->iterations, w->sizes, w->slot_count, w->seed);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 6 && argc != 7)
        bench_fail("usage: many_threads THREADS ITERS WS MINSIZE MAXSIZE [SEED]");
    uint32_t thread_count = (uint32_t)bench_number("THREADS", argv[1], 1, MAX_TEAM);
    uint64_t iterations = bench_number("ITERS", argv[2], 1, UINT64_MAX / 2);
    uint64_t slot_count = bench_number("WS", argv[3], thread_count, MAX_SLOTS);
    uint32_t size_low = (uint32_t)bench_number("MINSIZE", argv[4], 1, MAX_BLOCK);
    uint32_t size_high = (uint32_t)bench_number("MAXSIZE", argv[5], size_low, MAX_BLOCK);
    uint64_t seed = argc == 7 ? bench_number("SEED", argv[6], 0, UINT64_MAX) : 1;

    for (uint32_t i = 0; i < thread_count; i++)
        workers[i] = (struct worker){
            .iterations = team_share(iterations, i, thread_count),
            .seed = team_seed(seed, i),
            .slot_count = (uint32_t)team_share(slot_count, i, thread_count),
            .sizes = {.low = size_low, .count = size_high - size_low + 1},
        };
    double start = bench_seconds();
    team_run(worker_thread, workers, sizeof *workers, thread_count);
    struct tally all = {.seconds = bench_seconds() - start};
    for (uint32_t i = 0; i < thread_count; i++) {
        all.mallocs += workers[i].tally.mallocs;
        all.frees += workers[i].tally.frees;
    }
    char what[128];
    snprintf(what, sizeof what, "many_threads threads=%u ws=%s size=%u-%u seed=%llu", thread_count, argv[3], size_low,
             size_high, (unsigned long long)seed);
    tally_print(what, iterations, &all);
    return 0;
}
