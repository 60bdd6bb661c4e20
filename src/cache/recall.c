/* recall.c - see recall.h.
 *
 * Uses: heap, thread. Locks: none.
 */
#include "recall.h"

#include "../os/thread.h"

static TLS_INITIAL_EXEC bool may_open_files; /* a thread of the program must not, of which it would know */

void heap_allow_files(bool allowed)
{
    may_open_files = allowed;
}

/* The slot is looked at with care: a thread that ended without its destructors took it along. */
bool heap_recall(struct heap *heap)
{
    struct heap_front *front = &heap->front;
    struct heap_front *now;
    if (!heap->slot || !os_peek(heap->slot, &now, sizeof(now))) return false;
    if (now == front && swap_if_seq(heap->slot, &front, &heap_called)) return true;
    return now == &heap_called;
}

bool heap_sleeps(struct heap *heap)
{
    if (!may_open_files || heap->process != os_process_number()) return false;
    /* In this order. It may wake up in between, and end what it was at: pairs with heap_set_busy(). */
    return heap_recall(heap) && os_thread_sleeps(heap->thread, heap->slot) && !load_acquire(&heap->busy);
}
