/* sparse.h - gives back pages inside slabs that only free blocks lie on, by date or on demand.
 *
 * Uses: heap, option. Callers: service (reclaim). No lock may be held.
 * Locks: RANK_SPARSE for the length of a call; inside it one heap's at a time, of which a step only tries.
 *
 * A pass looks once at each class of each heap. A class that was idle, since nobody allocated or freed blocks of it for
 * a tick (half of purge_delay) or more, is *swept*: heap_purge_slab() for all its slabs that have free blocks. It is
 * then left alone until somebody has used it and stopped again.
 */
#ifndef HAK_CACHE_SPARSE_H
#define HAK_CACHE_SPARSE_H

#include "../os/lock.h"

/* A hint without a lock: the process has so much memory that a pass may find something. */
INTERNAL bool sparse_is_due(void);

/* Begins a pass unless one is under way, or goes on with it for about 0.1 ms, and tells whether more is left. One pass
 * a tick, or idle time is not what it should be. Does not wait: false = another thread is at it, nothing was done. */
INTERNAL bool sparse_step(bool begin, bool *more);

/* Sweeps every class of all heaps at once, idle or not. Returns bytes given back. */
INTERNAL size_t sparse_purge_all(void);

/* A hint: the last pass found nothing but what it had swept before, so there is nothing to do until some thread calls
 * malloc or free. */
INTERNAL bool sparse_is_quiet(void);

extern struct lock sparse_lock LINKED_AS("hak_sparse_lock"); /* for fork */

#endif
