/* slab.h - one slab: equal blocks of one size class, and a map that tells which of them are free.
 *
 * Uses: class, record, freemap. Callers: cache, under the lock of the heap that owns the slab. Nobody else.
 * Locks: none; ownership is the lock.
 *
 *   | block 0 | block 1 | ... | block c-1 | untouched ......... |
 *                                         ^ carved = c
 *   |  granule 0  |  granule 1  |  ...             | granule 15 |
 *
 * A bit of the map stands for a block. Free blocks are handed out in the order of their addresses, the lowest first:
 * their links, written while they are taken, are then read from the cache, which those in the order of a program's
 * frees had long left. No write to a freed block reaches the map, and a block that comes back twice is seen there.
 *
 * A sixteenth of a slab is a granule. One that no used block overlaps can be *absent*: its memory was given back. The
 * blocks that overlap it are then absent, too: neither used nor free, until the granule is revived. Nothing is ever
 * written to an absent granule.
 *
 * A slab that was made while HAKMEM_FAILFAST was on is *marked*: its free blocks begin with zeros, and who writes to
 * one is found out.
 *
 * I1  used + free + absent blocks == carved <= capacity
 * I2  a bit that is set stands for a carved block that is not absent
 * I3  no word of the map below `low` has a bit
 * I4  an absent granule is overlapped by blocks, and either by carved ones or by such as are yet to be carved
 * I5  the free blocks of a marked slab begin with MARK_BYTES zeros
 */
#ifndef HAK_SLAB_SLAB_H
#define HAK_SLAB_SLAB_H

#include "../base/list.h"
#include "../space/arena.h"
#include "../space/freemap.h"
#include "class.h"

enum slab_place { SLAB_PARTIAL, SLAB_UNCARVED, SLAB_ABSENT, SLAB_FULL, SLAB_PLACES, SLAB_NOWHERE = SLAB_PLACES };

enum slab_fresh { FRESH_NOWHERE = 0, FRESH_IN_PART, FRESH_EVERYWHERE };

enum { SLAB_GRANULES = 16, MARK_BYTES = 64, SLAB_WORD_BITS = 64 };

static const uint32_t NO_BLOCK = UINT32_MAX;

struct slab {
    uintptr_t base;    /* of block 0 */
    uint64_t *map;     /* bit per block: it is free; the first words, see slab_word() */
    uint64_t word;     /* the map of a slab of up to 64 blocks */
    struct list link;  /* in the owner's list for `place` */
    uint32_t number;   /* of this record */
    uint32_t stride;   /* bytes per block */
    uint16_t used;     /* carved blocks that are neither free nor absent: the program's, in bins, on their way */
    uint16_t carved;   /* blocks cut so far; only grows until retire; others read it */
    uint16_t capacity; /* blocks that fit */
    uint16_t absent;   /* bit per granule whose memory was given back */
    uint16_t swept;    /* the pass that looked here for pages to give back; see cache/sparse.c */
    uint8_t low;       /* words of the map that are known to be zero */
    uint8_t class;
    uint8_t units;     /* 1 or POOL_UNITS; 0 = the record is not a slab */
    uint8_t place;     /* enum slab_place */
    uint8_t fresh;     /* enum slab_fresh: its memory comes as it is touched */
    bool marked;       /* see above */
};

_Static_assert(sizeof(struct slab) == CACHE_LINE, "it fits a record");
_Static_assert(POOL_UNITS * UNIT_SIZE / (SINGLE_UNIT_SIZE_MAX + 1) <= 64 && UNIT_SIZE / 8 <= UINT16_MAX,
               "capacities fit, and slabs of several units have one word");

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
INTERNAL uint32_t slab_blocks_over(const struct slab *s, uint32_t granules, uint32_t limit);

ALWAYS_INLINE uint32_t slab_absent_count(const struct slab *s)
{
    return likely(!s->absent) ? 0 : slab_blocks_over(s, s->absent, s->carved);
}

/* The granules with memory that no used block overlaps, and that may go. */
INTERNAL uint32_t slab_find_vacant(const struct slab *s);

/* Makes vacant granules absent: the caller then gives their memory back. */
INTERNAL void slab_make_absent(struct slab *s, uint32_t granules);

/* Makes the blocks of absent granules free again, but for those that overlap other absent ones. */
INTERNAL void slab_restore(struct slab *s, uint32_t granules);

/* The same for a granule or a few, as many as it takes to have a block. Some carved blocks must be absent. */
INTERNAL void slab_revive(struct slab *s);

/* Blocks are going to be carved: their granules get memory, where they have none. */
INTERNAL void slab_make_present(struct slab *s, uint32_t first, uint32_t count);

/* true = this block is absent. */
INTERNAL bool slab_has_absent(const struct slab *s, uint32_t index);

/* Why I4 does not hold, or NULL. */
INTERNAL const char *slab_verify_absent(const struct slab *s);

/* ---- slab.c ---- */

ALWAYS_INLINE uint32_t slab_free_count(const struct slab *s)
{
    return s->carved - s->used - slab_absent_count(s);
}

/* Makes the span, just taken from the arena, a slab with no block carved. Its tags are the caller's. */
INTERNAL struct slab *slab_init(const struct span *span, unsigned class);

/* Before the units go back: the map is cleared. No block may be used. */
INTERNAL void slab_retire(struct slab *s);

/* A block that has been carved begins at p. */
ALWAYS_INLINE bool slab_is_block(const struct slab *s, const void *p)
{
    uintptr_t offset = (uintptr_t)p - s->base;
    return likely(offset < load_relaxed(&s->carved) * (uintptr_t)s->stride) && (uint32_t)offset % s->stride == 0;
}

/* Its index; NO_BLOCK = none begins there. */
ALWAYS_INLINE uint32_t slab_index(const struct slab *s, const void *p)
{
    return slab_is_block(s, p) ? (uint32_t)((uintptr_t)p - s->base) / s->stride : NO_BLOCK;
}

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
INTERNAL struct chain slab_carve(struct slab *s, uint32_t want);

/* Takes up to `want` free blocks, at least one, the lowest first; touches only these, and a single one not at all. Some
 * must be free. */
INTERNAL struct chain slab_take(struct slab *s, uint32_t want);

/* A word of the map. */
ALWAYS_INLINE uint64_t *slab_word(const struct slab *s, unsigned word)
{
    return likely(word < RECORD_MAP_WORDS) ? s->map + word : freemap_word(s->number, word);
}

/* The bit of a block in its word. */
ALWAYS_INLINE uint64_t slab_bit(uint32_t index)
{
    return UINT64_C(1) << index % SLAB_WORD_BITS;
}

/* true = the block is free. */
ALWAYS_INLINE bool slab_is_free(const struct slab *s, uint32_t index)
{
    return *slab_word(s, index / SLAB_WORD_BITS) & slab_bit(index);
}

/* Puts a used block back. false = it is free or absent: nothing is changed. */
INTERNAL bool slab_give(struct slab *s, uint32_t index);

/* The first free block of a marked slab that was written to since it was freed, or NULL. */
INTERNAL const void *slab_find_written(const struct slab *s);

/* A free block that cannot be trusted is used from now on, by nobody. */
INTERNAL void slab_withdraw(struct slab *s, uint32_t index);

/* Puts a used block back where that changes no place: others are free, and others are used. false = not done. */
ALWAYS_INLINE bool slab_give_one(struct slab *s, uint32_t index)
{
    uint64_t *word = slab_word(s, index / SLAB_WORD_BITS);
    uint64_t bit = slab_bit(index);
    if (s->used <= 1 || s->used == s->carved || s->absent || s->marked || (*word & bit)) return false;
    *word |= bit;
    if (index / SLAB_WORD_BITS < s->low) s->low = (uint8_t)(index / SLAB_WORD_BITS);
    s->used--;
    return true;
}

/* Where a slab in this state belongs. */
ALWAYS_INLINE enum slab_place slab_place_of(const struct slab *s)
{
    if (slab_free_count(s) > 0) return SLAB_PARTIAL;
    if (s->carved < s->capacity) return SLAB_UNCARVED;
    return s->absent ? SLAB_ABSENT : SLAB_FULL;
}

/* Checks I1 ... I5; I5 where the option is on. NULL = they hold, else which does not. */
INTERNAL const char *slab_verify(const struct slab *s);

#endif
