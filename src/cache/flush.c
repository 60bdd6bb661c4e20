/* flush.c - how blocks leave a bin for their slabs, and how many a bin may hold. See heap.h.
 *
 * Uses: bin.h, heap, inbox, kept, tagmap, option, error.
 * Locks: under heap->lock; called by visits, and by who drains for a heap.
 *
 * Capacities adapt: a bin that was refilled and overflows again was too small for what the thread does, so it doubles.
 * In a burst a bin holds less, and one of larger blocks nothing.
 *
 * A list is given back block by block, and each is looked up: what was written to does not lead astray.
 */
#include "bin.h"

#include "../diag/error.h"
#include "inbox.h"
#include "kept.h"

enum { CAPACITY_BYTES = 64 * 1024, CAPACITY_MIN = 8, CAPACITY_MAX = 2048, LIMIT_MIN = 32, CAPACITY_VAIN = 64 };
enum { GROWN_BYTES = 2048 * 1024, GROWN_MAX = 4096, GROWN_MIN = 16 };
enum { TRIM_BLOCKS = 1024, KEPT_ON_TOP = 32, OVERFLOW_BLOCKS = 2 * OVERFLOW_EVERY, TEAR_CLASSES = 2 };
enum { LEFT_MAX = 0xc000 }; /* more than a refill and a budget can make */

static uint32_t grown_bytes = GROWN_BYTES; /* what a bin may grow to; less beside a limit; shared */

/* Gives the first `count` blocks of a list back, and moves it behind them. Threads that free at random seldom free
 * neighbours of one slab in a row, and most slabs then stay where they are. Slabs that the heap gave up while it was
 * parked have other owners. false = it leads elsewhere, and is left alone from there on. */
static bool flush_list(struct heap *heap, unsigned class, void **list, uint32_t count)
{
    void *block = *list;
    const uint32_t mine = heap_tag(heap->front.id) | bin_offset(class);
    for (; count > 0; count--) {
        struct tag tag = tagmap_get(block); /* of NULL: nobody's */
        if (unlikely(tag_offset(tag) != bin_offset(class))) break;
        struct slab *s = slab_at(tag.record);
        uint32_t index = slab_index(s, block);
        if (unlikely(index == NO_BLOCK)) break;
        void *next = link_get(block);
        if (unlikely(tag.word != mine))
            outbox_return(heap, block, tag);
        else
            heap_give_one(heap, s, index);
        block = next;
    }
    *list = block;
    return count == 0;
}

COLD void bin_drop(struct heap *heap, unsigned class, const void *where)
{
    error_report(ERROR_corrupted_list, where, class_stride(class));
    bin_set(heap, class, NULL, 0);
}

const void *bin_list_fault(unsigned class, const void *list, uint32_t count, bool *whole)
{
    while (count > 0 && slab_of(tagmap_get(list), list, class)) {
        list = link_get(list);
        count--;
    }
    *whole = count == 0 && !list;
    return list;
}

/* Keeps `keep` blocks: the first `top`, and the last ones. Call bin_account() first. A list that is not what its count
 * says has been written to or holds a block twice: what cannot be trusted is left alone. A program that goes on after
 * an error is promised that blocks leak and nothing else: there all of it is looked through before any block is given
 * back. */
static void bin_flush_below(struct heap *heap, unsigned class, uint32_t top, uint32_t keep)
{
    struct bin *bin = &heap->front.bin[class];
    uint32_t left = heap->class[class].left_set;
    bool whole = true;
    if (left <= keep) return;
    if (unlikely(option_get(OPTION_log))) bin_log(heap, class, "flushed", left - keep);
    if (top > keep) top = keep;
    if (unlikely(option_get(OPTION_on_error) == ON_ERROR_REPORT)) {
        const void *fault = bin_list_fault(class, bin->head, left, &whole);
        if (!whole) {
            bin_drop(heap, class, fault);
            return;
        }
    }
    void *rest = bin->head;
    void *last_kept = NULL;
    for (uint32_t i = 0; i < top && tag_offset(tagmap_get(rest)) == bin_offset(class); i++) {
        last_kept = rest;
        rest = link_get(rest);
    }
    if (last_kept)
        link_set(last_kept, NULL);
    else
        bin->head = NULL;
    bin_set(heap, class, bin->head, top);
    whole = flush_list(heap, class, &rest, left - keep);
    if (unlikely(!whole || (rest != NULL) != (keep > top))) {
        error_report(ERROR_corrupted_list, rest, class_stride(class));
    } else if (keep > top) {
        link_set(last_kept, rest);
        bin_set(heap, class, bin->head, keep);
    }
}

void bin_flush(struct heap *heap, unsigned class, uint32_t keep)
{
    bin_flush_below(heap, class, keep, keep);
}

void bin_distrust(struct heap *heap, unsigned class)
{
    struct bin *bin = &heap->front.bin[class];
    uint32_t left = heap->class[class].left_set;
    bool runs_on = left > LEFT_MAX; /* it was counted below zero */
    if (unlikely((bin->head == NULL) != (left == 0) || runs_on)) bin_drop(heap, class, bin->head);
}

void heap_flush_bins(struct heap *heap)
{
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        bin_account(heap, c);
        bin_distrust(heap, c);
        bin_flush(heap, c, 0);
    }
    heap_release_runs(heap);
}

/* ---- trims ---- */

/* A class that was not used since the last trim keeps nothing, others no more than was taken from them. Returns how
 * many blocks went: at most TRIM_BLOCKS, and then there may be more. */
static uint32_t bin_trim(struct heap *heap, unsigned class)
{
    struct heap_class *c = &heap->class[class];
    bin_account(heap, class);
    uint32_t taken = (uint32_t)c->mallocs - c->mallocs_seen;
    uint32_t surplus = c->left_set > taken ? c->left_set - taken : 0;
    if (surplus >= TRIM_BLOCKS) {
        bin_flush(heap, class, c->left_set - TRIM_BLOCKS);
        return TRIM_BLOCKS;
    }
    c->mallocs_seen = (uint32_t)c->mallocs;
    if (surplus == 0) return 0;
    while (c->capacity > CAPACITY_MIN && c->capacity / 2u > taken) c->capacity /= 2;
    c->limit = c->capacity;
    bin_flush(heap, class, taken);
    return surplus;
}

/* Bin by bin, and no visit for long. */
void heap_follow_trim(struct heap *heap)
{
    uint32_t epoch = load_relaxed(&trim_epoch);
    for (uint32_t blocks = 0; heap->trim_class < CLASS_COUNT; heap->trim_class++) {
        blocks += bin_trim(heap, heap->trim_class);
        if (blocks >= TRIM_BLOCKS) return;
    }
    if (!heap->kept_run_used) heap_release_runs(heap);
    heap->kept_run_used = false;
    heap->trim_class = 0;
    heap->trimmed = epoch;
}

/* ---- capacities ---- */

uint16_t bin_first_capacity(unsigned class)
{
    uint32_t blocks = CAPACITY_BYTES / class_stride(class);
    if (blocks < CAPACITY_MIN) return CAPACITY_MIN;
    return blocks > CAPACITY_MAX ? CAPACITY_MAX : (uint16_t)blocks;
}

COLD void bin_bound(size_t bytes)
{
    if (bytes > GROWN_BYTES) bytes = GROWN_BYTES;
    store_relaxed(&kept_units_most, (uint32_t)(bytes / (GROWN_BYTES / KEPT_UNITS)));
    if (bytes < CAPACITY_BYTES) bytes = CAPACITY_BYTES;
    store_relaxed(&grown_bytes, (uint32_t)bytes);
}

static uint32_t capacity_most(unsigned class)
{
    uint32_t most = load_relaxed(&grown_bytes) / class_stride(class);
    if (most < GROWN_MIN) return GROWN_MIN;
    return most > GROWN_MAX ? GROWN_MAX : most;
}

/* The bin was refilled and overflows again. */
static void capacity_grow(struct heap_class *c, unsigned class)
{
    if (c->capacity * 2u <= capacity_most(class)) c->capacity = (uint16_t)(c->capacity * 2);
    c->limit = c->capacity;
    c->refilled = false;
}

/* Nothing but frees since the last visit: half as many blocks may stay. Who tears down a large structure gains
 * nothing by them, and they keep the slabs that they are scattered over from emptying. Where the largest bin was too
 * small by far, a small one does as well, and its blocks are flushed while they are still in the cache. */
static void limit_lower(struct heap_class *c, unsigned class)
{
    if (c->limit <= LIMIT_MIN) return;
    c->limit /= 2;
    if (c->limit <= LIMIT_MIN && c->capacity * 2u > capacity_most(class) && c->capacity > CAPACITY_VAIN)
        c->capacity = CAPACITY_VAIN;
}

void bin_overflow(struct heap *heap, unsigned class, bool only_frees)
{
    struct heap_class *c = &heap->class[class];
    if (c->refilled)
        capacity_grow(c, class);
    else if (only_frees)
        limit_lower(c, class);
    uint32_t keep = c->limit > LIMIT_MIN ? c->limit / 2u : 0;
    bool looks_through = option_get(OPTION_on_error) == ON_ERROR_REPORT; /* at all of the bin, whatever goes */
    if (!looks_through && c->left_set > keep + OVERFLOW_BLOCKS) keep = c->left_set - OVERFLOW_BLOCKS;
    bin_flush_below(heap, class, KEPT_ON_TOP, keep);
}

static COLD void bin_tear_down(struct heap *heap, unsigned class)
{
    struct heap_class *c = &heap->class[class];
    bin_account(heap, class);
    bin_distrust(heap, class);
    if (!c->torn_down) heap_release_class(heap, class);
    c->torn_down = true;
    bin_flush(heap, class, 0);
}

COLD void heap_tear_down(struct heap *heap, unsigned class)
{
    if (!heap->class[class].torn_down) heap->tear_class = CLASS_COUNT;
    bin_tear_down(heap, class);
    for (unsigned i = 0; i < TEAR_CLASSES && class_may_be_torn_down(heap->tear_class - 1u); i++)
        if (!heap->class[--heap->tear_class].torn_down) bin_tear_down(heap, heap->tear_class);
}
