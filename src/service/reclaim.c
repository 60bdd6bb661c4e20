/* reclaim.c - see reclaim.h.
 *
 * Uses: cache, space, option, os. Locks: one heap's at a time.
 */
#include "reclaim.h"

#include "../cache/heap.h"
#include "../cache/inbox.h"
#include "../os/os.h"
#include "../space/arena.h"
#include "../space/large.h"

static uint64_t next_tick_ms; /* shared; who moves it does the work */

static bool something_to_do(void)
{
    return arena_has_dirty() || large_has_kept();
}

void reclaim_poll(void)
{
    if (!something_to_do()) return; /* small programs never look at the clock */
    uint64_t now = os_now_ms();
    uint64_t due = load_relaxed(&next_tick_ms);
    if (now < due) return;
    uint64_t delay = (uint64_t)option_get(OPTION_purge_delay);
    uint64_t next = now + (delay >= 2 ? delay / 2 : 1);
    if (!swap_if_acquire(&next_tick_ms, &due, next)) return;
    heap_dissolve_parked();
    (void)arena_purge(delay == 0);
    (void)large_purge(delay == 0);
}

static void release_heap(struct heap *heap, void *context)
{
    (void)context;
    lock_acquire(&heap->lock);
    if (&heap->front == heap_self) {
        heap_flush_bins(heap);
        outbox_post_all(heap);
    }
    inbox_drain(heap);
    heap_release_empty(heap);
    lock_release(&heap->lock);
}

COLD size_t reclaim_all(void)
{
    add_relaxed(&cache_epoch, 1);
    heap_dissolve_parked();
    heap_each(release_heap, NULL);
    return arena_purge(true) + large_purge(true);
}
