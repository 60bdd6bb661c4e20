/* purge.c - gives the memory of idle units back to the system.
 *
 * Uses: arena, chunk, os, option. Callers: through arena_purge().
 * Locks: RANK_PURGE throughout; RANK_ARENA to pick units and to put them back, never across a system call.
 *
 * Units being purged count as occupied. They return as zero, or as dirty when the system refused.
 */
#include "../base/bits.h"
#include "arena.h"
#include "chunk.h"

enum { PURGE_BATCH = 32 };

struct purge_item {
    struct superslab *superslab;
    uint32_t units;
    bool refused; /* some unit could not be purged */
};

/* Fills `items` with SuperSlabs not yet looked at in this tick. Under RANK_ARENA. */
static unsigned pick_units(struct purge_item *items, bool all)
{
    unsigned count = 0;
    while (count < PURGE_BATCH && !list_is_empty(&arena.dirty_list)) {
        struct superslab *s = container_of(arena.dirty_list.next, struct superslab, dirty_link);
        if (s->tick == arena.tick) break; /* the rest was seen: looked-at ones go to the end */
        s->tick = arena.tick;
        list_remove(&s->dirty_link);
        list_push_back(&arena.dirty_list, &s->dirty_link);
        uint32_t units = all ? s->dirty : s->dirty & s->stale;
        if (units) {
            items[count++] = (struct purge_item){.superslab = s, .units = units};
            superslab_change(s, s->occupied | units, s->dirty & ~units);
        }
        s->stale = s->dirty;
    }
    return count;
}

/* One call for each stretch of neighbouring units. Returns bytes given back. */
static size_t purge_item(struct purge_item *item)
{
    size_t bytes = 0;
    uint32_t left = item->units;
    while (left) {
        unsigned first = lowest_bit(left);
        unsigned count = lowest_bit(~((uint64_t)left >> first));
        void *base = (void *)(item->superslab->base + first * (uintptr_t)UNIT_SIZE);
        if (os_purge(base, count * (size_t)UNIT_SIZE))
            bytes += count * (size_t)UNIT_SIZE;
        else
            item->refused = true;
        left &= ~bit_run(first, count);
    }
    return bytes;
}

static void put_back(const struct purge_item *item)
{
    struct superslab *s = item->superslab;
    uint32_t dirty = item->refused ? item->units : 0; /* refused in part: all keep what they may hold */
    superslab_change(s, s->occupied & ~item->units, s->dirty | dirty);
}

size_t arena_purge(bool all)
{
    struct purge_item items[PURGE_BATCH];
    size_t bytes = 0;
    unsigned count;
    lock_acquire(&purge_lock);
    lock_acquire(&arena_lock);
    arena.tick++;
    while ((count = pick_units(items, all)) > 0) {
        lock_release(&arena_lock);
        for (unsigned i = 0; i < count; i++) bytes += purge_item(&items[i]);
        lock_acquire(&arena_lock);
        for (unsigned i = 0; i < count; i++) put_back(&items[i]);
    }
    lock_release(&arena_lock);
    lock_release(&purge_lock);
    return bytes;
}
