/* freemap.h - which blocks of a unit are free: a bit for each, out of the program's reach.
 *
 * Uses: record. Callers: chunk, which gives the maps memory; slab, which says what the bits mean.
 * Locks: none; the chunk's maps are made under RANK_ARENA, and a unit's map belongs to who has the unit.
 *
 *   mapping    ... | group 1 | group 0 | record 0 | record 1 | ...
 *   a group    | part 0 of units 0 ... 15 | part 1 of them | part 2 | part 3 |
 *   a part     256 bytes, of each unit
 *
 * The maps of a chunk lie below its records. A unit has 8,192 bits, as many as blocks of 8 bytes fit. Most slabs use no
 * more than the first quarter, enough for blocks of 32 bytes and up: so these quarters lie together, and a page of
 * memory does for a MiB of slabs. All of a map reads as zero while its unit has no slab.
 */
#ifndef HAK_SPACE_FREEMAP_H
#define HAK_SPACE_FREEMAP_H

#include "record.h"

enum {
    FREEMAP_WORDS = UNIT_SIZE / 8 / 64,
    FREEMAP_PARTS = 4,
    FREEMAP_PART_WORDS = FREEMAP_WORDS / FREEMAP_PARTS,
    FREEMAP_UNITS = 16, /* of a group */
    FREEMAP_GROUP_WORDS = FREEMAP_UNITS * FREEMAP_WORDS,
};

/* Zeroed, writable memory for `books` bytes that begin with the records of `units` units, and room for their maps in
 * front of it, of which the first `ready` units' are writable; counted as records but for the maps. NULL = refused. */
void *freemap_map(size_t units, size_t ready, size_t books);

/* Makes the maps of the first `units` units writable, where those of the first `ready` are. `record` is the number of
 * the first unit's record. false = refused. */
bool freemap_commit(uint32_t record, size_t ready, size_t units);

/* Gives the memory of maps back, of `units` units from one on that begins a group. Nobody else may have them, or take
 * them meanwhile. */
void freemap_purge(uint32_t record, size_t units);

/* Bytes of the maps of the first `units` units, which end at the first record. */
ALWAYS_INLINE size_t freemap_bytes(size_t units)
{
    size_t groups = (units + FREEMAP_UNITS - 1) / FREEMAP_UNITS;
    return groups * FREEMAP_GROUP_WORDS * sizeof(uint64_t);
}

/* The first word of a unit's map. */
ALWAYS_INLINE uint64_t *freemap_at(uint32_t number)
{
    uint32_t unit = number % RECORDS_PER_BLOCK;
    uint64_t *end = (uint64_t *)(void *)record_block[number >> RECORD_INDEX_BITS];
    uint64_t *group = end - (unit / FREEMAP_UNITS + 1) * (size_t)FREEMAP_GROUP_WORDS;
    return group + unit % FREEMAP_UNITS * FREEMAP_PART_WORDS;
}

/* Another. */
ALWAYS_INLINE uint64_t *freemap_word(uint64_t *map, unsigned word)
{
    return map + word + word / FREEMAP_PART_WORDS * ((FREEMAP_UNITS - 1) * FREEMAP_PART_WORDS);
}

#endif
