/* purge.c - gives the memory of idle units back to the system.
 *
 * Uses: arena, chunk, os. Callers: through arena_purge(), arena_purge_step(), arena_purge_empty() and
 *       arena_purge_run().
 * Locks: RANK_PURGE throughout; RANK_ARENA to pick units and to put them back, never across a system call.
 *
 * Units being purged count as occupied. They return as zero, or as dirty when the system refused.
 */
#include "../base/bits.h"
#include "arena.h"
#include "chunk.h"

enum {
    PURGE_BATCH = 32,
    PURGE_STEP_UNITS = 128, /* 8 MiB */
    RUN_UNITS_MIN = 128,    /* 8 MiB freed in a row, and as much with memory */
    RUN_UNITS_KEPT = 48,    /* and what a pause keeps */
    RUN_UNIT_MS = 1,        /* between giving back and taking again; either costs some 30 us, so this is some 5 % */
    RUN_PAUSE_MS = 4000,    /* doubles each time */
    RUN_PAUSES_MAX = 4,
};

struct purge_item {
    struct superslab *superslab;
    uint32_t units;
    uint32_t refused; /* of these, could not be purged */
    bool forbid_huge;
};

static bool pass_is_over(void)
{
    if (list_is_empty(&arena.dirty_list)) return true;
    const struct superslab *s = container_of(arena.dirty_list.next, const struct superslab, dirty_link);
    return s->tick == arena.tick; /* looked-at ones go to the end */
}

/* Fills `items` with SuperSlabs not yet looked at in this tick, until they have `units_max` units or more. Under
 * RANK_ARENA. */
static unsigned pick_units(struct purge_item *items, bool all, unsigned units_max)
{
    unsigned count = 0;
    unsigned picked = 0;
    while (count < PURGE_BATCH && picked < units_max && !pass_is_over()) {
        struct superslab *s = container_of(arena.dirty_list.next, struct superslab, dirty_link);
        s->tick = arena.tick;
        list_remove(&s->dirty_link);
        list_push_back(&arena.dirty_list, &s->dirty_link);
        uint32_t units = all ? s->dirty : s->dirty & s->stale;
        if (units) {
            bool forbid = superslab_forget_huge(s);
            items[count++] = (struct purge_item){.superslab = s, .units = units, .forbid_huge = forbid};
            picked += bit_count(units);
            superslab_change(s, s->occupied | units, s->dirty & ~units);
        }
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
        if (s->occupied || !units) continue;
        bool forbid = superslab_forget_huge(s);
        items[count++] = (struct purge_item){.superslab = s, .units = units, .forbid_huge = forbid};
        superslab_change(s, units, s->dirty & ~units);
    }
    return count;
}

/* One call for each stretch of neighbouring units; what is left keeps to small pages, or the system would fill the gaps
 * again. Returns bytes given back. */
static size_t purge_item(struct purge_item *item)
{
    size_t bytes = 0;
    uint32_t left = item->units;
    if (item->forbid_huge) os_allow_huge((void *)item->superslab->base, SUPERSLAB_SIZE, false);
    while (left) {
        unsigned first = lowest_bit(left);
        unsigned count = lowest_bit(~((uint64_t)left >> first));
        void *base = (void *)(item->superslab->base + first * (uintptr_t)UNIT_SIZE);
        if (os_purge(base, count * (size_t)UNIT_SIZE))
            bytes += count * (size_t)UNIT_SIZE;
        else
            item->refused |= bit_run(first, count);
        left &= ~bit_run(first, count);
    }
    return bytes;
}

static void put_back(const struct purge_item *item)
{
    struct superslab *s = item->superslab;
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

static size_t purge_some(bool all, unsigned units_max)
{
    struct purge_item items[PURGE_BATCH];
    unsigned count = pick_units(items, all, units_max);
    return count > 0 ? purge_items(items, count) : 0;
}

size_t arena_purge(bool all)
{
    size_t bytes = 0;
    lock_acquire(&purge_lock);
    lock_acquire(&arena_lock);
    arena.tick++;
    while (!pass_is_over()) bytes += purge_some(all, SUPERSLAB_UNITS * PURGE_BATCH);
    lock_release(&arena_lock);
    lock_release(&purge_lock);
    return bytes;
}

bool arena_purge_step(bool begin, bool *more)
{
    if (!lock_try_peer(&purge_lock)) return false;
    lock_acquire(&arena_lock);
    if (begin) arena.tick++;
    (void)purge_some(false, PURGE_STEP_UNITS);
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

/* ---- long runs of frees ---- */

/* What was given back in runs, and whether that was wrong. Under RANK_PURGE. */
static struct {
    size_t units;          /* given back since half of it was taken again */
    uint64_t clean_units;  /* arena.clean_units at the end of that */
    uint64_t at_ms;        /* and the time */
    unsigned pauses;
    uint64_t pause_end_ms;
} run_purge;

/* What a pause keeps: as much as was taken again. Written under RANK_PURGE, read as a hint. */
static size_t run_kept = RUN_UNITS_KEPT;

/* All dirty units of the SuperSlabs that have some for the longest time. Under RANK_ARENA. */
static unsigned pick_oldest(struct purge_item *items, size_t units_max)
{
    unsigned count = 0;
    size_t picked = 0;
    while (count < PURGE_BATCH && picked < units_max && !list_is_empty(&arena.dirty_list)) {
        struct superslab *s = container_of(arena.dirty_list.next, struct superslab, dirty_link);
        uint32_t units = s->dirty;
        bool forbid = superslab_forget_huge(s);
        items[count++] = (struct purge_item){.superslab = s, .units = units, .forbid_huge = forbid};
        picked += bit_count(units);
        superslab_change(s, s->occupied | units, 0);
    }
    return count;
}

/* The program has taken half of it again. When that was soon, it will do so again, and a pause begins. Under both
 * locks. */
static void look_back_at_run(uint64_t now_ms)
{
    bool again = run_purge.units > 0 && arena.clean_units - run_purge.clean_units >= run_purge.units / 2;
    if (!again) return;
    bool soon = now_ms - run_purge.at_ms < run_purge.units * RUN_UNIT_MS;
    if (soon) {
        if (run_purge.pauses < RUN_PAUSES_MAX) run_purge.pauses++;
        run_purge.pause_end_ms = now_ms + ((uint64_t)RUN_PAUSE_MS << run_purge.pauses);
        store_relaxed(&run_kept, run_kept + run_purge.units);
    } else if (run_purge.pauses > 0) {
        run_purge.pauses--;
    }
    run_purge.units = 0;
}

/* Under both locks. Ends: what is purged is dirty no more, and where nothing can be purged it stops. */
static void purge_oldest(uint64_t now_ms)
{
    struct purge_item items[PURGE_BATCH];
    size_t bytes = 1;
    while (bytes > 0 && arena.dirty_units > run_kept) {
        unsigned count = pick_oldest(items, arena.dirty_units - run_kept);
        bytes = purge_items(items, count);
        run_purge.units += bytes / UNIT_SIZE;
    }
    run_purge.clean_units = arena.clean_units;
    run_purge.at_ms = now_ms;
}

static bool is_worth_a_purge(size_t dirty)
{
    return dirty > load_relaxed(&run_kept) + RUN_UNITS_MIN - RUN_UNITS_KEPT;
}

/* A third of what is held, or the program may only replace one large block by the next. */
bool arena_run_is_long(void)
{
    size_t run = load_relaxed(&arena.run_units);
    size_t dirty = load_relaxed(&arena.dirty_units);
    if (run < RUN_UNITS_MIN || !is_worth_a_purge(dirty)) return false;
    return 3 * run >= load_relaxed(&arena.units) - load_relaxed(&arena.free_units) + dirty;
}

void arena_end_run(void)
{
    store_relaxed(&arena.run_units, 0);
}

void arena_end_pause(uint64_t now_ms)
{
    if (likely(load_relaxed(&run_kept) == RUN_UNITS_KEPT) || !lock_try_peer(&purge_lock)) return;
    if (now_ms >= run_purge.pause_end_ms) {
        store_relaxed(&run_kept, RUN_UNITS_KEPT);
        arena_end_run(); /* of long ago, perhaps */
    }
    lock_release_peer(&purge_lock);
}

static void purge_run(uint64_t now_ms)
{
    if (!lock_try_peer(&purge_lock)) return;
    lock_acquire(&arena_lock);
    look_back_at_run(now_ms);
    purge_oldest(now_ms);
    lock_release(&arena_lock);
    lock_release_peer(&purge_lock);
}

void arena_purge_run(uint64_t now_ms)
{
    if (arena_run_is_long()) purge_run(now_ms);
}

void arena_purge_left(uint64_t now_ms)
{
    if (is_worth_a_purge(load_relaxed(&arena.dirty_units))) purge_run(now_ms);
}
