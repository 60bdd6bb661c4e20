/* stats.h - what the process holds, and whether the counters tell the truth.
 *
 * Uses: cache, space. Callers: api. Locks: one heap's at a time; all of them to verify. No lock may be held.
 */
#ifndef HAK_SERVICE_STATS_H
#define HAK_SERVICE_STATS_H

#include "../../include/hakmem/hakmem.h"
#include "../slab/class.h"

struct stats_class {
    uint64_t slabs;
    uint64_t blocks;   /* that fit into them */
    uint64_t used;     /* neither free in a slab nor absent */
    uint64_t cached;   /* of these, in bins or on their way to their owner */
    int64_t on_way;    /* the second kind */
    uint64_t mallocs;
    uint64_t frees;    /* remote ones included */
};

struct stats {
    struct hak_stats total;
    struct stats_class class[CLASS_COUNT];
    size_t slab_bytes;     /* units of slabs */
    size_t absent_bytes;   /* of these, given back */
    size_t reserve_bytes;  /* units kept by heaps */
    size_t run_bytes;      /* units of large blocks */
    size_t mapping_bytes;  /* live mappings, */
    size_t mapping_live;   /* and their blocks */
    size_t mapping_count;
    size_t kept_bytes;     /* freed mappings kept */
    size_t arena_bytes;    /* all units */
    size_t free_blocks;    /* in slabs, carved, and free units: what mallinfo calls chunks */
};

INTERNAL void stats_collect(struct stats *stats);

/* Of what it collected: bytes of the arena in which no block lives. */
INTERNAL size_t stats_arena_free(const struct stats *stats);

/* One screen on standard error. */
INTERNAL void stats_print(void);

/* Compares every counter with the walked truth; prints "counters ok" or each that differs. */
INTERNAL bool stats_verify_counters(void);

/* Every invariant of the whole heap. NULL = they hold. */
INTERNAL const char *stats_verify_all(void);

#endif
