/* reclaim.c - see reclaim.h.
 *
 * Uses: cache, space, option, os. Locks: one heap's at a time.
 */
#include "reclaim.h"

#include "../cache/heap.h"
#include "../cache/inbox.h"
#include "../cache/sparse.h"
#include "../os/os.h"
#include "../space/arena.h"
#include "../space/large.h"

static uint64_t next_tick_ms; /* shared; who moves it does the work */
static uint32_t stage;        /* shared, enum stage: steps are left of it, for anybody */

enum stage { STAGE_NONE = 0, STAGE_ARENA, STAGE_SPARSE_BEGIN, STAGE_SPARSE };

static bool something_to_do(void)
{
    return arena_has_dirty() || large_has_kept() || sparse_is_due();
}

/* true = a tick begins, and this thread has its work. */
static bool tick_is_due(uint64_t delay)
{
    uint64_t now = os_now_ms();
    uint64_t due = load_relaxed(&next_tick_ms);
    uint64_t next = now + (delay >= 2 ? delay / 2 : 1);
    return now >= due && swap_if_acquire(&next_tick_ms, &due, next);
}

/* A step of a pass; first comes the arena's. true = more is left, of this or the next. */
static bool take_step(enum stage now)
{
    bool more;
    enum stage next = STAGE_NONE;
    if (now <= STAGE_ARENA) {
        if (!arena_purge_step(now == STAGE_NONE, &more)) return false;
        next = more ? STAGE_ARENA : sparse_is_due() ? STAGE_SPARSE_BEGIN : STAGE_NONE;
    } else {
        if (!sparse_step(now == STAGE_SPARSE_BEGIN, &more)) return false;
        next = more ? STAGE_SPARSE : STAGE_NONE;
    }
    store_relaxed(&stage, next);
    return next != STAGE_NONE;
}

bool reclaim_poll(void)
{
    enum stage now = load_relaxed(&stage);
    if (now == STAGE_NONE) {
        if (!something_to_do()) return false; /* small programs never look at the clock */
        uint64_t delay = (uint64_t)option_get(OPTION_purge_delay);
        if (!tick_is_due(delay)) return false;
        heap_dissolve_parked();
        (void)large_purge(delay == 0);
        if (delay == 0) (void)arena_purge(true);
    }
    return take_step(now);
}

static void release_heap(struct heap *heap, void *context)
{
    (void)context;
    lock_acquire(&heap->lock);
    inbox_drain(heap); /* before the flush: what arrives may go to bins */
    if (&heap->front == heap_self) {
        heap_flush_bins(heap);
        outbox_post_all(heap);
    }
    heap_release_empty(heap);
    lock_release(&heap->lock);
}

COLD size_t reclaim_units(void)
{
    add_relaxed(&cache_epoch, 1);
    heap_dissolve_parked();
    heap_each(release_heap, NULL);
    return arena_purge(true) + large_purge(true);
}

COLD size_t reclaim_all(void)
{
    size_t bytes = reclaim_units();
    return bytes + sparse_purge_all();
}
