/* background.h - threads that allocate and free while another thread is measured, and the sizes that both ask for.
 *
 * Uses:    bench.h.
 * Callers: latency.c. background_start and background_stop belong to the main thread.
 */
#ifndef BENCH_BACKGROUND_H
#define BENCH_BACKGROUND_H

#include "bench.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>

enum { SLOTS = 50000, MAX_BACKGROUND = 256 };

static struct background {
    pthread_t thread;
    uint64_t random; /* state of the random numbers */
} backgrounds[MAX_BACKGROUND];
static atomic_bool background_stops;

/* 16 to 1,024 bytes, one in 32 up to 64 KiB, one in 2,048 up to 2 MiB. */
static inline uint32_t random_size(uint64_t bits)
{
    uint32_t low = 16, high = 1024;
    if (bits % 2048 == 0)
        high = 2 << 20;
    else if (bits % 32 == 0)
        high = 64 << 10;
    return low + bench_scale((uint32_t)(bits >> 16), high - low + 1);
}

static inline void turn_untimed(struct block *slots, uint64_t *state)
{
    uint64_t bits = bench_random(state);
    struct block *b = &slots[bench_scale((uint32_t)(bits >> 32), SLOTS)];
    if (b->p != NULL)
        block_give(b);
    else
        block_take(b, random_size(bench_random(state)), (unsigned char)bits);
}

static void *background_run(void *argument)
{
    struct background *self = argument;
    size_t bytes = SLOTS * sizeof(struct block);
    struct block *slots = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (slots == MAP_FAILED)
        bench_fail("no memory for the slots of a thread");
    while (!atomic_load_explicit(&background_stops, memory_order_relaxed))
        turn_untimed(slots, &self->random);
    for (uint32_t i = 0; i < SLOTS; i++)
        if (slots[i].p != NULL)
            block_give(&slots[i]);
    munmap(slots, bytes);
    return NULL;
}

static void background_start(uint32_t count, uint64_t seed)
{
    for (uint32_t i = 0; i < count; i++) {
        backgrounds[i].random = seed + (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
        int error = pthread_create(&backgrounds[i].thread, NULL, background_run, &backgrounds[i]);
        if (error != 0)
            bench_fail("pthread_create: %s", strerror(error));
    }
}

static void background_stop(uint32_t count)
{
    atomic_store_explicit(&background_stops, true, memory_order_relaxed);
    for (uint32_t i = 0; i < count; i++)
        pthread_join(backgrounds[i].thread, NULL);
}

#endif
