/* block.h - where a reader from outside of the process finds everything.
 *
 * Uses: cache, space, reclaim, option. Callers: nobody; the command-line tool (cli/) reads it, and all that it points
 * to, from the memory of the process.
 *
 * The block is constant, and nothing is done for it: no thread, file or descriptor, and no instruction in any path. It
 * is found by an ELF note of name "hakmem", which every program has that hakmem is linked or loaded into, also when
 * it was stripped: the note holds the distance from itself to the block. In the shared library it is the dynamic
 * symbol hakmem_block, too.
 *
 * Readers include the headers of the structures, so they must be of the same build: they compare build_id first.
 * Three words may be written from outside: an option's value within its range, cache_epoch (raised: every thread
 * flushes its bins at its next visit) and reclaim_request, which the next poll or round of any thread follows.
 */
#ifndef HAK_SERVICE_BLOCK_H
#define HAK_SERVICE_BLOCK_H

#include "../cache/heap.h"
#include "../space/chunk.h"
#include "../space/mapping.h"

#define BLOCK_MAGIC "hakmem*"
enum { BLOCK_FORMAT = 1, BLOCK_NOTE_TYPE = 1 };

struct block {
    char magic[8];
    uint32_t format;                     /* of the head, down to build_id: these never move */
    uint32_t size;                       /* of this structure */
    char version[16];
    char build_id[24];
    const uint32_t *heap_count;
    struct heap *const *heap_block;      /* HEAPS_PER_BLOCK heaps each */
    const struct tagmap *tagmap;
    const struct records *records;
    struct record *const *record_block;
    struct chunk *const *chunk_of_block; /* a record block that is no chunk's has LARGE_RECORDS_PER_BLOCK records */
    const struct arena *arena;
    const struct mapped *mapped;
    long *option_value;
    uint32_t *cache_epoch;
    uint32_t *reclaim_request;
    const struct lock_waits *lock_waits; /* LOCK_RANKS of them */
};

extern const struct block hakmem_block;

#endif
