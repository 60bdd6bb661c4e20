/* record.h - where the allocator keeps its books: apart from user memory, found by number.
 *
 * Uses: os. Callers: tagmap, arena, large, cache.
 * Locks: RANK_RECORD for adding a block; reading takes none, because blocks are never taken away.
 *
 * There is a record for each unit of a chunk and for each mapping; slab.h, large.h say what is in its first 64 bytes.
 * Behind them lies the beginning of a slab's map of free blocks: see freemap.h. Records live in blocks of up to 65,536;
 * a record's number is block << 16 | index in the block. A tag carries this number.
 */
#ifndef HAK_SPACE_RECORD_H
#define HAK_SPACE_RECORD_H

#include "../os/lock.h"

enum {
    RECORD_MAP_WORDS = 24,
    RECORD_INDEX_BITS = 16,
    RECORDS_PER_BLOCK = 1 << RECORD_INDEX_BITS,
    RECORD_BLOCKS = 1 << 14,
};

struct record {
    _Alignas(CACHE_LINE) unsigned char bytes[CACHE_LINE];
    uint64_t map[RECORD_MAP_WORDS];
};

struct records {
    uint32_t blocks; /* entered so far; under record_lock */
    size_t bytes;    /* mapped, but for maps of free blocks; shared counter */
};

extern struct records records LINKED_AS("hak_records");
extern struct lock record_lock LINKED_AS("hak_record_lock"); /* for fork */
/* Block 0 stays empty: number 0 is no record. */
extern struct record *record_block[RECORD_BLOCKS] LINKED_AS("hak_record_block");

ALWAYS_INLINE struct record *record_at(uint32_t number)
{
    return record_block[number >> RECORD_INDEX_BITS] + (number & (RECORDS_PER_BLOCK - 1));
}

/* Zeroed memory for bookkeeping, in whole pages; counted as records; in use never given back. NULL = refused. */
INTERNAL void *record_map(size_t size);

/* Gives it back before it is in use. Where the system refuses that it still counts. */
INTERNAL void record_unmap(void *p, size_t size);

/* Of a block that is a reservation makes the first `count` records writable, in whole pages, where the first `ready`
 * are. `first` is the number of its first record. false = refused. */
INTERNAL bool record_commit(uint32_t first, size_t ready, size_t count);

/* Enters them as a block. Returns the number of its first record, or 0 when all block numbers are
 * taken. */
INTERNAL uint32_t record_block_add(struct record *block);

/* Bytes mapped for bookkeeping so far, the touched parts of the tag map and of the maps of free blocks not included. */
INTERNAL size_t record_bytes(void);

#endif
