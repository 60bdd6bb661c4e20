/* miss.c - what malloc and free do when they do not hit, in the order of likelihood.
 *
 * Uses: cache, arena, large, background, reclaim, pressure, foreign, watched, option, error. Callers: front.h, api.
 * Locks: each step takes and releases its own; none is held between steps.
 */
#include <errno.h>

#include "../cache/inbox.h"
#include "../cache/kept.h"
#include "../cache/recall.h"
#include "../diag/error.h"
#include "../service/background.h"
#include "../service/pressure.h"
#include "../service/reclaim.h"
#include "../space/arena.h"
#include "../space/large.h"
#include "foreign.h"
#include "front.h"
#include "watched.h"

/* The clock is looked at once per POLL_WEIGHT of work: visits and kept runs count 1, other large blocks by what they
 * cost themselves. */
enum { POLL_WEIGHT = 64, RUN_WEIGHT = 8, MAPPING_WEIGHT = POLL_WEIGHT };

enum { FREES_WITHOUT_HEAP = 32 };

/* true = more is left to do. */
static bool follow_clock(void)
{
    if (background_poll() && likely(load_relaxed(&reclaim_request) != REQUEST_MADE)) return false;
    return reclaim_poll();
}

static NOINLINE void poll_now(struct heap *heap)
{
    if (follow_clock()) store_relaxed(&heap->work, heap->work | (POLL_WEIGHT - 1)); /* the next visit, too */
}

/* By a thread that has left its heap, or can have none. */
static NOINLINE void poll_without_heap(void)
{
    if (arena_burst_is_long()) (void)follow_clock();
}

static void poll_sometimes(struct heap *heap, uint32_t weight)
{
    uint32_t before = heap->work;
    store_relaxed(&heap->work, before + weight);
    if (unlikely((before ^ heap->work) >= POLL_WEIGHT || arena_burst_is_long())) poll_now(heap);
}

static NOINLINE void poll_after_kept(struct heap *heap)
{
    if (heap_has_duties(heap)) heap_follow_duties(heap);
    poll_now(heap);
}

/* A kept run was taken or is one now. */
static void count_kept(struct heap *heap)
{
    uint32_t work = heap->work + 1;
    store_relaxed(&heap->work, work);
    if (unlikely(work % POLL_WEIGHT == 0)) poll_after_kept(heap);
}

/* While the heap was made the thread may have slept without a lock, and been called again. Who called then may still be
 * at its bins: heap_attach() waits for that. */
static NOINLINE struct heap *attached_heap(void)
{
    struct heap *heap;
    do heap = heap_attach();
    while (heap && load_relaxed(&heap_self) == &heap_called);
    return heap;
}

/* This thread's heap, attached on its first call; NULL = it can have none. */
static struct heap *own_heap(void)
{
    struct heap_front *self = load_relaxed(&heap_self);
    return likely(self->id != 0) ? heap_of(self) : attached_heap();
}

/* The same, but the first frees of a thread bring it no heap: the C library frees a little behind the last destructor
 * of a thread, and a heap that comes there would be lost. */
static struct heap *heap_to_free(void)
{
    static TLS_INITIAL_EXEC uint8_t frees;
    if (load_relaxed(&heap_self) == &heap_none && frees < FREES_WITHOUT_HEAP) {
        frees++;
        return NULL;
    }
    return own_heap();
}

/* Also for a thread that was called while it slept: what it frees now may be the last for long. */
static void poll_after_large(size_t size)
{
    struct heap *heap = heap_to_free();
    if (likely(heap != NULL))
        poll_sometimes(heap, size > SUPERSLAB_SIZE ? MAPPING_WEIGHT : RUN_WEIGHT);
    else
        poll_without_heap();
}

void front_poll_after_resize(void)
{
    poll_after_large(UNIT_SIZE);
}

/* ---- malloc ---- */

static void *small_malloc(unsigned class)
{
    struct heap *heap = own_heap();
    void *p = NULL;
    if (likely(heap != NULL)) {
        p = heap_malloc_visit(heap, class);
        poll_sometimes(heap, 1);
    } else if (load_acquire(&heap_common)) {
        p = heap_common_malloc(class);
    }
    pressure_poll();
    return p;
}

/* NULL = of the runs that were freed last none has this length. Not for calloc: what the last block has not touched
 * would become resident. */
static void *kept_malloc(size_t size)
{
    struct heap_front *self = load_relaxed(&heap_self);
    if (unlikely(self->id == 0) || size > KEPT_UNITS * UNIT_SIZE) return NULL;
    void *p = heap_take_run(heap_of(self), size);
    if (likely(p)) count_kept(heap_of(self));
    return p;
}

static void *large_malloc(size_t size, size_t alignment, bool zeroed)
{
    struct heap *heap = own_heap();
    if (unlikely(!heap) && !load_acquire(&heap_common)) return NULL; /* not even the tag map */
    if (heap && size > SUPERSLAB_SIZE) heap_release_runs(heap); /* long runs want whole SuperSlabs */
    void *p = large_alloc(size, alignment, zeroed);
    poll_after_large(size);
    pressure_poll();
    return p;
}

static void *class_malloc(unsigned class)
{
    void *block = front_pop(&load_relaxed(&heap_self)->bin[class]);
    return likely(block) ? block : small_malloc(class);
}

static void *any_malloc(size_t size)
{
    return size <= SMALL_SIZE_MAX ? class_malloc(class_of(size)) : large_malloc(size, 1, false);
}

static COLD void *out_of_memory(void)
{
    errno = ENOMEM;
    return NULL;
}

/* What was refused is to be tried again. A large block may want a mapping of its own, which no chunk gives room to. */
static COLD void reclaim_for(size_t size)
{
    (void)reclaim_units();
    if (size > SMALL_SIZE_MAX) (void)arena_release();
}

static COLD void *malloc_again(size_t size)
{
    if (size > PTRDIFF_MAX) return out_of_memory();
    reclaim_for(size);
    void *p = any_malloc(size);
    return p ? p : out_of_memory();
}

/* Where memcheck watches. What front_aligned() has rounded up shows its alignment. */
static COLD void *malloc_watched(size_t size)
{
    return watched_malloc(size, size <= PLAIN_SIZE_MAX ? size & (0 - size) : 1, false);
}

NOINLINE void *front_malloc_miss(size_t size)
{
    if (is_watched()) return malloc_watched(size);
    void *p = size > PTRDIFF_MAX ? NULL : any_malloc(size);
    return likely(p) ? p : malloc_again(size);
}

static NOINLINE void *front_malloc_large(size_t size)
{
    void *p = kept_malloc(size);
    return likely(p) ? p : front_malloc_miss(size);
}

/* Offset of the bin for (size - 1) / MEDIUM_STEP: the steps of classes above TABLE_SIZE_MAX are multiples of it. */
enum { MEDIUM_STEP = 2048 };
#define OFFSET_1(i) (uint16_t)(BIN_OFFSET + CLASS_OF_MEDIUM((long)MEDIUM_STEP * ((i) + 1)) * sizeof(struct bin))
#define OFFSET_4(i) OFFSET_1(i), OFFSET_1(i + 1), OFFSET_1(i + 2), OFFSET_1(i + 3)
#define OFFSET_16(i) OFFSET_4(i), OFFSET_4(i + 4), OFFSET_4(i + 8), OFFSET_4(i + 12)
static const uint16_t medium_bin[SMALL_SIZE_MAX / MEDIUM_STEP] = {OFFSET_16(0), OFFSET_16(16)};

/* The hit path of sizes above TABLE_SIZE_MAX. */
NOINLINE void *front_malloc_medium(size_t size)
{
    if (unlikely(size > SMALL_SIZE_MAX)) return front_malloc_large(size);
    void *block = front_pop(front_bin(load_relaxed(&heap_self), medium_bin[(size - 1) / MEDIUM_STEP]));
    return likely(block) ? block : front_malloc_miss(size);
}

/* ---- calloc and aligned blocks ---- */

static void *large_calloc(size_t size)
{
    if (is_watched()) return watched_malloc(size, 1, true);
    void *p = large_malloc(size, 1, true);
    if (p) return p;
    reclaim_for(size);
    p = large_malloc(size, 1, true);
    return p ? p : out_of_memory();
}

void *front_calloc(size_t count, size_t size)
{
    size_t total;
    if (unlikely(__builtin_mul_overflow(count, size, &total) || total > PTRDIFF_MAX)) return out_of_memory();
    if (total > SMALL_SIZE_MAX) return large_calloc(total);
    void *p = front_malloc(total);
    return likely(p) ? __builtin_memset(p, 0, total) : NULL;
}

static void *try_aligned(size_t alignment, size_t size)
{
    if (size <= SMALL_SIZE_MAX && alignment <= UNIT_SIZE) return class_malloc(class_of_aligned(size, alignment));
    void *p = alignment <= UNIT_SIZE ? kept_malloc(size) : NULL;
    return p ? p : large_malloc(size, alignment, false);
}

void *front_plain_aligned(size_t alignment, size_t size)
{
    if (size > PTRDIFF_MAX || alignment > PTRDIFF_MAX - size) return out_of_memory();
    void *p = try_aligned(alignment, size);
    if (likely(p)) return p;
    reclaim_for(size > alignment ? size : alignment); /* either makes it large */
    p = try_aligned(alignment, size);
    return p ? p : out_of_memory();
}

static NOINLINE void *aligned_miss(size_t alignment, size_t size)
{
    if (is_watched()) return watched_malloc(size, alignment, false);
    if (alignment <= 8 || (alignment == 16 && size > 8)) return front_malloc(size);
    return front_plain_aligned(alignment, size);
}

/* The hit path. The stride of a class below the coloured ones is a multiple of every alignment that its largest request
 * is a multiple of. */
void *front_aligned(size_t alignment, size_t size)
{
    if (likely((alignment | size) < COLOURED_SIZE_MIN)) {
        size_t multiple = align_up(size > 0 ? size : 1, alignment);
        if (likely(multiple <= PLAIN_SIZE_MAX)) return front_malloc(multiple);
    }
    return aligned_miss(alignment, size);
}

/* ---- free ---- */

/* In a window an entry may describe another address, and the unit where a mapping starts can hold the end
 * of somebody else's. */
static bool tag_describes(const void *p, struct tag tag)
{
    uint32_t kind = tag_offset(tag);
    if (kind == TAG_NONE) return false;
    if (kind == TAG_FREE) return !tagmap.windowed || arena_contains(p);
    if (kind < BIN_OFFSET) return large_contains(p, tag);
    if (!tagmap.windowed) return true;
    const struct slab *s = slab_at(tag.record);
    return (uintptr_t)p - slab_units_base(s) < s->units * (uintptr_t)UNIT_SIZE;
}

enum front_kind front_classify(const void *p)
{
    struct tag tag = tagmap_get(p);
    uint32_t kind = tag_offset(tag);
    if (!tag_describes(p, tag)) return large_holds(p) ? FRONT_INTERIOR : FRONT_FOREIGN;
    if (kind == TAG_FREE || kind == TAG_MAPPING_KEPT || large_is_retired(tag)) return FRONT_FREED;
    return front_own_size(p) > 0 ? FRONT_LIVE : FRONT_INTERIOR;
}

/* What free cannot take. */
static COLD void bad_free(void *p)
{
    switch (front_classify(p)) {
    case FRONT_FOREIGN: foreign_free(p); return;
    case FRONT_FREED: error_report(ERROR_double_free, p, 0); return;
    default: error_report(ERROR_invalid_pointer, p, 0); return;
    }
}

/* A visit that has duties is made, whether there is room or not. In a window every free comes here. */
static void own_free(struct heap *heap, uint32_t offset, void *p)
{
    struct bin *bin = front_bin(&heap->front, offset);
    heap_set_busy(heap, true);
    bool pushed = false;
    if (heap_has_duties(heap))
        (void)add_carries(&bin->budget, BIN_PUSH); /* as a push that fails does */
    else
        pushed = front_push(bin, p);
    if (!pushed) heap_free_visit(heap, class_of_offset(offset), p);
    heap_set_busy(heap, false);
    if (!pushed) poll_sometimes(heap, 1);
}

static void slab_free(void *p, struct tag tag)
{
    if (unlikely(!slab_is_block(slab_at(tag.record), p))) {
        bad_free(p);
        return;
    }
    struct heap *heap = heap_to_free();
    if (unlikely(!heap)) {
        inbox_post_block(p, tag);
        poll_without_heap();
    } else if (likely(tag_owner(tag) != heap->front.id)) {
        heap_set_busy(heap, true);
        outbox_add(heap, p, tag);
        heap_set_busy(heap, false);
        poll_sometimes(heap, 1); /* who frees only what is others' makes no other visit */
    } else { /* own: in a window, or just attached, or called */
        own_free(heap, tag_offset(tag), p);
    }
}

static void large_or_bad_free(void *p, struct tag tag)
{
    size_t size = large_usable_size(p, tag);
    if (large_free(p, tag))
        poll_after_large(size);
    else
        bad_free(p);
}

void front_plain_free(void *p)
{
    struct tag tag = tagmap_get(p);
    if (likely(tag_offset(tag) >= BIN_OFFSET) && (likely(!tagmap.windowed) || tag_describes(p, tag)))
        slab_free(p, tag);
    else
        large_or_bad_free(p, tag);
}

/* Who wants no memory kept gets none. false = it is to be given back. */
static bool keep_run(const void *p, struct tag tag)
{
    struct heap_front *self = load_relaxed(&heap_self);
    if (unlikely(self->id == 0) || option_get(OPTION_purge_delay) == 0) return false;
    if (unlikely(!heap_keep_run(heap_of(self), p, tag))) return false;
    count_kept(heap_of(self));
    return true;
}

static NOINLINE void free_slowly(void *p)
{
    struct tag tag = tagmap_get(p);
    if (tag_offset(tag) == TAG_RUN && keep_run(p, tag)) return;
    if (!p) return; /* in a window the entry of NULL can be somebody's */
    if (is_watched())
        watched_free(p);
    else
        front_plain_free(p);
}

/* A block of another heap mostly joins a chain here, in few instructions: the processor waits for the cache lines of
 * what others have written, and looks ahead only so far for the next. Who has a heap is not watched, and no chain waits
 * for oneself: so whatever is not such a block joins none. */
NOINLINE void front_free_miss(void *p)
{
    struct tag tag = tagmap_get(p);
    if (unlikely(tag_offset(tag) < BIN_OFFSET)) {
        if (p) free_slowly(p);
        return;
    }
    if (likely(slab_is_block(slab_at(tag.record), p))) {
        struct heap_front *self = load_relaxed(&heap_self);
        if (likely(self->id != 0)) {
            heap_set_busy(heap_of(self), true);
            bool joined = outbox_join(heap_of(self), p, tag);
            heap_set_busy(heap_of(self), false);
            if (likely(joined)) return;
        }
    }
    free_slowly(p);
}

NOINLINE void front_free_full(void *p, uint64_t offset)
{
    struct heap_front *self = load_relaxed(&heap_self);
    struct heap *heap = likely(self->id != 0) ? heap_of(self) : heap_mine; /* it may have been called since the push */
    heap_set_busy(heap, true);                                             /* the push counts, and did not happen */
    (void)own_heap();
    heap_free_visit(heap, class_of_offset((uint32_t)offset), p);
    heap_set_busy(heap, false);
    poll_sometimes(heap, 1);
}

/* A block may be larger than what was asked for by any factor, since realloc may leave it where
 * it is; but not smaller. What is no block of ours has no size here. */
void front_check_size(const void *p, size_t alignment, size_t size)
{
    size_t usable = p ? front_own_size(p) : 0;
    bool aligned = alignment <= 1 || (uintptr_t)p % alignment == 0;
    if (unlikely(usable > 0 && (size > usable || !aligned))) error_report(ERROR_wrong_size, p, usable);
}

NOINLINE void front_free_sized_miss(void *p, size_t size)
{
    if (option_get(OPTION_failfast)) front_check_size(p, 1, size);
    front_free_miss(p);
}

/* The pointer is good: where the program goes on after the report, the block is freed. */
NOINLINE void front_free_sized_full(void *p, uint64_t offset, size_t size)
{
    if (option_get(OPTION_failfast)) {
        heap_set_busy(heap_mine, true); /* the push counts, and did not happen; a report may wait */
        front_check_size(p, 1, size);
    }
    front_free_full(p, offset);
}

/* ---- asking ---- */

size_t front_own_size(const void *p)
{
    return is_watched() ? watched_size(p) : front_plain_size(p);
}

size_t front_plain_size(const void *p)
{
    struct tag tag = tagmap_get(p);
    if (tag_offset(tag) < BIN_OFFSET) return large_usable_size(p, tag);
    if (!tag_describes(p, tag)) return 0;
    const struct slab *s = slab_at(tag.record);
    return slab_is_block(s, p) ? s->stride : 0;
}

static NOINLINE size_t usable_size_slowly(const void *p)
{
    if (!p) return 0;
    size_t size = front_own_size(p);
    if (size == 0 && front_classify(p) == FRONT_FOREIGN) size = foreign_usable_size(p);
    return size;
}

/* Some programs keep books of all their memory, and ask at each malloc and free. A watched block begins inside of one
 * of ours. */
size_t front_usable_size(const void *p)
{
    struct tag tag = tagmap_get(p);
    if (likely(tag_offset(tag) >= BIN_OFFSET)) {
        const struct slab *s = slab_at(tag.record);
        if (likely(slab_is_block(s, p))) return s->stride;
    }
    return usable_size_slowly(p);
}

bool front_owns(const void *p)
{
    return p && front_own_size(p) > 0;
}
