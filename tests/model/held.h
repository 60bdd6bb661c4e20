/* held.h - what a test knows of a block that it holds, and what of that can be seen to be true.
 *
 * Uses:    nothing of the library. Callers: the model and the fuzz targets, which define before
 *            demand(cond, format, ...)   ends the test when false
 *            HELD_DENSE                  smaller blocks are filled and compared byte for byte
 *            HELD_STEP(usable)           larger ones at both ends, and once in so many bytes; a power of two
 *
 * Every word of a block holds its mark and its own offset. The words between the ends are on a grid of addresses: that
 * of the address where the block was when it was filled, so that they can be found again after it has moved.
 */
#ifndef HAKMEM_TESTS_HELD_H
#define HAKMEM_TESTS_HELD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { HELD_END = 64 };

struct held {
    unsigned char *p;
    size_t size;         /* as asked for */
    size_t alignment;    /* as asked for; 0 = none */
    size_t usable;       /* as the library said */
    uint64_t mark;       /* what its words hold */
    uintptr_t filled_at; /* its address then */
};

/* The number of a mark is never used twice in a test. */
static inline uint64_t held_mark(uint64_t number)
{
    return number * UINT64_C(0x9e3779b97f4a7c15);
}

/* The word after that at `at`; beyond the end when there is none. */
static inline size_t held_next(uintptr_t base, size_t usable, size_t at)
{
    if (usable <= HELD_DENSE || at < HELD_END || at + 2 * HELD_END >= usable) return at + 8;
    size_t step = HELD_STEP(usable);
    size_t next = ((base + at) & ~(uintptr_t)(step - 1)) + step - base;
    return next < usable - HELD_END ? next : (usable - HELD_END) & ~(size_t)7;
}

static inline void held_fill(struct held *b)
{
    b->filled_at = (uintptr_t)b->p;
    for (size_t at = 0; at + 8 <= b->usable; at = held_next(b->filled_at, b->usable, at))
        *(uint64_t *)(void *)(b->p + at) = b->mark ^ at;
}

/* The first `size` bytes are still those of a block with these marks. */
static inline void held_demand_content(const struct held *b, size_t size)
{
    for (size_t at = 0; at + 8 <= size; at = held_next(b->filled_at, b->usable, at)) {
        uint64_t found = *(const uint64_t *)(const void *)(b->p + at);
        demand(found == (b->mark ^ at), "block %p of %zu bytes, at %zu: %lx instead of %lx", (void *)b->p, b->size, at,
               found, b->mark ^ at);
    }
    if (b->usable > HELD_DENSE) return;
    for (size_t at = size & ~(size_t)7; at < size && at + 8 <= b->usable; at++) {
        unsigned char expected = (unsigned char)((b->mark ^ (at & ~(size_t)7)) >> at % 8 * 8);
        demand(b->p[at] == expected, "block %p of %zu bytes, at %zu", (void *)b->p, b->size, at);
    }
}

static inline void held_demand_apart(const struct held *b, const struct held *others, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const struct held *o = &others[i];
        demand(b->p + b->usable <= o->p || o->p + o->usable <= b->p, "%p+%zu overlaps %p+%zu", (void *)b->p, b->usable,
               (void *)o->p, o->usable);
    }
}

/* What every call that gives a block promises; `usable` is set. */
static inline void held_demand_promise(const struct held *b)
{
    uintptr_t at = (uintptr_t)b->p;
    demand(at % (b->alignment ? b->alignment : 8) == 0, "%p is not aligned to %zu", (void *)b->p, b->alignment);
    demand(at % (b->size > 8 ? 16 : 8) == 0, "%p of size %zu", (void *)b->p, b->size);
    demand(b->usable >= b->size && b->usable >= 8, "usable size %zu of a block of %zu", b->usable, b->size);
}

#endif
