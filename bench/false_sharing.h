/* false_sharing.h - the loop of both false sharing benchmarks: take a small block, count in it, free it.
 *
 * Callers: false_sharing_active.c and false_sharing_passive.c.
 *
 * When two threads get blocks on one cache line, the line travels between their processors while they write,
 * and the loop takes longer, twice as long on some machines. Whether they do is the allocator's decision. With one
 * thread the loop shows what it takes without sharing.
 *
 * Each value is stored without reading the one before: a chain of loads would measure how well the processor
 * forwards stores, which varies with code and addresses, by twice and more.
 */
#ifndef BENCH_FALSE_SHARING_H
#define BENCH_FALSE_SHARING_H

#include "threads.h"

enum { MIN_SIZE = sizeof(uint64_t), MAX_SIZE = 4096 };

struct worker {
    uint64_t index;
    uint64_t done;              /* blocks freed */
    volatile uint64_t *counter; /* passive: the block that main allocated, counted to worker's index */
} __attribute__((aligned(WORKER_ALIGN)));

/* Constant while threads run. */
static struct worker workers[MAX_TEAM];
static uint64_t iterations; /* blocks for each thread */
static uint64_t writes;     /* into each block */
static uint32_t block_size;
static pthread_barrier_t start_line; /* all must run at the same time, or nothing is shared */

static volatile uint64_t *counter_take(uint64_t first)
{
    volatile uint64_t *counter = bench_malloc(block_size);
    if (counter == NULL)
        bench_fail("malloc(%u) returned NULL: %s", block_size, strerror(errno));
    *counter = first;
    return counter;
}

/* The counter is the mark of a block: its value is a different one in each thread. */
static void counter_give(volatile uint64_t *counter, uint64_t expected)
{
    if (*counter != expected)
        bench_fail("block %p was changed: counted to %llu, found %llu", (void *)(uintptr_t)counter,
                   (unsigned long long)expected, (unsigned long long)*counter);
    bench_free((void *)(uintptr_t)counter);
}

static void count_in_blocks(struct worker *w)
{
    uint64_t first = w->index << 32;
    for (uint64_t i = 0; i < iterations; i++) {
        volatile uint64_t *counter = counter_take(first);
        for (uint64_t j = 1; j <= writes; j++)
            *counter = first + j;
        counter_give(counter, first + writes);
    }
    w->done += iterations;
}

/* The arguments, of which both programs have the same: returns the number of threads. */
static uint32_t parse_arguments(int argc, char **argv)
{
    if (argc != 5)
        bench_fail("usage: %s THREADS ITERATIONS WRITES SIZE", argv[0]);
    uint32_t thread_count = (uint32_t)bench_number("THREADS", argv[1], 1, MAX_TEAM);
    iterations = bench_number("ITERATIONS", argv[2], 1, UINT64_MAX / 2 / MAX_TEAM);
    writes = bench_number("WRITES", argv[3], 0, UINT32_MAX);
    block_size = (uint32_t)bench_number("SIZE", argv[4], MIN_SIZE, MAX_SIZE);
    for (uint32_t i = 0; i < thread_count; i++)
        workers[i].index = i;
    pthread_barrier_init(&start_line, NULL, thread_count);
    return thread_count;
}

static void print_outcome(const char *name, uint32_t thread_count, uint64_t mallocs, double seconds)
{
    uint64_t frees = 0;
    for (uint32_t i = 0; i < thread_count; i++)
        frees += workers[i].done;
    char what[128];
    snprintf(what, sizeof what, "%s threads=%u writes=%llu size=%u", name, thread_count, (unsigned long long)writes,
             block_size);
    result_print(what, mallocs, frees, seconds);
}

#endif
