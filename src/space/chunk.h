/* chunk.h - address space reserved in large pieces, and the SuperSlabs cut from it. Private to the arena.
 *
 * Uses: tagmap, record, freemap, option, os.
 * Callers: arena.c, stretch.c, purge.c, collapse.c, limit.c and service/narrow.c only, under RANK_ARENA. Block
 * (service) publishes where the tables are.
 *
 * Chunks shrink when the system refuses: down to a few units. Memory is committed from the front, in
 * growing steps, and its books with it, so that strict overcommit charges little, locked memory stays small, and the
 * mapping stays one.
 *
 * A chunk of which nothing is handed out can be given up, when addresses are short. Its books stay, for the next chunk
 * that is no longer than it was, the rests of maps charged no more. Where memory is charged as soon as it is writable,
 * others lose their free end.
 */
#ifndef HAK_SPACE_CHUNK_H
#define HAK_SPACE_CHUNK_H

#include "../base/list.h"
#include "arena.h"
#include "tagmap.h"

struct superslab {
    uintptr_t base;
    uint32_t record;   /* number of unit 0's record */
    uint32_t occupied; /* bit: handed out, being purged, or behind the end of the chunk */
    uint32_t dirty;    /* bit: free and has memory */
    uint32_t stale;    /* bit: dirty since before the last tick */
    uint32_t zero;     /* bit: dirty, and never used since the system gave the memory */
    uint32_t dense;    /* bit: handed out to be filled */
    uint32_t tick;     /* of the last purge that looked here */
    uint8_t free_count;  /* of bits that are not in occupied; 0 before it is in use */
    uint8_t dirty_count; /* of bits in dirty */
    bool whole;        /* the chunk does not end in it */
    bool huge;         /* huge pages are allowed: for long runs */
    bool has_maps;     /* the rests of its units' maps may have memory; shared */
    bool collapsed;    /* has a huge page, or was refused one, since the last purge */
    struct list bucket_link;
    struct list dirty_link;
};

struct chunk {
    uintptr_t base;
    size_t size;                  /* 0 = given up, and so are base, committed, used and total */
    size_t committed;             /* writable bytes from base on; what is used, and more */
    uint32_t used;                /* SuperSlabs handed to the arena */
    uint32_t total;               /* SuperSlabs that fit; the last may be short */
    uint32_t capacity;            /* units that there are records for */
    uint32_t recorded;            /* units of which the records are writable; only grows */
    uint32_t mapped;              /* units of which the rests of maps are */
    uint32_t empty;               /* SuperSlabs in use of which nothing is occupied */
    uint32_t record;              /* number of the first unit's record */
    struct superslab *superslabs; /* one for each 2 MiB */
};

/* By record block; NULL = the block is not a chunk's. */
extern struct chunk *chunk_of_block[RECORD_BLOCKS] LINKED_AS("hak_chunk_of_block");

/* Under arena_lock, as are all SuperSlabs. */
struct arena {
    size_t units;
    size_t free_units;
    size_t dirty_units;
    size_t purging_units;   /* occupied by who purges, without memory */
    size_t dense_units;
    size_t huge_superslabs;
    size_t burst_units;     /* taken back in a row; each unit handed out takes BURST_FORGET off */
    uint64_t clean_units;   /* handed out without memory, so far */
    struct run_counters runs;
    struct list dirty_list; /* SuperSlabs with dirty units, oldest first */
    uint32_t tick;
};

extern struct arena arena LINKED_AS("hak_arena");

/* Sets both maps of a SuperSlab, and moves it to where it then belongs. In arena.c. */
INTERNAL void superslab_change(struct superslab *s, uint32_t occupied, uint32_t dirty);

/* Takes one of which nothing is handed out from where it is, and empties it. In arena.c. */
INTERNAL void superslab_leave(struct superslab *s);

/* Huge pages will be forbidden there. true = they were allowed. */
INTERNAL bool superslab_forget_huge(struct superslab *s);

/* A SuperSlab never used before, not yet in a bucket. NULL = the system refuses. */
INTERNAL struct superslab *chunk_next_superslab(void);

/* Highest record block that is a chunk's. */
extern uint32_t chunk_last_block LINKED_AS("hak_chunk_last_block");

/* A chunk more, of at least `size_min` bytes. false = the system refuses. */
INTERNAL bool chunk_add(size_t size_min);

/* Makes `count` more of its SuperSlabs usable. false = the system refuses. */
INTERNAL bool chunk_use(struct chunk *c, unsigned count);

/* In bytes: the last one of a chunk may be short. */
INTERNAL size_t chunk_superslab_length(const struct chunk *c, uint32_t index);

/* SuperSlabs that lie one behind the other, for a long run. */
struct stretch {
    struct superslab *first; /* the others follow in the array, and in memory */
    unsigned unused;         /* the last ones, never used before, not yet in a bucket */
};

/* A stretch whose first `count` units are free, where the most of them are dirty. What a chunk has committed stays
 * charged: where that counts, it is made more only if `grow` says so. false = there is none. In stretch.c. */
INTERNAL bool chunk_find_long(unsigned count, bool grow, struct stretch *stretch);

/* Gives the addresses of all chunks back to the system of which nothing is handed out, and of the others what is
 * charged for their free ends, where it is. Returns bytes. */
INTERNAL size_t chunk_give_up_free(void);

/* Before tagmap_narrow(): addresses that are only reserved go back, where a chunk has more than it would under such a
 * limit, and each unit of ours gets a tag. */
INTERNAL void chunk_narrow(size_t limit);

/* To be told of each SuperSlab that becomes entirely free, or is no longer. */
INTERNAL void chunk_count_empty(const struct superslab *s, bool empty);

INTERNAL struct superslab *chunk_superslab_of(uint32_t record);

/* true = the record is a unit's, in a SuperSlab in use. */
INTERNAL bool chunk_has(uint32_t record);

/* Checks I5 of arena.h. */
INTERNAL bool chunk_verify(void);

INTERNAL void chunk_each_superslab(void (*visit)(struct superslab *s, void *context), void *context);

#endif
