/* random.h - numbers for tests that choose at random, and the seed to choose the same again.
 *
 * Uses: tap. HAK_TEST_SEED gives the seed; else it is taken from the clock. It is always printed.
 */
#ifndef HAKMEM_TESTS_REGRESS_RANDOM_H
#define HAKMEM_TESTS_REGRESS_RANDOM_H

#include <stdint.h>
#include <time.h>

#include "../tap.h"

struct random {
    uint64_t state; /* never 0 */
};

/* splitmix64: neighbouring seeds give unlike streams. */
static inline struct random random_stream(uint64_t seed, uint64_t stream)
{
    uint64_t z = seed + (stream + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (struct random){.state = (z ^ z >> 31) | 1};
}

static inline uint64_t random_next(struct random *r)
{
    r->state ^= r->state << 13;
    r->state ^= r->state >> 7;
    r->state ^= r->state << 17;
    return r->state;
}

/* 0 ... limit-1 */
static inline uint32_t random_below(struct random *r, uint32_t limit)
{
    return (uint32_t)((random_next(r) >> 32) * limit >> 32);
}

TAP_UNUSED static uint64_t random_seed(void)
{
    const char *given = getenv("HAK_TEST_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)now.tv_sec * 1000003 + (uint64_t)now.tv_nsec;
    diag("seed: HAK_TEST_SEED=%llu", (unsigned long long)seed);
    return seed;
}

#endif
