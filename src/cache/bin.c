/* bin.c - visits of the slow side: account, refill, flush. See heap.h.
 *
 * Uses: heap, inbox, slab, tagmap, option. Locks: heap->lock for the length of a visit.
 *
 * A visit finds out from the budget how many calls the hit paths served, does what is due, and sets the
 * budget anew. Capacities adapt: a bin that was refilled and overflows again was too small for what
 * the thread does, so it doubles.
 */
#include "heap.h"

#include "../diag/error.h"
#include "../diag/message.h"
#include "inbox.h"

enum { CAPACITY_BYTES = 64 * 1024, CAPACITY_MIN = 8, CAPACITY_MAX = 2048 };
enum { REFILL_BYTES = 16 * 1024, GROWN_BYTES = 2048 * 1024, GROWN_MAX = 4096, GROWN_MIN = 16 };
enum { LEFT_MAX = 0xc000 }; /* more than a refill and a budget can make */

uint32_t cache_epoch;

static uint64_t make_budget(uint32_t room, uint32_t left)
{
    return (uint64_t)room << BIN_LEFT_BITS | left;
}

void bin_account(struct heap *heap, unsigned class)
{
    struct heap_class *c = &heap->class[class];
    uint64_t budget = heap->front.bin[class].budget;
    uint32_t left = (uint32_t)(budget & ((1u << BIN_LEFT_BITS) - 1));
    uint32_t room = (uint32_t)(budget >> BIN_LEFT_BITS);
    int32_t frees = (int32_t)(c->room_set - room); /* -1: a push that failed was seen before it was undone */
    int32_t mallocs = (int32_t)(c->left_set + (uint32_t)frees - left);
    counter_add(&c->frees, (uint64_t)(int64_t)frees);
    counter_add(&c->mallocs, (uint64_t)(int64_t)mallocs);
    c->room_set = room;
    c->left_set = (uint16_t)left;
}

/* Blocks that the bin of a class holds before it has shown that it needs more. */
static uint16_t first_capacity(unsigned class)
{
    uint32_t blocks = CAPACITY_BYTES / class_stride(class);
    if (blocks < CAPACITY_MIN) return CAPACITY_MIN;
    return blocks > CAPACITY_MAX ? CAPACITY_MAX : (uint16_t)blocks;
}

/* Gives the bin its budget for the time to the next visit. Call bin_account() first. */
static void bin_set(struct heap *heap, unsigned class, void *head, uint32_t left)
{
    struct heap_class *c = &heap->class[class];
    struct bin *bin = &heap->front.bin[class];
    uint32_t least = c->capacity / 2u;
    uint32_t room = c->capacity > left ? c->capacity - left : 0;
    if (room < least) room = least;
    bin->head = head;
    store_relaxed(&bin->budget, make_budget(room, left));
    c->left_set = (uint16_t)left;
    c->room_set = room;
}

/* ---- flush ---- */

/* The slab of a block that a bin of `class` may hold, or NULL. */
static struct slab *slab_of(struct tag tag, const void *block, unsigned class)
{
    if (tag_offset(tag) != bin_offset(class)) return NULL;
    struct slab *s = slab_at(tag.record);
    return slab_is_block(s, block) ? s : NULL;
}

/* Blocks from the head of `list` that lie in the same slab of this heap, at most `limit`. Moves *list on. */
static struct chain cut_chain(void **list, struct slab *s, struct tag tag, uint32_t limit)
{
    struct chain chain = {.first = *list, .last = *list, .count = 1};
    *list = link_get(*list);
    while (chain.count < limit && *list && tagmap_get(*list).record == tag.record && slab_is_block(s, *list)) {
        chain.last = *list;
        chain.count++;
        *list = link_get(*list);
    }
    return chain;
}

/* Gives a list of `count` blocks back, neighbours of one slab together. Slabs that the heap gave up while
 * it was parked have other owners. A list that is not what its count says has been written to or holds a block
 * twice: what cannot be trusted is left alone. */
static void flush_list(struct heap *heap, unsigned class, void *list, uint32_t count)
{
    while (count > 0) {
        struct tag tag = tagmap_get(list);
        struct slab *s = list ? slab_of(tag, list, class) : NULL;
        if (!s) break;
        if (tag_owner(tag) == heap->front.id) {
            struct chain chain = cut_chain(&list, s, tag, count);
            count -= chain.count;
            heap_give(heap, s, chain);
        } else {
            void *block = list;
            list = link_get(block);
            count--;
            outbox_return(heap, block, tag);
        }
    }
    if (count > 0 || list) error_report(ERROR_corrupted_list, list, class_stride(class));
}

/* Keeps the first `keep` blocks, the warm ones. Call bin_account() first. */
static void bin_flush(struct heap *heap, unsigned class, uint32_t keep)
{
    struct bin *bin = &heap->front.bin[class];
    uint32_t left = heap->class[class].left_set;
    if (left <= keep) return;
    void *rest = bin->head;
    void *last_kept = NULL;
    for (uint32_t i = 0; i < keep; i++) {
        last_kept = rest;
        rest = link_get(rest);
        if (!rest) break;
    }
    if (last_kept)
        link_set(last_kept, NULL);
    else
        bin->head = NULL;
    bin_set(heap, class, bin->head, keep);
    flush_list(heap, class, rest, left - keep);
}

void heap_flush_bins(struct heap *heap)
{
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        bin_account(heap, c);
        bin_flush(heap, c, 0);
    }
}

/* A list that ends before or after its count was written to, or holds a block twice: nothing in it can be
 * trusted, so all of it is left alone. Call bin_account() first. */
static void bin_distrust(struct heap *heap, unsigned class)
{
    struct bin *bin = &heap->front.bin[class];
    uint32_t left = heap->class[class].left_set;
    bool runs_on = left > LEFT_MAX; /* it was counted below zero */
    if (likely((bin->head == NULL) == (left == 0) && !runs_on)) return;
    error_report(ERROR_corrupted_list, bin->head, class_stride(class));
    bin_set(heap, class, NULL, 0);
}

/* ---- what every visit does ---- */

static void follow_epoch(struct heap *heap)
{
    heap->epoch = load_relaxed(&cache_epoch);
    heap_flush_bins(heap);
    outbox_post_all(heap);
    heap_release_empty(heap);
}

static void visit_duties(struct heap *heap)
{
    if (unlikely(heap->epoch != load_relaxed(&cache_epoch))) follow_epoch(heap);
    if (inbox_has_mail(heap) && option_get(OPTION_drain)) inbox_drain(heap);
}

COLD static void check_after_visit(struct heap *heap, unsigned class)
{
    const char *broken = NULL;
    struct heap_class *c = &heap->class[class];
    for (unsigned place = SLAB_PARTIAL; !broken && place < SLAB_PLACES; place++)
        for (struct list *i = list_first(&c->slabs[place]); !broken && i != &c->slabs[place]; i = i->next)
            broken = slab_verify(container_of(i, struct slab, link));
    if (!broken) broken = heap_verify_bins(heap);
    if (broken) message_fatal("%s (class %u, heap %u)", broken, class, heap->front.id);
}

/* ---- malloc ---- */

static uint32_t refill_want(const struct heap_class *c, unsigned class)
{
    if (!option_get(OPTION_batch_refill)) return 1;
    uint32_t want = REFILL_BYTES / class_stride(class);
    if (want > c->capacity / 2u) want = c->capacity / 2u;
    return want > 0 ? want : 1;
}

static void bin_refill(struct heap *heap, unsigned class)
{
    struct heap_class *c = &heap->class[class];
    if (c->capacity == 0) c->capacity = first_capacity(class);
    struct chain chain = heap_take(heap, class, refill_want(c, class));
    if (chain.count == 0 && inbox_has_mail(heap)) { /* only without HAKMEM_DRAIN */
        inbox_drain(heap);
        chain = heap_take(heap, class, 1);
    }
    if (chain.count == 0) return;
    link_set(chain.last, NULL);
    bin_set(heap, class, chain.first, chain.count);
    c->refilled = true;
}

static void *bin_pop(struct bin *bin)
{
    void *p = bin->head;
    if (!p) return NULL; /* memory is out */
    bin->head = link_get(p);
    store_relaxed(&bin->budget, bin->budget - 1);
    return p;
}

void *heap_malloc_visit(struct heap *heap, unsigned class)
{
    lock_acquire(&heap->lock);
    bin_account(heap, class);
    bin_distrust(heap, class);
    visit_duties(heap);
    if (!heap->front.bin[class].head) bin_refill(heap, class); /* a heap that was parked comes with full bins */
    void *p = bin_pop(&heap->front.bin[class]);
    if (unlikely(checked || option_get(OPTION_failfast))) check_after_visit(heap, class);
    lock_release(&heap->lock);
    return p;
}

/* The common heap keeps no bins: its slabs may be adopted at any time. */
void *heap_common_malloc(unsigned class)
{
    lock_acquire(&heap_common->lock);
    struct chain chain = heap_take(heap_common, class, 1);
    counter_add(&heap_common->class[class].mallocs, chain.count);
    lock_release(&heap_common->lock);
    return chain.count > 0 ? chain.first : NULL;
}

/* ---- free ---- */

static void capacity_adapt(struct heap_class *c, unsigned class)
{
    uint32_t limit = GROWN_BYTES / class_stride(class);
    if (limit < GROWN_MIN) limit = GROWN_MIN;
    if (limit > GROWN_MAX) limit = GROWN_MAX;
    if (c->refilled && c->capacity * 2u <= limit) c->capacity = (uint16_t)(c->capacity * 2);
    c->refilled = false;
}

void heap_free_visit(struct heap *heap, unsigned class, void *p)
{
    struct heap_class *c = &heap->class[class];
    struct bin *bin = &heap->front.bin[class];
    lock_acquire(&heap->lock);
    store_relaxed(&bin->budget, bin->budget - (uint64_t)(int64_t)BIN_PUSH); /* it did not happen */
    bin_account(heap, class);
    bin_distrust(heap, class);
    visit_duties(heap);
    if (c->capacity == 0) c->capacity = first_capacity(class); /* the bin's first call is a free */
    if (c->left_set >= c->capacity) {
        capacity_adapt(c, class);
        bin_flush(heap, class, c->capacity / 2u);
    }
    bin_set(heap, class, bin->head, c->left_set);
    link_set(p, bin->head);
    bin->head = p;
    store_relaxed(&bin->budget, bin->budget + (uint64_t)(int64_t)BIN_PUSH);
    if (unlikely(checked || option_get(OPTION_failfast))) check_after_visit(heap, class);
    lock_release(&heap->lock);
}

/* ---- checks ---- */

static const char *verify_bin(const struct heap *heap, unsigned class)
{
    const struct bin *bin = &heap->front.bin[class];
    uint32_t left = bin_left(bin);
    uint32_t count = 0;
    for (const void *b = bin->head; b; b = link_get(b)) {
        if (++count > left) return "heap I1: a bin's list is longer than left";
        if (!slab_of(tagmap_get(b), b, class)) return "heap I1: a bin holds what is no block of its class";
    }
    return count == left ? NULL : "heap I1: a bin's list is shorter than left";
}

COLD const char *heap_verify_bins(struct heap *heap)
{
    const char *broken = NULL;
    for (unsigned c = 0; !broken && c < CLASS_COUNT; c++) broken = verify_bin(heap, c);
    return broken;
}
