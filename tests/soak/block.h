/* block.h - blocks whose whole content is known, for programs that look for damage.
 *
 * Uses: random.h; malloc and its like by volatile pointers. A block belongs to one thread at a time.
 *
 * A block begins with its size and a check of it, and goes on with a byte that both give, up to its last one. Of blocks
 * above DENSE every STRIDE-th byte counts, so that looking stays cheaper than what is looked at.
 */
#ifndef HAKMEM_TESTS_SOAK_BLOCK_H
#define HAKMEM_TESTS_SOAK_BLOCK_H

#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../regress/random.h"

enum { BLOCK_MIN = 16, DENSE = 2048, STRIDE = 509 };

struct block {
    size_t size;
    uint64_t check;
    unsigned char rest[];
};

static void *(*volatile do_malloc)(size_t) = malloc;
static void *(*volatile do_calloc)(size_t, size_t) = calloc;
static void *(*volatile do_realloc)(void *, size_t) = realloc;
static void *(*volatile do_aligned)(size_t, size_t) = aligned_alloc;
static void (*volatile do_free)(void *) = free;

static inline uint64_t block_check(const struct block *b, size_t size)
{
    (void)b;
    return size * UINT64_C(0x9e3779b97f4a7c15) ^ UINT64_C(0x5aa55aa55aa55aa5);
}

static inline size_t block_next(size_t at, size_t length)
{
    if (length <= DENSE) return at + 1;
    return at + STRIDE < length - 1 || at == length - 1 ? at + STRIDE : length - 1;
}

static inline void block_fill(struct block *b, size_t size)
{
    size_t length = size - BLOCK_MIN;
    b->size = size;
    b->check = block_check(b, size);
    unsigned char fill = (unsigned char)(b->check >> 13);
    if (length <= DENSE) memset(b->rest, fill, length);
    else
        for (size_t i = 0; i < length; i = block_next(i, length)) b->rest[i] = fill;
}

/* The first `size` bytes; fewer than the block has after realloc() has made it smaller. */
static inline bool block_is_whole_to(const struct block *b, size_t size)
{
    if (b->check != block_check(b, b->size) || size > b->size) return false;
    size_t length = b->size - BLOCK_MIN;
    unsigned char fill = (unsigned char)(b->check >> 13);
    for (size_t i = 0; i < length && i < size - BLOCK_MIN; i = block_next(i, length))
        if (b->rest[i] != fill) return false;
    return true;
}

static inline bool block_is_whole(const struct block *b)
{
    return block_is_whole_to(b, b->size) && malloc_usable_size((void *)b) >= b->size;
}

/* Zeros of calloc: all of a small block, and what block_fill() would write of a large one. */
static inline bool block_is_zero(const struct block *b, size_t size)
{
    const unsigned char *byte = (const unsigned char *)b;
    for (size_t i = 0; i < size; i = block_next(i, size))
        if (byte[i] != 0) return false;
    return true;
}

/* NULL = refused, or not as asked for. */
static inline struct block *block_make(struct random *r, size_t size)
{
    struct block *b;
    size_t alignment;
    switch (random_below(r, 8)) {
    case 0:
        b = do_calloc(1, size);
        if (b && !block_is_zero(b, size)) return NULL;
        break;
    case 1:
        alignment = (size_t)16 << random_below(r, 10);
        b = do_aligned(alignment, size);
        if (b && (uintptr_t)b % alignment != 0) return NULL;
        break;
    default: b = do_malloc(size); break;
    }
    if (b) block_fill(b, size);
    return b;
}

static inline struct block *block_resize(struct block *b, size_t size)
{
    size_t kept = b->size < size ? b->size : size;
    struct block *moved = do_realloc(b, size);
    if (!moved || !block_is_whole_to(moved, kept)) return NULL;
    block_fill(moved, size);
    return moved;
}

/* false = something wrote into it. */
static inline bool block_free(struct block *b)
{
    bool whole = !b || block_is_whole(b);
    do_free(b);
    return whole;
}

#endif
