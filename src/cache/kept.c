/* kept.c - see kept.h.
 *
 * Uses: heap, large, arena, tagmap. Locks: as kept.h says; the arena's, once the books are right.
 *
 * Runs that go are all taken off the books before the first is given: the arena's lock may be waited for, and a thread
 * that sleeps there has its runs released by who recalls it.
 */
#include "kept.h"

#define COUNTED_MOST ((ptrdiff_t)4 << 20)

uint32_t kept_units_most = KEPT_UNITS;

static void give_run(struct kept_run run)
{
    arena_give(large_at(run.record)->start, run.record, run.units);
}

/* Who frees others' blocks counts below zero, and the arena as much above: neither goes on for ever, since who adds
 * them up looks at one after the other. */
static void hand_over_counts(struct heap *heap)
{
    if ((ptrdiff_t)load_relaxed(&heap->runs.live) <= -COUNTED_MOST) arena_take_counts(&heap->runs);
}

NOINLINE void heap_displace_runs(struct heap *heap, struct kept_run run)
{
    struct kept_run old[KEPT_RUNS];
    unsigned count = 0;
    uint32_t most = load_relaxed(&kept_units_most);
    while (heap->kept_count > 0 && (heap->kept_count == KEPT_RUNS || heap->kept_units + run.units > most))
        old[count++] = heap_remove_run(heap, 0);
    heap_push_run(heap, run);
    while (count > 0) give_run(old[--count]);
    hand_over_counts(heap);
}

NOINLINE void heap_want_run(struct heap *heap, unsigned units)
{
    struct kept_run old[KEPT_RUNS];
    unsigned count = 0;
    bool again = units == heap->kept_missed;
    heap->kept_missed = units;
    heap->kept_wanted = again ? units : 0;
    for (unsigned place = heap->kept_count; !again && place-- > 0;)
        if (heap->kept_run[place].units >= KEPT_LONG) old[count++] = heap_remove_run(heap, place);
    while (count > 0) give_run(old[--count]);
}

void heap_release_runs(struct heap *heap)
{
    struct kept_run old[KEPT_RUNS];
    unsigned count = 0;
    while (heap->kept_count > 0) old[count++] = heap_remove_run(heap, heap->kept_count - 1);
    while (count > 0) give_run(old[--count]);
}

static const char *verify_run(struct kept_run run)
{
    const struct large *l = large_at(run.record);
    if (l->size != 0 || l->units != run.units) return "heap I5: record of a kept run";
    for (unsigned i = 0; i < l->units; i++) {
        struct tag tag = tagmap_get((void *)(l->start + i * (uintptr_t)UNIT_SIZE));
        if (tag_offset(tag) != TAG_RUN || tag.record != run.record) return "heap I5: tag of a kept run";
    }
    return NULL;
}

COLD const char *heap_verify_runs(const struct heap *heap)
{
    uint32_t units = 0;
    const char *broken = NULL;
    for (unsigned i = 0; !broken && i < heap->kept_count; i++) {
        units += heap->kept_run[i].units;
        broken = verify_run(heap->kept_run[i]);
    }
    if (!broken && (units != heap->kept_units || units > KEPT_UNITS)) broken = "heap I5: units of kept runs";
    return broken;
}
