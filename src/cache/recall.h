/* recall.h - reaching a thread that makes no visit.
 *
 * Uses: heap, os. Callers: service, under heap->lock. Locks: none of its own.
 *
 * A bin belongs to its thread, and the hit paths take no lock. But they begin with one load, of heap_self. Who has the
 * heap's lock may put heap_called in its place: then the thread's next call does not hit, and visits.
 *
 *   heap_self   &heap->front --- heap_recall() --> &heap_called --- the thread's next call --> &heap->front
 *
 * A thread that sleeps in a system call after that has ended every hit that it had begun, and will begin none before it
 * gets the lock. So its bins may be flushed by who has the lock, unless it is busy: off the hit path, without the lock,
 * and on its way to wait for something.
 *
 * I1  heap_self is &heap_called only for a thread whose heap_mine is a live heap
 */
#ifndef HAK_CACHE_RECALL_H
#define HAK_CACHE_RECALL_H

#include "heap.h"

/* Makes the heap's thread visit with its next call. false = it has no thread, or that is about to change. By the
 * background thread, of a heap that was idle for a round: a thread that ends without giving its heap up takes no lock,
 * and may take its storage along between the look at it and the write. */
INTERNAL bool heap_recall(struct heap *heap);

/* The same. true = the thread sleeps: bins, kept runs and outbox are in nobody's hands as long as the lock is held.
 * Opens a file. Elsewhere it does nothing, and is true of no heap. */
INTERNAL bool heap_sleeps(struct heap *heap);

/* By the heap's thread, around what it does without the lock where it may come to wait. */
ALWAYS_INLINE void heap_set_busy(struct heap *heap, bool busy)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    store_release(&heap->busy, busy); /* the end pairs with heap_sleeps() */
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

/* By the background thread, when it begins and ends. */
INTERNAL void heap_allow_files(bool allowed);

#endif
