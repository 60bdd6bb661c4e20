/* ticks.h - a clock for windows of some tens of nanoseconds.
 *
 * Uses:    on x86 the time-stamp counter, fenced on both sides, so that nothing of the window runs outside of it;
 *          elsewhere CLOCK_MONOTONIC, a tick being a nanosecond.
 * Callers: latency.c.
 */
#ifndef BENCH_TICKS_H
#define BENCH_TICKS_H

#include <stdint.h>
#include <time.h>
#if defined(__x86_64__) || defined(__i386__)
#include <x86intrin.h>
#endif

struct epoch {
    uint64_t ns;    /* CLOCK_MONOTONIC */
    uint64_t ticks; /* the counter, read at the same time */
};

static inline uint64_t ticks_nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#if defined(__x86_64__) || defined(__i386__)

static inline uint64_t ticks_begin(void)
{
    _mm_lfence(); /* what came before is done */
    uint64_t now = __rdtsc();
    _mm_lfence(); /* the window does not start before the clock was read */
    return now;
}

static inline uint64_t ticks_end(void)
{
    unsigned int core;
    uint64_t now = __rdtscp(&core); /* waits for the end of the window */
    _mm_lfence();
    return now;
}

#else

static inline uint64_t ticks_begin(void) { return ticks_nanoseconds(); }
static inline uint64_t ticks_end(void) { return ticks_nanoseconds(); }

#endif

static inline struct epoch ticks_epoch(void)
{
    return (struct epoch){.ns = ticks_nanoseconds(), .ticks = ticks_begin()};
}

/* Nanoseconds of a tick, from all the time since the epoch. */
static inline double ticks_length(struct epoch since)
{
    struct epoch now = ticks_epoch();
    return (double)(now.ns - since.ns) / (double)(now.ticks - since.ticks);
}

#endif
