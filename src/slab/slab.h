/* slab.h - one slab: equal blocks of one size class.
 *
 * Uses: class, record. Callers: cache, under the lock of the heap that owns the slab. Nobody else.
 * Locks: none; ownership is the lock.
 *
 *   | block 0 | block 1 | ... | block c-1 | untouched ......... |
 *                                         ^ carved = c
 *   |  granule 0  |  granule 1  |  ...             | granule 15 |
 *
 * A sixteenth of a slab is a granule. One that no used block overlaps can be *absent*: its memory was given back. The
 * blocks that overlap it are then absent, too: neither used nor on the free list, until the granule is revived.
 * Nothing is ever written to an absent granule: not even a link.
 *
 * I1  used + length(free) + absent blocks == carved <= capacity
 * I2  every block on the free list starts below carved, on a block boundary, is there once, and is not absent
 * I3  free_tail is the last block of the list, and its link is NULL
 * I4  an absent granule is overlapped by blocks, and either by carved ones or by such as are yet to be carved
 * I5  free_sum is the sum of slab_word() over the free list: a block that is there twice, while another is missing,
 *     shows when the slab is empty
 */
#ifndef HAK_SLAB_SLAB_H
#define HAK_SLAB_SLAB_H

#include "../base/list.h"
#include "../space/arena.h"
#include "class.h"

enum slab_place { SLAB_PARTIAL, SLAB_UNCARVED, SLAB_ABSENT, SLAB_FULL, SLAB_PLACES, SLAB_NOWHERE = SLAB_PLACES };

enum { SLAB_GRANULES = 16 };

struct slab {
    uintptr_t base;    /* of block 0 */
    void *free;        /* list of free blocks, linked by their first word */
    void *free_tail;   /* last of the list; any value when the list is empty */
    uint16_t swept;    /* the pass that looked here for pages to give back; see cache/sparse.c */
    uint16_t free_sum; /* of the places of free blocks, modulo 2^16; see I5 */
    uint16_t used;     /* carved blocks that are neither listed nor absent: the program's, in bins, on their way */
    uint16_t carved;   /* blocks cut so far; only grows until retire; others read it */
    uint16_t capacity; /* blocks that fit */
    uint16_t absent;   /* bit per granule whose memory was given back */
    uint32_t stride;   /* bytes per block */
    struct list link;  /* in the owner's list for `place` */
    uint32_t number;   /* of this record */
    uint8_t class;
    uint8_t units;     /* 1 or POOL_UNITS; 0 = the record is not a slab */
    uint8_t place;     /* enum slab_place */
    bool fresh;        /* its memory comes as it is touched */
};

_Static_assert(sizeof(struct slab) == sizeof(struct record), "a record is 64 bytes");
_Static_assert(POOL_UNITS * UNIT_SIZE / (SINGLE_UNIT_SIZE_MAX + 1) <= UINT16_MAX && UNIT_SIZE / 8 <= UINT16_MAX,
               "capacities fit");

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

/* ---- absent.c: granules without memory ---- */

ALWAYS_INLINE size_t slab_granule_size(const struct slab *s)
{
    return s->units * (size_t)UNIT_SIZE / SLAB_GRANULES;
}

/* Blocks that overlap any of these granules, below `limit`. */
uint32_t slab_blocks_over(const struct slab *s, uint32_t granules, uint32_t limit);

ALWAYS_INLINE uint32_t slab_absent_count(const struct slab *s)
{
    return likely(!s->absent) ? 0 : slab_blocks_over(s, s->absent, s->carved);
}

/* Finds the granules with memory that no used block overlaps. false = the free list is broken. */
bool slab_find_vacant(const struct slab *s, uint32_t *granules);

/* Makes vacant granules absent: the caller then gives their memory back. */
void slab_make_absent(struct slab *s, uint32_t granules);

/* Puts the blocks of absent granules on the free list again, but for those that overlap other absent ones. */
void slab_restore(struct slab *s, uint32_t granules);

/* The same for a granule or a few, as many as it takes to have a block. Some carved blocks must be absent. */
void slab_revive(struct slab *s);

/* Blocks are going to be carved: their granules get memory, where they have none. */
void slab_make_present(struct slab *s, uint32_t first, uint32_t count);

/* true = one of `count` linked blocks is absent: it was freed before. */
bool slab_has_absent(const struct slab *s, const void *first, uint32_t count);

/* Why I4 does not hold, or NULL. */
const char *slab_verify_absent(const struct slab *s);

/* ---- slab.c ---- */

ALWAYS_INLINE uint32_t slab_free_count(const struct slab *s)
{
    return s->carved - s->used - slab_absent_count(s);
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

/* The place of a block in its slab, in words of 8 bytes. */
ALWAYS_INLINE uint16_t slab_word(const struct slab *s, const void *block)
{
    return (uint16_t)(((uintptr_t)block - s->base) / 8);
}

/* Cuts up to `want` blocks, at least one; touches only these. s must not be carved to the end. */
struct chain slab_carve(struct slab *s, uint32_t want);

/* Takes the whole free list, which must not be empty. */
struct chain slab_take_free(struct slab *s);

/* Takes one block from the free list, which must not be empty. */
void *slab_take_one(struct slab *s);

/* Puts used blocks back. false = more come back than are out, or absent ones, or the last one again: nothing is
 * changed. */
bool slab_give(struct slab *s, struct chain chain);

/* Of a slab without a used block: false = some block was put back twice, and another is still used. */
bool slab_is_complete(const struct slab *s);

/* The first on the free list that is there for the second time, or is no block; NULL = the list comes to its end. */
const void *slab_find_fault(const struct slab *s);

/* true = the block is on the free list. */
bool slab_lists(const struct slab *s, const void *block);

/* Leaves a free list alone that cannot be trusted: its blocks count as used for good. */
void slab_distrust(struct slab *s);

/* Puts one used block back where that changes no place: others are free, and others are used. false = not done. */
ALWAYS_INLINE bool slab_give_one(struct slab *s, void *block)
{
    if (!s->free || s->free == block || s->used <= 1 || s->absent) return false;
    link_set(block, s->free);
    s->free = block;
    s->free_sum += slab_word(s, block);
    s->used--;
    return true;
}

/* Where a slab in this state belongs. */
ALWAYS_INLINE enum slab_place slab_place_of(const struct slab *s)
{
    if (s->free) return SLAB_PARTIAL;
    if (s->carved < s->capacity) return SLAB_UNCARVED;
    return s->absent ? SLAB_ABSENT : SLAB_FULL;
}

/* Checks I1 ... I5. NULL = they hold, else which does not. */
const char *slab_verify(const struct slab *s);

#endif
