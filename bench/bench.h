/* bench.h - what the benchmark programs share: random numbers, a clock, arguments, marked blocks.
 *
 * Uses:    libc only; the allocator under test is whatever owns malloc in the process.
 * Callers: the programs of this folder, one translation unit each.
 *
 * A block is marked by one byte at each end when it is taken, and the two are compared when it is
 * given back: a block handed out twice, or written by the allocator while it is in use, ends the
 * program with a message. That costs two stores and two loads on lines that the loop touches anyway.
 */
#ifndef BENCH_H
#define BENCH_H

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The calls that are measured: the standard names, or hakmem's own in a program that links it (where a
 * sanitizer keeps the standard names for itself). */
#ifndef BENCH_MALLOC
#define BENCH_MALLOC malloc
#define BENCH_FREE free
#endif

/* Compilers delete malloc/free pairs whose block they can follow; they cannot follow these. */
static void *(*volatile bench_malloc)(size_t) = BENCH_MALLOC;
static void (*volatile bench_free)(void *) = BENCH_FREE;

struct block {
    unsigned char *p;   /* NULL: the slot is empty */
    uint32_t size;      /* as asked for; valid while p is not NULL */
    unsigned char mark; /* what both ends must hold */
};

__attribute__((noreturn, cold, format(printf, 1, 2)))
static void bench_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("error: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    _Exit(1);
}

/* One step of wyrand: one multiplication, all 64 bits good. */
static inline uint64_t bench_random(uint64_t *state)
{
    *state += UINT64_C(0xa0761d6478bd642f);
    __uint128_t product = (__uint128_t)*state * (*state ^ UINT64_C(0xe7037ed1a0b428db));
    return (uint64_t)(product >> 64) ^ (uint64_t)product;
}

/* 32 random bits to 0 .. count-1, without a division. */
static inline uint32_t bench_scale(uint32_t bits, uint32_t count)
{
    return (uint32_t)(((uint64_t)bits * count) >> 32);
}

static inline void block_take(struct block *b, uint32_t size, unsigned char mark)
{
    unsigned char *p = bench_malloc(size);
    if (__builtin_expect(p == NULL, 0))
        bench_fail("malloc(%u) returned NULL: %s", size, strerror(errno));
    p[0] = mark;
    p[size - 1] = mark;
    *b = (struct block){.p = p, .size = size, .mark = mark};
}

static inline void block_give(struct block *b)
{
    if (__builtin_expect(b->p[0] != b->mark || b->p[b->size - 1] != b->mark, 0))
        bench_fail("block %p of %u bytes was changed: wrote %02x at both ends, found %02x and %02x",
                   (void *)b->p, b->size, b->mark, b->p[0], b->p[b->size - 1]);
    bench_free(b->p);
    b->p = NULL;
}

static inline double bench_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* A whole decimal number within [low, high]; anything else ends the program. */
static uint64_t bench_number(const char *name, const char *text, uint64_t low, uint64_t high)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || value < low || value > high)
        bench_fail("%s is '%s', must be a number from %llu to %llu", name, text,
                   (unsigned long long)low, (unsigned long long)high);
    return value;
}

#endif
