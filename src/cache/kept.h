/* kept.h - the runs that a thread freed last wait for its next blocks of as many units.
 *
 * Uses: heap, large. Callers: front, bin, flush, stats.
 * Locks: none. Kept runs are in the hands of who may use the bins: their thread without the lock, or under it who has
 *        recalled that thread. So until the books are right again nothing waits, and nothing outside of the library is
 *        called: a thread that a signal has stopped there looks like one that is done.
 *
 *   program <-> kept_run[0 ... kept_count - 1], the last is the latest -> arena
 *
 * A kept run has the tags of a block, and its record says that it is none.
 */
#ifndef HAK_CACHE_KEPT_H
#define HAK_CACHE_KEPT_H

#include "../space/large.h"
#include "heap.h"

/* What a heap may keep: KEPT_UNITS, less beside a limit; shared. */
extern uint32_t kept_units_most LINKED_AS("hak_kept_units_most");

/* Where there is no place: the oldest go to the arena. */
INTERNAL void heap_displace_runs(struct heap *heap, struct kept_run run);

/* A run of KEPT_LONG units or more was looked for in vain. Those of other lengths go to the arena, unless the last one
 * was looked for in vain, too. */
INTERNAL void heap_want_run(struct heap *heap, unsigned units);

/* All go to the arena. */
INTERNAL void heap_release_runs(struct heap *heap);

/* Checks heap I5. NULL = it holds. */
INTERNAL const char *heap_verify_runs(const struct heap *heap);

ALWAYS_INLINE void heap_push_run(struct heap *heap, struct kept_run run)
{
    heap->kept_run[heap->kept_count++] = run;
    store_relaxed(&heap->kept_units, heap->kept_units + run.units);
}

ALWAYS_INLINE struct kept_run heap_remove_run(struct heap *heap, unsigned place)
{
    struct kept_run run = heap->kept_run[place];
    heap->kept_count--;
    store_relaxed(&heap->kept_units, heap->kept_units - run.units);
    for (; unlikely(place < heap->kept_count); place++) {
        heap->kept_run[place] = heap->kept_run[place + 1];
        __atomic_signal_fence(__ATOMIC_SEQ_CST); /* no memmove() of libc */
    }
    return run;
}

/* Frees a run. false = p is not the start of a live one that is worth keeping. calloc's are not: calloc takes none,
 * since what the last block has not touched would become resident. */
ALWAYS_INLINE bool heap_keep_run(struct heap *heap, const void *p, struct tag tag)
{
    struct large *l = large_live_run(p, tag);
    uint32_t most = load_relaxed(&kept_units_most);
    if (unlikely(!l || l->zeroed || l->units > most)) return false;
    if (l->units >= KEPT_LONG && l->units != heap->kept_wanted) return false;
    struct kept_run run = {.record = tag.record, .units = l->units};
    size_t size = large_retire(l);
    counter_add(&heap->runs.live, 0 - size);
    counter_add(&heap->runs.slack, size - run.units * (size_t)UNIT_SIZE);
    counter_add(&heap->runs.frees, 1);
    if (unlikely(heap->kept_count == KEPT_RUNS || heap->kept_units + run.units > most))
        heap_displace_runs(heap, run);
    else
        heap_push_run(heap, run);
    return true;
}

/* A block in the latest kept run that has as many units. NULL = there is none. */
ALWAYS_INLINE void *heap_take_run(struct heap *heap, size_t size)
{
    unsigned units = large_units(size);
    for (unsigned place = heap->kept_count; place-- > 0;) {
        if (heap->kept_run[place].units != units) continue;
        struct large *l = large_at(heap_remove_run(heap, place).record);
        size_t usable = large_reuse(l, size);
        counter_add(&heap->runs.live, usable);
        counter_add(&heap->runs.slack, units * (size_t)UNIT_SIZE - usable);
        counter_add(&heap->runs.mallocs, 1);
        heap->kept_run_used = true;
        return (void *)l->start;
    }
    if (units >= KEPT_LONG) heap_want_run(heap, units);
    return NULL;
}

#endif
