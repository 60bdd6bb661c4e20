/* reclaim.c - see reclaim.h.
 *
 * Uses: pressure, cache, space, option, os. Locks: one heap's at a time.
 */
#include "reclaim.h"

#include "../cache/heap.h"
#include "../cache/inbox.h"
#include "../cache/recall.h"
#include "../cache/sparse.h"
#include "../os/os.h"
#include "../os/thread.h"
#include "../space/arena.h"
#include "../space/large.h"
#include "pressure.h"

enum { BURST_DELAY_MAX_MS = 10000 }; /* who wants memory kept for longer wants it kept in bursts, too */

uint32_t reclaim_request;

static uint64_t next_tick_ms; /* shared; who moves it does the work */
static uint32_t stage;        /* shared, enum stage: steps are left of it, for anybody */

enum stage { STAGE_NONE = 0, STAGE_ARENA, STAGE_SPARSE_BEGIN, STAGE_SPARSE };

static bool something_to_do(void)
{
    return arena_has_dirty() || large_has_kept() || sparse_is_due();
}

/* true = a tick begins, and this thread has its work. A date further off than a delay that has become shorter would set
 * it is brought forward. */
static bool tick_is_due(uint64_t delay)
{
    uint64_t now = os_now_ms();
    uint64_t due = load_relaxed(&next_tick_ms);
    uint64_t next = now + (delay >= 2 ? delay / 2 : 1);
    if (next < due && swap_if_acquire(&next_tick_ms, &due, next)) return false;
    return now >= due && swap_if_acquire(&next_tick_ms, &due, next);
}

/* What a tick begins with. */
static void start_tick(uint64_t delay)
{
    add_relaxed(&trim_epoch, 1);
    arena_end_pause(os_now_ms());
    heap_dissolve_parked();
    (void)large_purge(delay == 0);
    if (delay == 0) (void)arena_purge(true);
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

/* true = the request was there, and this thread has followed it. Another one that came meanwhile may be followed by
 * another thread, which then says when it is done. */
static bool request_followed(void)
{
    uint32_t made = REQUEST_MADE;
    if (likely(load_relaxed(&reclaim_request) != REQUEST_MADE)) return false;
    uint32_t at_work = os_thread_number() << REQUEST_SHIFT | REQUEST_AT_WORK;
    if (!swap_if_acquire(&reclaim_request, &made, at_work)) return false;
    (void)reclaim_all();
    (void)swap_if_seq(&reclaim_request, &at_work, 0);
    return true;
}

static uint64_t delay_now(void)
{
    return pressure_delay((uint64_t)option_get(OPTION_purge_delay));
}

static void follow_burst(void)
{
    if (delay_now() <= BURST_DELAY_MAX_MS)
        arena_purge_burst(os_now_ms());
    else
        arena_end_burst();
}

/* A tick that is due, or the next step of its pass. true = more is left. */
static bool work_by_date(void)
{
    enum stage now = load_relaxed(&stage);
    if (now == STAGE_NONE) {
        if (!something_to_do()) return false; /* small programs never look at the clock */
        uint64_t delay = delay_now();
        if (!tick_is_due(delay)) return false;
        start_tick(delay);
    }
    return take_step(now);
}

bool reclaim_poll(void)
{
    if (request_followed()) return false;
    bool more = work_by_date();
    if (arena_burst_is_long()) follow_burst(); /* with what a tick has brought home; no other visit may come */
    return more;
}

bool reclaim_has_much(void)
{
    return arena_has_much_dirty() || large_has_much_kept();
}

void reclaim_left(void)
{
    uint64_t now_ms = os_now_ms();
    heap_dissolve_parked();
    if (delay_now() > BURST_DELAY_MAX_MS) return;
    arena_purge_left(now_ms);
    (void)large_purge_left(now_ms);
}

static uint32_t awaited; /* heaps that were not flushed in the last round; by the background thread */

/* Under the heap's lock. */
static void flush_sleeper(struct heap *heap)
{
    if (heap->flushed || !heap_sleeps(heap)) return;
    heap_flush_bins(heap);
    outbox_post_all(heap);
    heap->flushed = true;
}

/* A thread that has not visited since the last look may sleep: what others have freed for it goes to its slabs, and
 * what it keeps for its next visits to the arena. Nobody waits for it, nor it for long. */
static void release_idle_heap(struct heap *heap, void *context)
{
    (void)context;
    uint32_t work = load_relaxed(&heap->work);
    bool idle = load_relaxed(&heap->work_seen) == work;
    store_relaxed(&heap->work_seen, work);
    if (heap_is_common(heap) || load_relaxed(&heap->state) != HEAP_LIVE) return;
    if (idle && heap_bury(heap)) {
        (void)sub_seq(&heap_threads, 1); /* the background thread looks at it next */
        return;
    }
    awaited++;
    if (!idle || !lock_try_peer(&heap->lock)) return;
    inbox_drain(heap);
    flush_sleeper(heap);
    awaited -= heap->flushed;
    heap_release_empty(heap);
    lock_release_peer(&heap->lock);
}

bool reclaim_has_work(void)
{
    return arena_has_dirty() || large_has_kept() || !sparse_is_quiet();
}

bool reclaim_awaits_threads(void)
{
    return awaited > 0 && os_thread_sleep_shows();
}

bool reclaim_round(const uint32_t *stop)
{
    uint64_t delay = delay_now();
    awaited = 0;
    heap_each(release_idle_heap, NULL);
    if (request_followed()) return true;
    start_tick(delay);
    bool more = take_step(STAGE_NONE);
    while (more && !load_relaxed(stop)) more = take_step(load_relaxed(&stage));
    return reclaim_has_work();
}

/* Bins of others are left alone: whose thread sleeps is asked in rounds only, of heaps that were idle for one. */
static void release_heap(struct heap *heap, void *context)
{
    (void)context;
    if (!heap_is_own(heap) && heap_bury(heap)) {
        heap_count_out();
        return;
    }
    lock_acquire(&heap->lock);
    inbox_drain(heap); /* before the flush: what arrives may go to bins */
    if (heap_is_own(heap)) {
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
    for (unsigned turn = 0; turn < 2; turn++) heap_each(release_heap, NULL); /* the first posts, the second takes in */
    return arena_purge(true) + large_purge(true);
}

COLD size_t reclaim_all(void)
{
    size_t bytes = reclaim_units();
    return bytes + sparse_purge_all();
}
