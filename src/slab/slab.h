/* slab.h - one slab: equal blocks of one size class.
 *
 * Uses: class, record. Callers: cache, under the lock of the heap that owns the slab. Nobody else.
 * Locks: none; ownership is the lock.
 *
 *   | block 0 | block 1 | ... | block c-1 | untouched ......... |
 *                                         ^ carved = c
 *
 * I1  used + length(free) == carved <= capacity
 * I2  every block on the free list starts below carved, on a block boundary, and is there once
 * I3  free_tail is the last block of the list, and its link is NULL
 */
#ifndef HAK_SLAB_SLAB_H
#define HAK_SLAB_SLAB_H

#include "../base/list.h"
#include "../space/arena.h"
#include "class.h"

enum slab_place { SLAB_NOWHERE = 0, SLAB_PARTIAL, SLAB_UNCARVED, SLAB_FULL, SLAB_PLACES };

struct slab {
    uintptr_t base;    /* of block 0 */
    void *free;        /* list of free blocks, linked by their first word */
    void *free_tail;   /* last of the list; any value when the list is empty */
    uint32_t used;     /* carved blocks that are not on the list: with the program, in bins, on their way */
    uint32_t carved;   /* blocks cut so far; only grows until retire; others read it */
    uint32_t capacity; /* blocks that fit */
    uint32_t stride;   /* bytes per block */
    struct list link;  /* in the owner's list for `place` */
    uint32_t number;   /* of this record */
    uint8_t class;
    uint8_t units;     /* 1 or POOL_UNITS; 0 = the record is not a slab */
    uint8_t place;     /* enum slab_place */
    uint8_t unused;
};

_Static_assert(sizeof(struct slab) == sizeof(struct record), "a record is 64 bytes");

/* Blocks chained by their first word, from first to last; last's link is not defined. */
struct chain {
    void *first;
    void *last;
    uint32_t count;
};

ALWAYS_INLINE void *link_get(const void *block)
{
    return *(void *const *)block;
}

ALWAYS_INLINE void link_set(void *block, void *next)
{
    *(void **)block = next;
}

ALWAYS_INLINE struct slab *slab_at(uint32_t number)
{
    return (struct slab *)(void *)record_at(number);
}

ALWAYS_INLINE uint32_t slab_free_count(const struct slab *s)
{
    return s->carved - s->used;
}

/* Makes the span, just taken from the arena, a slab with no block carved. Its tags are the caller's. */
struct slab *slab_init(const struct span *span, unsigned class);

/* true = p is the start of a block that has been carved. */
bool slab_is_block(const struct slab *s, const void *p);

/* Where its units begin. */
ALWAYS_INLINE uintptr_t slab_units_base(const struct slab *s)
{
    return align_down(s->base, UNIT_SIZE);
}

/* The block at an index below capacity. */
ALWAYS_INLINE void *slab_block(const struct slab *s, uint32_t index)
{
    return (void *)(s->base + index * (uintptr_t)s->stride);
}

/* Cuts up to `want` blocks, at least one; touches only these. s must not be carved to the end. */
struct chain slab_carve(struct slab *s, uint32_t want);

/* Takes the whole free list, which must not be empty. */
struct chain slab_take_free(struct slab *s);

/* Takes one block from the free list, which must not be empty. */
void *slab_take_one(struct slab *s);

/* Puts used blocks back. false = more come back than are out: nothing is changed. */
bool slab_give(struct slab *s, struct chain chain);

/* Puts one used block back where that changes no place: others are free, and others are used. false = not done. */
ALWAYS_INLINE bool slab_give_one(struct slab *s, void *block)
{
    if (!s->free || s->used <= 1) return false;
    link_set(block, s->free);
    s->free = block;
    s->used--;
    return true;
}

/* Where a slab in this state belongs. */
ALWAYS_INLINE enum slab_place slab_place_of(const struct slab *s)
{
    if (s->free) return SLAB_PARTIAL;
    return s->carved < s->capacity ? SLAB_UNCARVED : SLAB_FULL;
}

/* Checks I1 ... I3. NULL = they hold, else which does not. */
const char *slab_verify(const struct slab *s);

#endif
