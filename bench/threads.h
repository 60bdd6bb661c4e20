/* threads.h - what the benchmark programs with threads share: starting, joining and placing them, random seeds,
 * the line that is printed at the end.
 *
 * Uses:    bench.h, POSIX threads.
 * Callers: the programs of this folder that start threads with fixed work. (larson.c, whose threads
 *          start each other until the time is over, needs nothing of it.) To be included first.
 *
 * A team is an array of workers, one for each thread. A worker belongs to its thread while that lives, and
 * to the thread that starts and joins it before and after.
 */
#ifndef BENCH_THREADS_H
#define BENCH_THREADS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* the sets of processors */
#endif
#include "bench.h"
#include <pthread.h>
#include <sched.h>

enum {
    MAX_TEAM = 256,
    WORKER_ALIGN = 128 /* bytes; workers must not share cache lines, nor the pairs that are fetched together */
};

static inline pthread_t thread_start(void *(*run)(void *), void *argument)
{
    pthread_t thread;
    int error = pthread_create(&thread, NULL, run, argument);
    if (error != 0)
        bench_fail("pthread_create: %s", strerror(error));
    return thread;
}

static inline void thread_join(pthread_t thread)
{
    int error = pthread_join(thread, NULL);
    if (error != 0)
        bench_fail("pthread_join: %s", strerror(error));
}

/* Binds the calling thread to one of the processors that it may use now: the one after `steps` steps round
 * them. For programs whose cost depends on which threads share a processor, which the system decides anew in
 * every run. */
static inline void thread_bind(uint32_t steps)
{
    cpu_set_t allowed;
    cpu_set_t one;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        bench_fail("sched_getaffinity: %s", strerror(errno));
    int processor = 0;
    for (steps %= (uint32_t)CPU_COUNT(&allowed);; processor++)
        if (CPU_ISSET(processor, &allowed) && steps-- == 0)
            break;
    CPU_ZERO(&one);
    CPU_SET(processor, &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0)
        bench_fail("cannot stay on processor %d: %s", processor, strerror(errno));
}

/* Calls run(&workers[i]) for i = 0 .. count-1, each in a thread of its own; returns when all have ended. */
static inline void team_run(void *(*run)(void *), void *workers, size_t worker_bytes, uint32_t count)
{
    pthread_t threads[MAX_TEAM];
    for (uint32_t i = 0; i < count; i++)
        threads[i] = thread_start(run, (char *)workers + i * worker_bytes);
    for (uint32_t i = 0; i < count; i++)
        thread_join(threads[i]);
}

/* Where the random numbers of worker i begin: far apart for each of them. */
static inline uint64_t team_seed(uint64_t seed, uint32_t i)
{
    return seed + (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

/* What worker i of `count` does of `total` pieces of work. */
static inline uint64_t team_share(uint64_t total, uint32_t i, uint32_t count)
{
    return total / count + (i < total % count);
}

/* The one line that a program prints. Blocks that were not freed are a fault of the program. */
static inline void result_print(const char *what, uint64_t mallocs, uint64_t frees, double seconds)
{
    if (mallocs != frees)
        bench_fail("%s: %llu mallocs, %llu frees", what, (unsigned long long)mallocs, (unsigned long long)frees);
    double divisor = seconds > 1e-9 ? seconds : 1e-9;
    printf("%s: %llu blocks, %.0f operations per second, %.3f s\n", what, (unsigned long long)mallocs,
           (double)(mallocs + frees) / divisor, seconds);
    if (fflush(stdout) != 0)
        bench_fail("cannot write the result");
}

#endif
