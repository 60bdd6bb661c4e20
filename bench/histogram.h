/* histogram.h - lengths of timed windows, counted in one static array: counting allocates nothing.
 *
 * Uses:    libc only.
 * Callers: latency.c, from one thread.
 *
 * Buckets are log-linear, SUB of them for each power of two, so that a percentile is off by less than 1/SUB of
 * itself; the greatest lengths are kept exactly. Lengths are in ticks of whatever clock the caller has.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdbool.h>
#include <stdint.h>

enum { SUB_BITS = 6, SUB = 1 << SUB_BITS, BUCKETS = (64 - SUB_BITS + 1) * SUB };

struct histogram {
    uint64_t count;
    uint64_t max;       /* of all windows */
    uint64_t quiet_max; /* of the batches in which the thread was not switched away */
    uint64_t batch_max; /* of the batch that runs; goes to the two above at its end */
    uint32_t bucket[BUCKETS];
};

/* Lengths below 2 * SUB have a bucket each; above, a bucket is 1 << shift wide. */
static inline uint32_t bucket_of(uint64_t length)
{
    if (length < SUB)
        return (uint32_t)length;
    int shift = 63 - __builtin_clzll(length) - SUB_BITS;
    return (uint32_t)shift * SUB + (uint32_t)(length >> shift);
}

static inline uint64_t bucket_middle(uint32_t bucket)
{
    if (bucket < 2 * SUB)
        return bucket;
    uint32_t shift = bucket / SUB - 1;
    uint64_t low = (uint64_t)(bucket % SUB + SUB) << shift;
    return low + ((UINT64_C(1) << shift) - 1) / 2;
}

static inline void histogram_add(struct histogram *h, uint64_t begin, uint64_t end)
{
    uint64_t length = end > begin ? end - begin : 0; /* the counters of two cores may differ by some ticks */
    h->bucket[bucket_of(length)]++;
    h->count++;
    if (length > h->batch_max)
        h->batch_max = length;
}

static inline void histogram_end_batch(struct histogram *h, bool was_quiet)
{
    if (h->batch_max > h->max)
        h->max = h->batch_max;
    if (was_quiet && h->batch_max > h->quiet_max)
        h->quiet_max = h->batch_max;
    h->batch_max = 0;
}

/* The smallest length that `share` of all windows do not exceed. */
static uint64_t histogram_percentile(const struct histogram *h, double share)
{
    uint64_t rank = (uint64_t)(share * (double)h->count);
    uint64_t seen = 0;
    for (uint32_t b = 0; b < BUCKETS; b++) {
        seen += h->bucket[b];
        if (seen > rank)
            return bucket_middle(b);
    }
    return h->max;
}

/* The mean of the windows that do not exceed the percentile `share`. */
static double histogram_mean_below(const struct histogram *h, double share)
{
    uint64_t limit = histogram_percentile(h, share);
    double sum = 0;
    uint64_t count = 0;
    for (uint32_t b = 0; b < BUCKETS && bucket_middle(b) <= limit; b++) {
        sum += (double)h->bucket[b] * (double)bucket_middle(b);
        count += h->bucket[b];
    }
    return count > 0 ? sum / (double)count : 0;
}

#endif
