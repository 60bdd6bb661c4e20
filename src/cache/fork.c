/* fork.c - see fork.h.
 *
 * Uses: heap, inbox, sparse, arena, large, tagmap, record. Locks: all of them, in rank order.
 */
#include "fork.h"

#include "../space/large.h"
#include "heap.h"
#include "inbox.h"
#include "sparse.h"

static uint32_t depth;        /* calls of fork_prepare() beyond the first; by the thread that holds all locks */

static struct lock *const upper_locks[] = {&purge_lock, &large_lock, &arena_lock, &tagmap_lock, &record_lock};

static void lock_heap(struct heap *heap, void *context)
{
    (void)context;
    if (heap != heap_common) lock_acquire_peer(&heap->lock);
}

static void unlock_heap(struct heap *heap, void *context)
{
    (void)context;
    lock_release_peer(&heap->lock);
}

/* The ranks of heaps are taken together here and nowhere else: everybody else holds one and tries others. */
COLD void fork_prepare(void)
{
    if (lock_is_fork_thread()) {
        depth++;
        return;
    }
    lock_acquire(&registry_lock);
    lock_acquire_peer(&sparse_lock);
    heap_each(lock_heap, NULL);
    if (heap_common) lock_acquire_peer(&heap_common->lock);
    for (unsigned i = 0; i < array_length(upper_locks); i++) lock_acquire_peer(upper_locks[i]);
    store_relaxed(&lock_fork_thread, lock_this_thread());
}

static void unlock_all(void)
{
    store_relaxed(&lock_fork_thread, NULL);
    for (unsigned i = array_length(upper_locks); i > 0; i--) lock_release_peer(upper_locks[i - 1]);
    heap_each(unlock_heap, NULL);
    lock_release_peer(&sparse_lock);
    lock_release(&registry_lock);
}

COLD void fork_parent(void)
{
    if (depth > 0)
        depth--;
    else
        unlock_all();
}

static void bury(struct heap *heap, void *context)
{
    (void)context;
    if (heap == heap_common || load_relaxed(&heap->state) != HEAP_LIVE || heap_is_own(heap)) return;
    lock_acquire(&heap->lock);
    heap_orphan_slabs(heap);
    inbox_close(heap);
    heap->slot = NULL;
    store_relaxed(&heap->state, HEAP_GONE);
    lock_release(&heap->lock);
}

COLD void fork_child(void)
{
    if (depth > 0) {
        depth--;
        return;
    }
    unlock_all();
    heap_each(bury, NULL);
    heap_renumber();
    large_follow_fork();
}
