/* walk.h - a snapshot of the heap of another process.
 *
 * Uses: target, and the library's structures. The process runs on meanwhile, so what is read may be torn: no list is
 * followed, all is read from tables whose bounds are known, and each record is believed only when it makes sense.
 * A process that stands still gives exactly the figures of hak_stats().
 */
#ifndef HAK_CLI_WALK_H
#define HAK_CLI_WALK_H

#include "../include/hakmem/hakmem.h"
#include "../src/diag/option.h"
#include "target.h"

enum unit_kind {
    UNIT_FREE,    /* the arena's: dirty or purged */
    UNIT_RESERVE, /* an empty one that a heap keeps, or that is being purged */
    UNIT_SLAB,
    UNIT_RUN,     /* of a large block */
    UNIT_MISSING, /* behind the end of a short chunk */
    UNIT_TORN,    /* changed while it was read */
};

struct unit_view {
    uint8_t kind;      /* enum unit_kind */
    uint8_t class;     /* slabs */
    uint8_t units;     /* slabs: of the whole slab, in its first unit; else 0 */
    uint32_t owner;    /* slabs: id of the heap; HEAP_COMMON: nobody's */
    uint32_t used;     /* slabs, here and below: blocks that are neither free nor absent, in every unit */
    uint32_t carved;
    uint32_t run_live; /* runs: usable bytes in this unit */
    uint32_t resident; /* bytes that have memory; filled in by divide() */
};

struct superslab_view {
    uintptr_t base;
    uint32_t occupied;
    uint32_t dirty;
    struct unit_view unit[SUPERSLAB_UNITS];
};

struct class_view {
    uint64_t slabs;
    uint64_t blocks;    /* that fit into them */
    uint64_t carved;
    uint64_t used;
    uint64_t cached;    /* of these, in bins */
    int64_t on_way;     /* of these, in inboxes, outboxes and letters; below 0 only when torn */
    uint64_t mallocs, frees;
    uint64_t sparse;    /* slabs: of the blocks cut from them less than a quarter is used */
    uint64_t sparse_free_bytes; /* in them */
    uint64_t absent;    /* bytes of slabs whose pages were given back */
};

struct heap_view {
    uint32_t id;
    uint32_t state;     /* enum heap_state */
    uint64_t cached;    /* bytes in bins */
    uint64_t slabs;
    uint64_t reserve;   /* bytes */
};

/* A large block with a mapping of its own. */
struct mapping_view {
    uintptr_t start, base;
    size_t size, map_size;
    bool kept;          /* freed, and kept for a while */
};

/* The allocator's books. */
struct range {
    uintptr_t base;
    size_t size;
};

struct snapshot {
    struct hak_stats total;
    struct class_view class[CLASS_COUNT];
    struct heap_view *heaps;
    size_t heap_count;
    struct superslab_view *superslabs;
    size_t superslab_count;
    struct mapping_view *mappings;
    size_t mapping_count;
    struct range *books;
    size_t book_count;
    struct range tags;          /* the tag map */
    size_t run_slack, mapping_slack;
    struct run_counters kept_runs; /* of all heaps */
    size_t arena_units, arena_free_units, arena_dirty_units;
    size_t kept;                /* bytes of freed mappings */
    size_t absent;              /* bytes inside slabs that were given back */
    size_t reserve;             /* bytes of units that heaps keep */
    size_t mail;                /* bytes on their way between heaps; total.cached holds them, too */
    size_t parked_heaps;
    struct lock_waits waits[LOCK_RANKS]; /* by enum lock_rank */
    long option[OPTION_COUNT];
    unsigned torn;              /* records that made no sense */
};

/* Looks up to a few times, until nothing was torn. false = the process is gone. */
bool snapshot_take(const struct target *target, struct snapshot *snapshot);
void snapshot_free(struct snapshot *snapshot);

/* The same, or ends with the message. */
void snapshot_must(struct target *target, struct snapshot *snapshot);

/* What the locks of a rank protect, by enum lock_rank; the first is none. */
extern const char *const lock_title[LOCK_RANKS];

/* The allocator has a thread's name for a heap: "heap 3", "finished threads", "orphans". */
const char *heap_title(const struct heap_view *heap);

#endif
