/* mapping.h - large blocks that have a mapping of their own: the longest, aligned ones, and those that grow by realloc.
 * Private to large; block (service) publishes where the table is.
 *
 * Uses: density, huge, tagmap, record, option, os. Callers: large.c and mapped.c only. Locks: RANK_LARGE.
 *
 * A mapping grows without copying, and gets room for the next times: addresses, no memory. Freed mappings are kept for
 * a while, within a bound; one is used for a request that fills at least three quarters of it, or by a block that grows
 * and will. Where blocks are expected to be filled, they may have huge pages, and start at one.
 */
#ifndef HAK_SPACE_MAPPING_H
#define HAK_SPACE_MAPPING_H

#include "large.h"

enum { LARGE_RECORDS_PER_BLOCK = 256 };

/* Under large_lock. */
struct mapped {
    struct list live;
    struct list kept; /* latest first */
    struct large *free_records;
    unsigned kept_count;
    size_t kept_bytes;
    size_t live_bytes, slack_bytes, count;
    size_t used_room;
    size_t mallocs, frees; /* so far */
    uint32_t tick;
    bool room_stays; /* the system has refused to take used room back: as where memory is locked */
};

extern struct mapped mapped LINKED_AS("hak_mapped");

/* A block of at least `size` bytes. NULL = the system refuses. */
INTERNAL void *mapping_alloc(size_t size, size_t alignment, bool zeroed);

/* The same for a block that grows: behind its size there may be room. dense = its contents are expected to fill it. */
INTERNAL void *mapping_alloc_growing(size_t size, bool dense);

INTERNAL void mapping_free(struct large *l);

/* Resizes in place or by moving the pages. NULL = cannot, or a run would do and nobody insists; the block is as it
 * was. */
INTERNAL void *mapping_resize(struct large *l, size_t size, bool insist);

/* Fills in what concerns mappings. In mapped.c, as are the next, and what large.h says of all mappings. */
INTERNAL void mapping_usage(struct large_usage *usage);

/* Checks I1 and I2 of large.h. */
INTERNAL const char *mapping_verify(void);

#endif
