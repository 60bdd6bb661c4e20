/* large.h - blocks above 64 KiB: runs of units up to RUN_SIZE_MAX, then mappings of their own (mapping.h).
 *
 * Uses: arena, mapping, density, tagmap, record, os. Callers: front, service.
 * Locks: RANK_LARGE for the list of mappings; the arena's.
 *
 * First touches are what large blocks cost, so most are runs: freed, their memory serves any other size.
 * A block that outgrows its run by realloc becomes a mapping, because mappings grow without copying.
 *
 * I1  a mapping's record has start == the block's address; the tag of the unit there carries the record
 * I2  kept_bytes is the sum of the kept mappings' sizes; above its bound only while the system refuses to
 *     unmap. used_room is what lies behind live blocks and has memory of the last block there; it goes back when it
 *     was idle for two ticks, unless the system has refused that once
 */
#ifndef HAK_SPACE_LARGE_H
#define HAK_SPACE_LARGE_H

#include "../base/bits.h"
#include "../base/list.h"
#include "arena.h"
#include "record.h"
#include "tagmap.h"

/* What the record of a run's first unit, or of a mapping, holds. */
struct large {
    uintptr_t start;    /* the block's address */
    size_t size;        /* usable bytes; 0 = freed */
    uintptr_t map_base; /* mappings: what the system gave */
    size_t map_size;
    struct list link;   /* mappings: live or kept */
    uint32_t number;    /* of this record */
    uint32_t units;     /* runs: how many; live mappings: behind so many the last block has left no memory */
    uint32_t kept_tick; /* mappings: the tick in which they were kept, or their block was seen to grow into used room */
    union {
        uint32_t zeroed; /* runs: the block was to read as zero, and so will the next one of its kind; kept mappings:
                            the system took their memory and refused to unmap them */
        uint32_t seen;   /* live mappings: units of the block at the last tick */
    };
};

ALWAYS_INLINE struct large *large_at(uint32_t number)
{
    return (struct large *)(void *)record_at(number);
}

_Static_assert(sizeof(struct large) == CACHE_LINE, "it fits a record");

/* A block of at least `size` bytes. `alignment` is a power of two. With `zeroed` all bytes read as zero.
 * NULL = the system refuses. */
INTERNAL void *large_alloc(size_t size, size_t alignment, bool zeroed);

/* Frees the block that `tag` describes. false = p is not the start of a live block. */
INTERNAL bool large_free(void *p, struct tag tag);

/* The units of a run for a block of `size` bytes. */
ALWAYS_INLINE unsigned large_units(size_t size)
{
    return (unsigned)((size + UNIT_SIZE - 1) >> UNIT_SHIFT);
}

/* The run that the tag describes. NULL = p is not the start of a live one. */
ALWAYS_INLINE struct large *large_live_run(const void *p, struct tag tag)
{
    struct large *l = large_at(tag.record);
    return tag_offset(tag) == TAG_RUN && l->start == (uintptr_t)p && l->size > 0 ? l : NULL;
}

/* Frees a run without giving its units back: they are the caller's, or large_reuse()'s. Its tags stay. Returns the size
 * that the block had. */
ALWAYS_INLINE size_t large_retire(struct large *l)
{
    size_t size = l->size;
    l->size = 0;
    return size;
}

/* true = the tag is of a retired run. */
INTERNAL bool large_is_retired(struct tag tag);

/* Makes a retired run a block again, of a size that its units were made for. It has old contents. Returns the size
 * that the block has. */
ALWAYS_INLINE size_t large_reuse(struct large *l, size_t size)
{
    return l->size = align_up(size, os_page_size());
}

/* true = the tag of a large block or kept mapping describes p: it starts there, or p lies in it. */
INTERNAL bool large_contains(const void *p, struct tag tag);

/* true = p lies in a live or kept mapping, of which only the first unit has a tag. Slow. */
INTERNAL bool large_holds(const void *p);

/* Usable size; 0 = p is not the start of a live block. */
INTERNAL size_t large_usable_size(const void *p, struct tag tag);

/* Resizes in place, or by moving the mapping; a run that is outgrown becomes a mapping. NULL = cannot, or a block
 * elsewhere would be better; then p is as it was. Who has found none insists, and what is too small for a large block
 * leaves as little as one has. p must be live. */
INTERNAL void *large_resize(void *p, struct tag tag, size_t size, bool insist);

/* Bytes behind the block of a mapping that have memory of the last block there. */
ALWAYS_INLINE size_t large_used_room(const struct large *l)
{
    size_t end = l->units * (size_t)UNIT_SIZE;
    if (end > l->map_size) end = l->map_size;
    return end > l->size ? end - l->size : 0;
}

/* Gives kept mappings back, and the memory of used room: what was idle for a tick, or all. Returns bytes, those
 * included of which the system took the memory alone. */
INTERNAL size_t large_purge(bool all);

/* All of them, if they are too many to be kept where nobody looks after them any more. Returns bytes. */
INTERNAL size_t large_purge_left(uint64_t now_ms);

/* Hints without a lock: large_purge() has something to do; how many bytes; large_purge_left() has something to do. */
INTERNAL bool large_has_kept(void);
INTERNAL size_t large_kept_bytes(void);
INTERNAL bool large_has_much_kept(void);

struct large_usage {
    struct run_counters runs; /* but for blocks in runs that heaps have kept */
    size_t mapping_live;    /* usable bytes in mappings */
    size_t mapping_slack;   /* what mappings hold beyond: alignment, room to grow, what is no block's and cannot go */
    size_t mapping_count;   /* live mappings */
    size_t kept;            /* bytes of kept mappings */
    size_t mallocs, frees;  /* of mappings, so far */
};

INTERNAL void large_usage(struct large_usage *usage);

/* Checks I1 and I2. NULL = they hold. Other threads must be held out. */
INTERNAL const char *large_verify(void);

/* In the child of a fork: mappings are counted anew, since who was about to map or unmap one is gone. */
INTERNAL void large_follow_fork(void);

extern struct lock large_lock LINKED_AS("hak_large_lock"); /* for fork */

#endif
