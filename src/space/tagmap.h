/* tagmap.h - one entry for each 64 KiB of address space: who owns it, which class, which record.
 *
 * Uses: record, os. Callers: everybody above; the hit paths of free through entry_offset() and entry_owner().
 * Locks: RANK_TAGMAP while parts are made writable. Entries are single words of 64 bits, written by
 *        whoever owns the units (arena, heap, large) and read by anyone.
 *
 *   entry:  63 ............ 32 31 30 ........ 16 15 ............. 0
 *           | record number   | W|  owner       | offset or kind  |
 *
 * offset >= BIN_OFFSET: a slab; the offset of its class's bin in the owner's heap. Below: enum tag_kind.
 *
 * The whole map is reserved, readable and without memory, for all user addresses; the parts that describe
 * memory of ours are made writable. Where so large a reservation is refused (RLIMIT_AS), or such a limit comes, a
 * *window* is used:
 * the index is taken modulo its size. Then an address that is not ours can meet an entry of ours, so every
 * entry carries W, no tag equals a thread's own, and each free goes to the slow side, which compares with the
 * record's address range.
 *
 * I1  an address outside our memory reads as 0 (without a window), but in the unit where a mapping of ours begins
 * I2  in a window no two units of ours that have a tag share an entry
 */
#ifndef HAK_SPACE_TAGMAP_H
#define HAK_SPACE_TAGMAP_H

#include "record.h"

enum tag_kind {
    TAG_NONE = 0,
    TAG_FREE,         /* a unit that the arena or a heap's reserve holds */
    TAG_RUN,          /* a large block in a run of units, or such a run, freed and kept by a heap */
    TAG_MAPPING,      /* a large block in a mapping of its own; only the unit where it starts */
    TAG_MAPPING_KEPT, /* such a mapping, freed and kept for a while */
    TAG_KINDS,
};

enum {
    TAG_OFFSET_MASK = (1 << OWNER_SHIFT) - 1,
    ENTRY_SHIFT = UNIT_SHIFT - 3,
};
#define TAG_WINDOWED (UINT32_C(1) << 31)

/* The whole map, and bytes of addresses that a process may have at least to have it: else it has a window. */
#define TAGMAP_SIZE (sizeof(uint64_t) << (ADDRESS_BITS - UNIT_SHIFT))
#define TAGMAP_LIMIT_MIN (4 * TAGMAP_SIZE)

struct tag {
    uint32_t word;   /* W, owner, offset */
    uint32_t record;
};

struct tagmap {
    const uint64_t *entries;
    size_t mask;       /* an entry lies (address >> ENTRY_SHIFT) & mask bytes behind the first */
    uint32_t windowed; /* 0 or TAG_WINDOWED */
};

extern struct lock tagmap_lock LINKED_AS("hak_tagmap_lock"); /* for fork */
extern struct tagmap tagmap LINKED_AS("hak_tagmap"); /* written by tagmap_init(), and by tagmap_narrow() */

/* What is looked up before and without tagmap_init(). */
extern const uint64_t tagmap_nothing[1] LINKED_AS("hak_tagmap_nothing");

ALWAYS_INLINE size_t tagmap_count(const struct tagmap *map)
{
    return map->mask / sizeof(*map->entries) + 1;
}

ALWAYS_INLINE size_t tagmap_index(const struct tagmap *map, uintptr_t address)
{
    return ((address >> ENTRY_SHIFT) & map->mask) / sizeof(*map->entries);
}

ALWAYS_INLINE const uint64_t *tagmap_entry(const void *p)
{
    return (const uint64_t *)mask_and_add((uintptr_t)p >> ENTRY_SHIFT, &tagmap.mask, &tagmap.entries);
}

/* The halves of an entry's tag, for the hit paths: two loads and no arithmetic. The offset comes first: only a thread
 * itself gives it units, so where the owner is the caller, the offset was the caller's bin before. */
_Static_assert(OWNER_SHIFT == 16, "halves");

ALWAYS_INLINE uint16_t entry_offset(const uint64_t *entry)
{
    const uint16_t *half = (const void *)entry;
    return load_acquire(&half[0]);
}

/* With W. */
ALWAYS_INLINE uint16_t entry_owner(const uint64_t *entry)
{
    const uint16_t *half = (const void *)entry;
    return load_relaxed(&half[1]);
}

ALWAYS_INLINE struct tag tagmap_get(const void *p)
{
    uint64_t entry = load_acquire(tagmap_entry(p)); /* pairs with tagmap_set() */
    return (struct tag){.word = (uint32_t)entry & ~TAG_WINDOWED, .record = (uint32_t)(entry >> 32)};
}

ALWAYS_INLINE uint32_t tag_offset(struct tag tag)
{
    return tag.word & TAG_OFFSET_MASK;
}

ALWAYS_INLINE uint32_t tag_owner(struct tag tag)
{
    return tag.word >> OWNER_SHIFT;
}

/* Reserves the map. false = not even the smallest window could be had. Call once, locked by the caller. */
INTERNAL bool tagmap_init(void);

/* true = under such a limit of addresses there would be a window instead of the full map. */
INTERNAL bool tagmap_is_too_large(size_t limit);

/* Puts a window in place of the full map. Entries that are not 0 are claimed in it. By the process's only thread, which
 * no signal interrupts, under RANK_TAGMAP: nobody may be between the loads of mask and entries. false = two units of
 * ours meet in the window, or the system refuses it; nothing has changed then. */
INTERNAL bool tagmap_narrow(size_t limit);

/* Makes the entries of these addresses writable. In a window, fails when one of them is taken.
 * false = the addresses cannot be used. */
INTERNAL bool tagmap_claim(uintptr_t base, size_t size);

/* Sets `units` entries from `base` on. */
INTERNAL void tagmap_set(uintptr_t base, size_t units, uint32_t word, uint32_t record);

#endif
