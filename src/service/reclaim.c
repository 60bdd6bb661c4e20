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

enum { RUN_DELAY_MAX_MS = 10000 }; /* who wants memory kept for longer wants it kept in long runs of frees, too */

uint32_t reclaim_request;     /* shared; who takes it does the work */

static uint64_t next_tick_ms; /* shared; who moves it does the work */
static uint32_t pass_open;    /* shared: a pass of the arena has steps left, for anybody */

static bool something_to_do(void)
{
    return arena_has_dirty() || large_has_kept();
}

/* true = a tick begins, and this thread has its work. */
static bool tick_is_due(uint64_t delay)
{
    uint64_t now = os_now_ms();
    uint64_t due = load_relaxed(&next_tick_ms);
    uint64_t next = now + (delay >= 2 ? delay / 2 : 1);
    return now >= due && swap_if_acquire(&next_tick_ms, &due, next);
}

/* What a tick begins with. */
static void start_tick(uint64_t delay)
{
    heap_dissolve_parked();
    (void)large_purge(delay == 0);
    if (delay == 0) (void)arena_purge(true);
}

/* true = the pass has more steps. */
static bool take_step(bool begin)
{
    bool more;
    if (!arena_purge_step(begin, &more)) return false;
    store_relaxed(&pass_open, more);
    return more;
}

/* true = the request was there, and this thread has followed it. */
static bool request_followed(void)
{
    if (likely(load_relaxed(&reclaim_request) == 0) || exchange_relaxed(&reclaim_request, 0) == 0) return false;
    (void)reclaim_all();
    return true;
}

bool reclaim_poll(void)
{
    if (request_followed()) return false;
    bool begin = !load_relaxed(&pass_open);
    if (begin) {
        if (!something_to_do()) return false; /* small programs never look at the clock */
        uint64_t delay = (uint64_t)option_get(OPTION_purge_delay);
        if (delay <= RUN_DELAY_MAX_MS)
            arena_purge_run(os_now_ms());
        else
            arena_end_run();
        if (!tick_is_due(delay)) return false;
        start_tick(delay);
    }
    return take_step(begin);
}

/* A thread that has not visited since the last look may sleep: what others have freed for it goes to its slabs, and
 * what it keeps for its next visits to the arena. Nobody waits for it, nor it for long. */
static void release_idle_heap(struct heap *heap, void *context)
{
    (void)context;
    uint32_t work = load_relaxed(&heap->work);
    bool idle = heap->work_seen == work;
    heap->work_seen = work;
    if (!idle || heap == heap_common || load_relaxed(&heap->state) != HEAP_LIVE) return;
    if (!lock_try_peer(&heap->lock)) return;
    inbox_drain(heap);
    heap_release_empty(heap);
    lock_release_peer(&heap->lock);
}

bool reclaim_round(const uint32_t *stop)
{
    if (request_followed()) return true;
    uint64_t delay = (uint64_t)option_get(OPTION_purge_delay);
    heap_each(release_idle_heap, NULL);
    bool some = something_to_do();
    start_tick(delay);
    bool more = take_step(true);
    while (more && !load_relaxed(stop)) more = take_step(false);
    return some;
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

COLD size_t reclaim_all(void)
{
    add_relaxed(&cache_epoch, 1);
    heap_dissolve_parked();
    heap_each(release_heap, NULL);
    return arena_purge(true) + large_purge(true);
}
