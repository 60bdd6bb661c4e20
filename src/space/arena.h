/* arena.h - hands out units and runs of units from SuperSlabs, takes them back, and returns their memory.
 *
 * Uses: tagmap, record, density, huge, limit, option, os. Callers: large, cache (slabs), service.
 * Locks: RANK_ARENA inside each call; arena_purge() also RANK_PURGE.
 *
 *   chunk       | SuperSlab | SuperSlab | SuperSlab | not committed yet ......... |
 *   SuperSlab   | unit | unit | ... 32 units of 64 KiB ... | unit |
 *
 * A unit is occupied (handed out, or being purged), dirty (free, has memory) or neither (free, reads as
 * zero). SuperSlabs with free units wait in buckets by the number of free units, those with dirty units apart,
 * so that the fullest comes first and memory is used before new memory is touched.
 *
 * A dirty unit is purged when it has been dirty during one whole tick (half of purge_delay).
 *
 * Runs longer than a SuperSlab start at one and cover neighbours of the same chunk. They go where the most units
 * are dirty: memory that is there already costs no page faults.
 *
 * Memory comes in small pages as it is touched. Once much of what is handed out is dense (will be filled), a SuperSlab
 * without memory that is taken from for something dense gets a huge page, at a fifth of the price: its other units
 * are dirty then, although they still read as zero.
 *
 * I1  occupied and dirty have no bit in common; stale and zero are subsets of dirty, dense is one of occupied
 * I2  a SuperSlab is in bucket [dirty != 0][free units], or in none when nothing is free
 * I3  a SuperSlab is in the dirty list exactly when dirty != 0
 * I4  a SuperSlab's counts of free and dirty units are those of its maps; the arena's, and that of dense units, are
 *     those of all SuperSlabs
 * I5  each chunk counts its SuperSlabs of which nothing is occupied, and all that it has in use is committed
 */
#ifndef HAK_SPACE_ARENA_H
#define HAK_SPACE_ARENA_H

#include "../base/list.h"
#include "tagmap.h"

/* A run of units that is handed out. */
struct span {
    uintptr_t base;
    uint32_t record; /* number of the first unit's record; the others follow */
    uint32_t dirty;  /* bit i: unit i may hold old contents; else it reads as zero */
    bool present;    /* each unit was dirty, or is of a huge page: it has memory, as far as is known */
    bool untouched;  /* no unit was dirty */
};

/* Of runs that are blocks. */
struct run_counters {
    size_t live;           /* usable bytes */
    size_t slack;          /* what their units hold beyond */
    size_t mallocs, frees; /* so far */
};

enum {
    LONG_UNITS_MAX = 1024,
    LONG_SUPERSLABS_MAX = LONG_UNITS_MAX / SUPERSLAB_UNITS,
};

/* Once, after the options were read: chunks that are there already follow HAKMEM_THP. */
INTERNAL void arena_start(void);

/* A run of `count` (1 ... 32) units. dense = all of it will be written. false = the system refuses memory, or the limit
 * of the process does (limit.h); so with the other two calls that take units. */
INTERNAL bool arena_take(unsigned count, bool dense, struct span *span);

/* The same for a block of `size` bytes, which is counted. */
INTERNAL bool arena_take_run(unsigned count, size_t size, struct span *span);

/* All of the map of a unit that is handed out is going to be used; see freemap.h. It shall be zero again when the unit
 * is given back: the memory of its rest may go back with the unit's. */
INTERNAL void arena_note_map(uint32_t record);

/* A run of `count` (33 ... LONG_UNITS_MAX) units for a block of `size` bytes, which is counted. dense = all of it will
 * be written; it may get huge pages where it has no memory, as it is touched. Its dirty units are those of dirty[i],
 * bit j, for unit i * SUPERSLAB_UNITS + j; span->dirty says nothing. grow = also at the price of memory that stays
 * charged. false = the system refuses, or no chunk is that large. */
INTERNAL bool arena_take_long(unsigned count, size_t size, bool dense, bool grow, struct span *span,
                     uint32_t dirty[LONG_SUPERSLABS_MAX]);

/* Takes `count` units back; their tags become TAG_FREE. */
INTERNAL void arena_give(uintptr_t base, uint32_t record, unsigned count);

/* The same, all of a block of `size` bytes. */
INTERNAL void arena_give_run(uintptr_t base, uint32_t record, unsigned count, size_t size);

/* Extends a run of `count` units by `more`, in place. false = they are not free. */
INTERNAL bool arena_extend(uint32_t record, unsigned count, unsigned more);

/* A block's size changes, or its units, or both. */
INTERNAL void arena_recount_run(size_t size, unsigned units, size_t new_size, unsigned new_units);

/* What a heap has counted joins what was counted here: a fork finds it in one of the two. By the heap's thread. */
INTERNAL void arena_take_counts(struct run_counters *from);

/* Gives the addresses of chunks back of which nothing is handed out, where a mapping found no room, and the charge for
 * free ends of the others, where it counts. Returns bytes. */
INTERNAL size_t arena_release(void);

/* Gives dirty units back to the system: those that were idle for the purge delay, or all. Returns bytes. */
INTERNAL size_t arena_purge(bool all);

/* The same in steps of half a millisecond: begins a pass over the units that were idle for the purge delay, or goes on
 * with it, and tells whether more is left. Does not wait: false = another thread purges now, and nothing was done. */
INTERNAL bool arena_purge_step(bool begin, bool *more);

/* Gives back up to 32 SuperSlabs of which nothing is in use, but for their first units, idle or not. Does not wait.
 * false = there are no more, or another thread purges now. */
INTERNAL bool arena_purge_empty(void);

/* Gives memory back, idle or not, but for 3 MiB, while a long burst goes on: who frees 8 MiB and more without taking
 * some may fall silent next, and then nobody would. In steps, of half a millisecond for as long as the frees are of
 * small blocks. When the program soon takes it again, as much is kept for a while, longer each time. Does not wait. */
INTERNAL void arena_purge_burst(uint64_t now_ms);

/* The same where nobody will look after it any more, however it came to be free. */
INTERNAL void arena_purge_left(uint64_t now_ms);

/* Now and then: the while may be over. */
INTERNAL void arena_end_pause(uint64_t now_ms);

/* Somebody else will give it back: nobody shall look again before 8 MiB more are free. */
INTERNAL void arena_end_burst(void);

/* A hint without a lock: arena_purge_burst() may have something to do. */
INTERNAL bool arena_burst_is_long(void);

/* A hint without a lock: a long burst goes on, and is given back, if not at this moment. */
INTERNAL bool arena_burst_is_torn_down(void);

/* Looks at the next 64 SuperSlabs, and gives up to four that are in use to the last page a huge page each. Returns how
 * many. By one thread. */
INTERNAL unsigned arena_collapse(void);

/* A hint without a lock: arena_purge_left() has something to do. */
INTERNAL bool arena_has_much_dirty(void);

/* A hint without a lock: some unit is free and has memory. */
INTERNAL bool arena_has_dirty(void);

struct arena_usage {
    size_t units;       /* in SuperSlabs so far */
    size_t free_units;  /* not handed out */
    size_t dirty_units; /* of these, with memory */
    struct run_counters runs; /* but for those in runs that heaps have kept */
};

INTERNAL void arena_usage(struct arena_usage *usage);

/* A hint without a lock: units in SuperSlabs so far. */
INTERNAL size_t arena_units(void);

/* true = the address lies in a unit that the arena has, handed out or not. Slow. */
INTERNAL bool arena_contains(const void *p);

/* Checks I1 ... I5. NULL = they hold, else which does not. Other threads must be held out. */
INTERNAL const char *arena_verify(void);

extern struct lock arena_lock LINKED_AS("hak_arena_lock"); /* for fork; as is the next */
/* One thread purges at a time; held while memory is given back. */
extern struct lock purge_lock LINKED_AS("hak_purge_lock");

#endif
