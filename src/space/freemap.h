/* freemap.h - which blocks of a unit are free: a bit for each, out of the program's reach.
 *
 * Uses: record. Callers: chunk, which gives the maps memory; purge; slab, which says what the bits mean.
 * Locks: none; the chunk's maps are made under RANK_ARENA, and a unit's map belongs to who has the unit.
 *
 *   mapping    ... | rest of map 1 | rest of map 0 | record 0 | map 0 | record 1 | map 1 | ...
 *
 * A unit has 8,192 bits, as many as blocks of 8 bytes fit. The first 1,536 of them, which do for blocks of 48 bytes and
 * more, lie behind the unit's record: who sets one has just read the record, so the page is not cold. The rest lies
 * below the records of the chunk, and has memory when it is used. All of a map reads as zero while its unit has no
 * slab.
 */
#ifndef HAK_SPACE_FREEMAP_H
#define HAK_SPACE_FREEMAP_H

#include "record.h"

enum {
    FREEMAP_WORDS = UNIT_SIZE / 8 / 64,
    FREEMAP_REST_WORDS = 112, /* room for 104: so those of a SuperSlab take 28 KiB */
};

_Static_assert(FREEMAP_WORDS - RECORD_MAP_WORDS <= FREEMAP_REST_WORDS, "a map has room");

/* A reservation for `books` bytes that begin with the records of `units` units, counted as records, and for the rests
 * of their maps in front of it. What is behind the records is zeroed and writable. NULL = refused. */
INTERNAL void *freemap_map(size_t units, size_t books);

/* Gives all of that back before it is in use; p is what freemap_map() returned. Where the system refuses, books still
 * count. */
INTERNAL void freemap_unmap(void *p, size_t units, size_t books);

/* Makes the rests of the first `units` units writable, where those of the first `ready` are. `record` is the number of
 * the first unit's record. false = refused. */
INTERNAL bool freemap_commit(uint32_t record, size_t ready, size_t units);

/* The reverse: of `ready` units the first `units` stay writable, and what goes is charged no more. Nobody may have
 * those that go. false = refused, all stay. */
INTERNAL bool freemap_uncommit(uint32_t record, size_t ready, size_t units);

/* Gives the memory of the rests of maps back, of `units` units from one on. Nobody else may have them, or take them
 * meanwhile. */
INTERNAL void freemap_purge(uint32_t record, size_t units);

/* Bytes of the rests of the first `units` units, which end at the first record. */
ALWAYS_INLINE size_t freemap_rests(size_t units)
{
    return units * FREEMAP_REST_WORDS * sizeof(uint64_t);
}

/* A word of a unit's map. */
ALWAYS_INLINE uint64_t *freemap_word(uint32_t record, unsigned word)
{
    if (word < RECORD_MAP_WORDS) return &record_at(record)->map[word];
    char *top = (char *)(void *)record_block[record >> RECORD_INDEX_BITS];
    uint64_t *rest = (uint64_t *)(void *)(top - freemap_rests(record % RECORDS_PER_BLOCK + 1));
    return rest + word - RECORD_MAP_WORDS;
}

#endif
