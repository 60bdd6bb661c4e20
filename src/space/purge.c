/* purge.c - gives the memory of idle units back to the system.
 *
 * Uses: arena, chunk, freemap, os. Callers: through arena_purge(), arena_purge_step(), arena_purge_empty(),
 *       arena_purge_burst() and arena_purge_left().
 * Locks: RANK_PURGE throughout; RANK_ARENA to pick units and to put them back, never across a system call.
 *
 * Units being purged count as occupied, those without memory not as held (limit.c). They return as zero, or as dirty
 * when the system refused.
 *
 * The last memory of a SuperSlab goes with one call for all of it, those units included that have none: so the system
 * frees its page table, too (since Linux 6.14). Where there is one, it gives no huge page.
 */
#include "../base/bits.h"
#include "arena.h"
#include "chunk.h"
#include "freemap.h"

enum {
    PURGE_BATCH = 32,
    STEP_NS = 400 * 1000,     /* what a visit may take of a program's time, and a SuperSlab more */
    BURST_UNITS_MIN = 128,    /* 8 MiB freed in a row, and as much with memory */
    BURST_UNITS_KEPT = 48,    /* and what a pause keeps */
    BURST_STEP = 4,           /* units given back for each that was freed, at least */
    BURST_UNIT_MS = 1,        /* between giving back and taking again; either costs some 30 us, so this is some 5 % */
    BURST_PAUSE_MS = 4000,    /* doubles each time */
    BURST_PAUSES_MAX = 4,
};

struct purge_item {
    struct superslab *superslab;
    uint32_t units;   /* occupied meanwhile */
    uint32_t dirty;   /* of these, have memory */
    uint32_t refused; /* of these, could not be purged */
    bool forbid_huge;
};

/* These units of a SuperSlab, all of them dirty, are to be purged. Under RANK_ARENA. */
static struct purge_item pick(struct superslab *s, uint32_t dirty)
{
    bool last = s->occupied == 0 && dirty == s->dirty;
    struct purge_item item = {.superslab = s, .units = last ? UINT32_MAX : dirty, .dirty = dirty};
    item.forbid_huge = superslab_forget_huge(s);
    s->collapsed = false;
    arena.purging_units += bit_count(item.units & ~dirty);
    superslab_change(s, s->occupied | item.units, s->dirty & ~dirty);
    return item;
}

static bool pass_is_over(void)
{
    if (list_is_empty(&arena.dirty_list)) return true;
    const struct superslab *s = container_of(arena.dirty_list.next, const struct superslab, dirty_link);
    return s->tick == arena.tick; /* looked-at ones go to the end */
}

/* Fills `items` with at most `most` SuperSlabs not yet looked at in this tick. Under RANK_ARENA. */
static unsigned pick_units(struct purge_item *items, bool all, unsigned most)
{
    unsigned count = 0;
    while (count < most && !pass_is_over()) {
        struct superslab *s = container_of(arena.dirty_list.next, struct superslab, dirty_link);
        s->tick = arena.tick;
        list_remove(&s->dirty_link);
        list_push_back(&arena.dirty_list, &s->dirty_link);
        uint32_t units = all ? s->dirty : s->dirty & s->stale;
        if (units) items[count++] = pick(s, units);
        s->stale = s->dirty;
    }
    return count;
}

/* The same with SuperSlabs of which nothing is in use, but for their first units, which the next run there will touch;
 * leaves dates alone. */
static unsigned pick_empty(struct purge_item *items)
{
    unsigned count = 0;
    struct list *head = &arena.dirty_list;
    for (struct list *i = list_first(head), *next; count < PURGE_BATCH && i != head; i = next) {
        struct superslab *s = container_of(i, struct superslab, dirty_link);
        next = i->next;
        uint32_t units = s->dirty & ~1u;
        if (!s->occupied && units) items[count++] = pick(s, units);
    }
    return count;
}

/* While all units are here to be purged, nobody uses their maps, or can begin to. */
static void purge_maps(const struct purge_item *item)
{
    struct superslab *s = item->superslab;
    if (item->units != UINT32_MAX || !load_relaxed(&s->has_maps)) return;
    store_relaxed(&s->has_maps, false);
    freemap_purge(s->record, SUPERSLAB_UNITS);
}

/* One call for each stretch of neighbouring units; what is left keeps to small pages, or the system would fill the gaps
 * again. Returns bytes given back. */
static size_t purge_item(struct purge_item *item)
{
    if (item->forbid_huge) os_allow_huge((void *)item->superslab->base, SUPERSLAB_SIZE, false);
    for (uint32_t left = item->units, stretch; left; left &= ~stretch) {
        unsigned first = lowest_bit(left);
        unsigned count = lowest_bit(~((uint64_t)left >> first));
        void *base = (void *)(item->superslab->base + first * (uintptr_t)UNIT_SIZE);
        stretch = bit_run(first, count);
        if (!os_purge(base, count * (size_t)UNIT_SIZE)) item->refused |= item->dirty & stretch;
    }
    purge_maps(item);
    return bit_count(item->dirty & ~item->refused) * (size_t)UNIT_SIZE;
}

static void put_back(const struct purge_item *item)
{
    struct superslab *s = item->superslab;
    arena.purging_units -= bit_count(item->units & ~item->dirty);
    superslab_change(s, s->occupied & ~item->units, s->dirty | item->refused);
}

/* Under both locks; releases RANK_ARENA in between. Returns bytes given back. */
static size_t purge_items(struct purge_item *items, unsigned count)
{
    size_t bytes = 0;
    lock_release(&arena_lock);
    for (unsigned i = 0; i < count; i++) bytes += purge_item(&items[i]);
    lock_acquire(&arena_lock);
    for (unsigned i = 0; i < count; i++) put_back(&items[i]);
    return bytes;
}

static size_t purge_some(bool all, unsigned most)
{
    struct purge_item items[PURGE_BATCH];
    unsigned count = pick_units(items, all, most);
    return count > 0 ? purge_items(items, count) : 0;
}

size_t arena_purge(bool all)
{
    size_t bytes = 0;
    lock_acquire(&purge_lock);
    lock_acquire(&arena_lock);
    arena.tick++;
    while (!pass_is_over()) bytes += purge_some(all, PURGE_BATCH);
    lock_release(&arena_lock);
    lock_release(&purge_lock);
    return bytes;
}

/* A step that began at `start` may go on. */
static bool is_early(uint64_t start)
{
    return os_now_ns() - start < STEP_NS;
}

bool arena_purge_step(bool begin, bool *more)
{
    if (!lock_try_peer(&purge_lock)) return false;
    lock_acquire(&arena_lock);
    if (begin) arena.tick++;
    uint64_t start = os_now_ns();
    do (void)purge_some(false, 1);
    while (!pass_is_over() && is_early(start));
    *more = !pass_is_over();
    lock_release(&arena_lock);
    lock_release_peer(&purge_lock);
    return true;
}

bool arena_purge_empty(void)
{
    struct purge_item items[PURGE_BATCH];
    if (!lock_try_peer(&purge_lock)) return false;
    lock_acquire(&arena_lock);
    unsigned count = pick_empty(items);
    if (count > 0) (void)purge_items(items, count);
    lock_release(&arena_lock);
    lock_release_peer(&purge_lock);
    return count == PURGE_BATCH;
}

/* ---- bursts ---- */

/* What was given back in bursts, and whether that was wrong. Under RANK_PURGE. */
static struct {
    size_t seen;           /* the burst's length when it was looked at last */
    size_t units;          /* given back since half of it was taken again */
    uint64_t clean_units;  /* arena.clean_units at the end of that */
    uint64_t at_ms;        /* and the time */
    unsigned pauses;
    uint64_t pause_end_ms;
} burst_purge;

/* What a pause keeps: as much as was taken again. Written under RANK_PURGE, read as a hint. */
static size_t burst_kept = BURST_UNITS_KEPT;

/* All dirty units of the SuperSlab that has some for the longest time. Under both locks. Returns bytes. */
static size_t purge_oldest(void)
{
    if (list_is_empty(&arena.dirty_list)) return 0;
    struct superslab *s = container_of(arena.dirty_list.next, struct superslab, dirty_link);
    struct purge_item item = pick(s, s->dirty);
    size_t bytes = purge_items(&item, 1);
    burst_purge.units += bytes / UNIT_SIZE;
    return bytes;
}

/* The program has taken half of it again. When that was soon, it will do so again, and a pause begins. Under both
 * locks. */
static void look_back_at_burst(uint64_t now_ms)
{
    bool again = burst_purge.units > 0 && arena.clean_units - burst_purge.clean_units >= burst_purge.units / 2;
    if (!again) return;
    bool soon = now_ms - burst_purge.at_ms < burst_purge.units * BURST_UNIT_MS;
    if (soon) {
        if (burst_purge.pauses < BURST_PAUSES_MAX) burst_purge.pauses++;
        burst_purge.pause_end_ms = now_ms + ((uint64_t)BURST_PAUSE_MS << burst_purge.pauses);
        store_relaxed(&burst_kept, burst_kept + burst_purge.units);
    } else if (burst_purge.pauses > 0) {
        burst_purge.pauses--;
    }
    burst_purge.units = 0;
}

static bool is_worth_a_purge(size_t dirty)
{
    return dirty > load_relaxed(&burst_kept) + BURST_UNITS_MIN - BURST_UNITS_KEPT;
}

/* A third of what is held, or the program may only replace one large block by the next. */
static bool is_long(size_t burst)
{
    size_t used = load_relaxed(&arena.units) - load_relaxed(&arena.free_units);
    return 3 * burst >= used + load_relaxed(&arena.dirty_units);
}

bool arena_burst_is_long(void)
{
    size_t burst = load_relaxed(&arena.burst_units);
    return burst >= BURST_UNITS_MIN && is_worth_a_purge(load_relaxed(&arena.dirty_units)) && is_long(burst);
}

bool arena_burst_is_torn_down(void)
{
    size_t burst = load_relaxed(&arena.burst_units);
    return burst >= BURST_UNITS_MIN && load_relaxed(&burst_kept) == BURST_UNITS_KEPT && is_long(burst);
}

/* What a step gives back however long it takes: some times what was freed since the last one. So little is left when
 * the burst ends, though its first step finds all that had gathered before it was long. Under both locks. */
static size_t step_units(void)
{
    size_t seen = burst_purge.seen;
    size_t burst = burst_purge.seen = load_relaxed(&arena.burst_units);
    return is_long(seen) && burst > seen ? BURST_STEP * (burst - seen) : 0;
}

/* Goes on beyond `least` units until its time is over. Under both locks. Ends: what is purged is dirty no more, and
 * where one SuperSlab more than `refusals` cannot be purged it stops. */
static void purge_down(uint64_t now_ms, size_t least, size_t refusals)
{
    uint64_t start = os_now_ns();
    for (size_t sum = 0; arena.dirty_units > burst_kept && (sum < least || is_early(start));) {
        size_t units = purge_oldest() / UNIT_SIZE;
        if (units == 0 && refusals-- == 0) break;
        sum += units;
    }
    burst_purge.clean_units = arena.clean_units;
    burst_purge.at_ms = now_ms;
}

void arena_end_burst(void)
{
    store_relaxed(&arena.burst_units, 0);
}

void arena_end_pause(uint64_t now_ms)
{
    if (likely(load_relaxed(&burst_kept) == BURST_UNITS_KEPT) || !lock_try_peer(&purge_lock)) return;
    if (now_ms >= burst_purge.pause_end_ms) {
        store_relaxed(&burst_kept, BURST_UNITS_KEPT);
        arena_end_burst(); /* of long ago, perhaps */
    }
    lock_release_peer(&purge_lock);
}

static void purge_burst(uint64_t now_ms, bool all)
{
    if (!lock_try_peer(&purge_lock)) return;
    lock_acquire(&arena_lock);
    look_back_at_burst(now_ms);
    if (all)
        purge_down(now_ms, SIZE_MAX, arena.units / SUPERSLAB_UNITS); /* nobody comes again: once round */
    else
        purge_down(now_ms, step_units(), 0);
    lock_release(&arena_lock);
    lock_release_peer(&purge_lock);
}

void arena_purge_burst(uint64_t now_ms)
{
    if (arena_burst_is_long()) purge_burst(now_ms, false);
}

bool arena_has_much_dirty(void)
{
    return is_worth_a_purge(load_relaxed(&arena.dirty_units));
}

void arena_purge_left(uint64_t now_ms)
{
    if (arena_has_much_dirty()) purge_burst(now_ms, true);
}
