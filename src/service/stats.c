/* stats.c - see stats.h.
 *
 * Uses: cache, space, message. Locks: one heap's at a time; all of them to verify.
 *
 * A class's live blocks are computed twice: from the budgets (allocated less freed) and by walking slabs and
 * bins. The statistics use the walk; stats_verify_counters() compares. What is on its way between heaps is known by
 * counters alone: what was posted by all, read before anything else, less what has arrived.
 */
#include "stats.h"

#include "../base/bits.h"
#include "../cache/fork.h"
#include "../cache/heap.h"
#include "../cache/kept.h"
#include "../diag/message.h"
#include "../space/large.h"

static void add_slab(struct stats *stats, const struct slab *s)
{
    struct stats_class *c = &stats->class[s->class];
    c->slabs++;
    c->blocks += s->capacity;
    c->used += s->used;
    stats->slab_bytes += s->units * (size_t)UNIT_SIZE;
    stats->absent_bytes += bit_count(s->absent) * slab_granule_size(s);
    stats->free_blocks += s->carved - s->used;
}

static void add_class(struct stats *stats, struct heap *heap, unsigned class)
{
    struct heap_class *c = &heap->class[class];
    for (unsigned place = SLAB_PARTIAL; place < SLAB_PLACES; place++)
        for (struct list *i = list_first(&c->slabs[place]); i != &c->slabs[place]; i = i->next)
            add_slab(stats, container_of(i, struct slab, link));
    bin_account(heap, class);
    stats->class[class].cached += c->left_set;
    stats->class[class].mallocs += c->mallocs;
    stats->class[class].frees += c->frees;
    stats->class[class].on_way -= (int64_t)load_relaxed(&c->arrived);
}

static void add_posted(struct heap *heap, void *context)
{
    struct stats *stats = context;
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        uint64_t freed = load_relaxed(&heap->class[c].remote_frees);
        stats->class[c].frees += freed;
        stats->class[c].on_way += (int64_t)(freed + load_relaxed(&heap->class[c].returned));
    }
}

/* Heaps count the blocks in runs that they have kept, the arena all others: one may be below zero. */
static void add_runs(struct stats *stats, size_t live, size_t slack)
{
    stats->run_bytes += live + slack;
    stats->total.live += live;
    stats->total.free_in_slabs += slack;
}

static void add_heap(struct heap *heap, void *context)
{
    struct stats *stats = context;
    lock_acquire(&heap->lock);
    for (unsigned c = 0; c < CLASS_COUNT; c++) add_class(stats, heap, c);
    stats->reserve_bytes += (heap->reserve_count + load_relaxed(&heap->kept_units)) * (size_t)UNIT_SIZE;
    add_runs(stats, load_relaxed(&heap->runs.live), load_relaxed(&heap->runs.slack));
    stats->total.mallocs += load_relaxed(&heap->runs.mallocs);
    stats->total.frees += load_relaxed(&heap->runs.frees);
    if (!heap_is_common(heap) && load_relaxed(&heap->state) == HEAP_LIVE) stats->total.threads++;
    lock_release(&heap->lock);
}

static void add_large(struct stats *stats)
{
    struct large_usage usage;
    large_usage(&usage);
    add_runs(stats, usage.runs.live, usage.runs.slack);
    if ((ptrdiff_t)stats->total.live < 0) stats->total.live = 0; /* a run changed hands between two looks */
    if ((ptrdiff_t)stats->total.free_in_slabs < 0) stats->total.free_in_slabs = 0;
    stats->mapping_bytes = usage.mapping_live + usage.mapping_slack;
    stats->mapping_live = usage.mapping_live;
    stats->mapping_count = usage.mapping_count;
    stats->kept_bytes = usage.kept;
    stats->total.live += usage.mapping_live;
    stats->total.free_in_slabs += usage.mapping_slack;
    stats->total.mallocs += usage.runs.mallocs + usage.mallocs;
    stats->total.frees += usage.runs.frees + usage.frees;
}

static void sum_classes(struct stats *stats)
{
    struct hak_stats *total = &stats->total;
    size_t used = 0;
    for (unsigned i = 0; i < CLASS_COUNT; i++) {
        struct stats_class *c = &stats->class[i];
        if (c->on_way > 0) c->cached += (uint64_t)c->on_way; /* less than 0: posted and arrived between two looks */
        if (c->cached > c->used) c->cached = c->used; /* their slab went to a heap that was read before */
        total->cached += c->cached * class_stride(i);
        used += c->used * class_stride(i);
        total->mallocs += c->mallocs;
        total->frees += c->frees;
    }
    total->live += used - total->cached;
    total->free_in_slabs += stats->slab_bytes - used - stats->absent_bytes;
}

COLD void stats_collect(struct stats *stats)
{
    struct arena_usage arena_sum;
    __builtin_memset(stats, 0, sizeof(*stats));
    heap_each(add_posted, stats);
    heap_each(add_heap, stats);
    add_large(stats);
    sum_classes(stats);
    arena_usage(&arena_sum);
    struct hak_stats *total = &stats->total;
    size_t dirty_bytes = arena_sum.dirty_units * (size_t)UNIT_SIZE;
    stats->arena_bytes = arena_sum.units * (size_t)UNIT_SIZE;
    stats->free_blocks += arena_sum.free_units;
    total->dirty = dirty_bytes + stats->reserve_bytes + stats->kept_bytes;
    total->purged = arena_sum.free_units * (size_t)UNIT_SIZE - dirty_bytes + stats->absent_bytes;
    total->mapped = total->live + total->cached + total->free_in_slabs + total->dirty + total->purged;
    total->records = record_bytes();
}

/* What was counted at two moments may be more than all. */
COLD size_t stats_arena_free(const struct stats *stats)
{
    size_t in_use = stats->total.live - stats->mapping_live;
    return in_use < stats->arena_bytes ? stats->arena_bytes - in_use : 0;
}

/* ---- the screen ---- */

static void print_bytes(const char *name, size_t bytes, const char *meaning)
{
    message_raw("  %-10s %14zu B %9zu MiB  %s\n", name, bytes, bytes >> 20, meaning);
}

static void print_class(const struct stats_class *c, unsigned class)
{
    uint64_t percent = c->blocks ? 100 * (c->used - c->cached) / c->blocks : 0;
    message_raw("  %7u B %10lu %12lu %12lu %8lu%% %14lu %14lu\n", class_stride(class), c->slabs, c->used - c->cached,
                c->cached, percent, c->mallocs, c->frees);
}

COLD void stats_print(void)
{
    struct stats stats;
    stats_collect(&stats);
    const struct hak_stats *t = &stats.total;
    message_raw("hakmem %s statistics: %zu mallocs, %zu frees, %zu threads\n", HAK_VERSION, t->mallocs, t->frees,
                t->threads);
    print_bytes("live", t->live, "blocks that the program holds; sizes are rounded up to their class");
    print_bytes("cached", t->cached, "free blocks in the bins of threads, and on their way to others");
    print_bytes("slabs", t->free_in_slabs, "free blocks in slabs, parts of slabs that were not cut yet, and rounding");
    print_bytes("dirty", t->dirty, "free units and kept mappings, which go back after purge_delay");
    print_bytes("purged", t->purged, "free units that were given back: addresses only");
    print_bytes("mapped", t->mapped, "sum of all above");
    print_bytes("records", t->records, "hakmem's own books: records, heaps");
    message_raw("    class      slabs         live       cached   fullness       mallocs          frees\n");
    for (unsigned c = 0; c < CLASS_COUNT; c++)
        if (stats.class[c].slabs > 0 || stats.class[c].mallocs > 0) print_class(&stats.class[c], c);
}

/* ---- checks ---- */

static bool compare(const char *what, unsigned class, uint64_t counted, uint64_t walked)
{
    if (counted == walked) return true;
    message_print("counter differs: %s of class %u: counted %lu, walked %lu", what, class, counted, walked);
    return false;
}

/* Bins and kept runs of other threads move under the eye of whoever looks. Those of a thread that a fork has left
 * behind may be in the middle of it. */
static bool stands_still(const struct heap *heap)
{
    uint32_t state = load_relaxed(&heap->state);
    return heap_is_common(heap) || heap_is_own(heap) || state == HEAP_FREE || state == HEAP_PARKED;
}

static void look_for_others(struct heap *heap, void *others)
{
    if (!stands_still(heap)) *(bool *)others = true;
}

COLD bool stats_verify_counters(void)
{
    struct stats stats;
    bool others = false;
    bool good = true;
    fork_prepare(); /* every slow side stands still */
    heap_each(look_for_others, &others);
    stats_collect(&stats);
    fork_parent();
    for (unsigned i = 0; i < CLASS_COUNT; i++) {
        const struct stats_class *c = &stats.class[i];
        good &= compare("live blocks", i, c->mallocs - c->frees, c->used - c->cached);
        if (c->on_way < 0) good &= compare("arrived blocks", i, (uint64_t)-c->on_way, 0);
    }
    size_t mappings = stats.mapping_bytes + stats.kept_bytes;
    if (!others) good &= compare("mapped bytes", 0, stats.arena_bytes + mappings, stats.total.mapped);
    if (good) message_print("counters ok");
    return good;
}

struct verdict {
    const char *broken;
};

static void verify_heap(struct heap *heap, void *context)
{
    struct verdict *verdict = context;
    if (!verdict->broken) verdict->broken = heap_verify_slabs(heap);
    if (!verdict->broken && stands_still(heap)) verdict->broken = heap_verify_bins(heap);
    if (!verdict->broken && stands_still(heap)) verdict->broken = heap_verify_runs(heap);
}

COLD const char *stats_verify_all(void)
{
    struct verdict verdict = {NULL};
    fork_prepare(); /* every slow side stands still */
    heap_each(verify_heap, &verdict);
    if (!verdict.broken) verdict.broken = heap_verify_lists();
    if (!verdict.broken) verdict.broken = arena_verify();
    if (!verdict.broken) verdict.broken = large_verify();
    fork_parent();
    return verdict.broken;
}
