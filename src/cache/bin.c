/* bin.c - visits of the slow side: accounts, budgets, refills, and a look at what is freed. See heap.h.
 *
 * Uses: flush (bin.h), heap, inbox, kept, slab, tagmap, option, error, message.
 * Locks: heap->lock for the length of a visit.
 *
 * A visit finds out from the budget how many calls the hit paths served, does what is due, and sets the
 * budget anew.
 *
 * A free that visits is examined: is it the start of a block, and is it in the bin already? Hits are not. So the first
 * frees of a class are made visits, and then fewer and fewer: what a program does wrong each time is seen at once, and
 * costs a program that does nothing wrong some ten visits per class.
 */
#include "bin.h"

#include "../diag/error.h"
#include "../diag/message.h"
#include "inbox.h"
#include "kept.h"

enum { REFILL_BYTES = 16 * 1024 };
enum { EXAMINE_EACH = 4, EXAMINE_VISITS = 10, EXAMINE_BLOCKS = 8, EXAMINE_EVERY = 1024 };

uint32_t cache_epoch;
uint32_t trim_epoch;

static uint64_t make_budget(uint32_t room, uint32_t left)
{
    return (uint64_t)room << BIN_LEFT_BITS | left;
}

void bin_account(struct heap *heap, unsigned class)
{
    struct heap_class *c = &heap->class[class];
    uint64_t budget = load_relaxed(&heap->front.bin[class].budget);
    uint32_t left = (uint32_t)(budget & ((1u << BIN_LEFT_BITS) - 1));
    uint32_t room = (uint32_t)(budget >> BIN_LEFT_BITS);
    int32_t frees = (int32_t)(c->room_set - room); /* -1: a push that failed was seen before it was undone */
    int32_t mallocs = (int32_t)(c->left_set + (uint32_t)frees - left);
    counter_add(&c->frees, (uint64_t)(int64_t)frees);
    counter_add(&c->mallocs, (uint64_t)(int64_t)mallocs);
    c->room_set = room;
    c->left_set = left;
}

/* Pushes up to the next visit, for as long as the frees of a class are examined. */
static COLD uint32_t examined_room(const struct heap_class *c, uint32_t room)
{
    if (c->examined < EXAMINE_EACH) return 0;
    uint32_t most = 1u << 2 * (c->examined - EXAMINE_EACH);
    return room < most ? room : most;
}

void bin_set(struct heap *heap, unsigned class, void *head, uint32_t left)
{
    struct heap_class *c = &heap->class[class];
    struct bin *bin = &heap->front.bin[class];
    uint32_t least = c->limit / 2u < OVERFLOW_EVERY ? c->limit / 2u : OVERFLOW_EVERY;
    uint32_t room = c->limit > left ? c->limit - left : 0;
    if (room < least) room = least;
    if (unlikely(c->torn_down)) room = 0;
    if (unlikely(c->examined < EXAMINE_VISITS)) room = examined_room(c, room);
    bin->head = head;
    store_relaxed(&bin->budget, make_budget(room, left));
    c->left_set = left;
    c->room_set = room;
}

/* ---- examining frees ---- */

/* p is in the bin. Where it was freed twice before this, the list is a ring. */
static COLD void report_in_bin(struct heap *heap, unsigned class, const void *p)
{
    bool whole;
    error_report(ERROR_double_free, p, class_stride(class));
    (void)bin_list_fault(class, heap->front.bin[class].head, heap->class[class].left_set, &whole);
    if (!whole) bin_set(heap, class, NULL, 0);
}

/* Looks for p among the first blocks of the bin, and for a ring or a wrong link there. true = nothing was found. */
static bool examine_bin(struct heap *heap, unsigned class, const void *p, uint32_t steps)
{
    const void *mark = NULL; /* moved at powers of two: a ring comes back to it */
    const void *b = heap->front.bin[class].head;
    for (; b && steps > 0; steps--) {
        if (unlikely(b == p)) {
            report_in_bin(heap, class, p);
            return false;
        }
        if (unlikely(b == mark || !slab_of(tagmap_get(b), b, class))) {
            bin_drop(heap, class, b);
            return true;
        }
        if ((steps & (steps - 1)) == 0) mark = b;
        b = link_get(b);
    }
    return true;
}

/* A free of p visits. false = p was reported: it must not come into the bin. Since the last visit, `every` times
 * EXAMINE_EVERY frees were made. */
static COLD bool examine_free(struct heap *heap, unsigned class, const void *p, uint32_t every)
{
    struct heap_class *c = &heap->class[class];
    uint32_t steps = c->examined < EXAMINE_VISITS ? EXAMINE_BLOCKS : every;
    const struct slab *s = slab_of(tagmap_get(p), p, class);
    if (option_get(OPTION_failfast))
        c->examined = 0;
    else if (c->examined < EXAMINE_VISITS)
        c->examined++;
    if (unlikely(!s)) {
        error_report(ERROR_invalid_pointer, p, class_stride(class));
        return false;
    }
    uint32_t index = slab_index(s, p);
    if (unlikely(slab_is_free(s, index) || slab_has_absent(s, index))) {
        error_report(ERROR_double_free, p, class_stride(class));
        return false;
    }
    return examine_bin(heap, class, p, steps);
}

COLD void bin_log(const struct heap *heap, unsigned class, const char *step, uint32_t blocks)
{
    message_print("log: heap %u, blocks of %u bytes: %s %u, %u in the bin", heap->front.id, class_stride(class), step,
                  blocks, bin_left(&heap->front.bin[class]));
}

/* ---- what every visit does ---- */

static void follow_epoch(struct heap *heap)
{
    heap->epoch = load_relaxed(&cache_epoch);
    inbox_drain(heap); /* into bins, too */
    heap_flush_bins(heap);
    outbox_post_all(heap);
    heap_release_empty(heap);
}

static void visit_duties(struct heap *heap)
{
    if (unlikely(heap->trimmed != load_relaxed(&trim_epoch))) heap_follow_trim(heap);
    if (unlikely(heap->epoch != load_relaxed(&cache_epoch))) follow_epoch(heap);
    if (inbox_has_mail(heap) && option_get(OPTION_drain)) inbox_drain(heap);
}

COLD void heap_follow_duties(struct heap *heap)
{
    lock_acquire(&heap->lock);
    heap->flushed = false; /* as in a visit */
    visit_duties(heap);
    lock_release(&heap->lock);
}

COLD static void check_class(struct heap *heap, unsigned class)
{
    const char *broken = NULL;
    struct heap_class *c = &heap->class[class];
    for (unsigned place = SLAB_PARTIAL; !broken && place < SLAB_PLACES; place++)
        for (struct list *i = list_first(&c->slabs[place]); !broken && i != &c->slabs[place]; i = i->next)
            broken = slab_verify(container_of(i, struct slab, link));
    if (!broken) broken = heap_verify_bins(heap);
    if (!broken) broken = heap_verify_runs(heap);
    if (broken) message_fatal("%s (class %u, heap %u)", broken, class, heap->front.id);
}

/* HAKMEM_FAILFAST: every call visits, the bin is empty after it, and the slab involved is looked through. In a checked
 * build every slab of the class and every bin, after every visit. */
COLD static void check_after_visit(struct heap *heap, unsigned class, const void *p)
{
    if (option_get(OPTION_failfast)) {
        bin_account(heap, class);
        bin_flush(heap, class, 0);
        struct tag tag = tagmap_get(p);
        if (tag_owner(tag) == heap->front.id) heap_check_slab(heap, slab_of(tag, p, class));
    }
    if (checked) check_class(heap, class);
}

/* ---- malloc ---- */

static uint32_t refill_want(const struct heap_class *c, unsigned class)
{
    if (!option_get(OPTION_batch_refill) || option_get(OPTION_failfast)) return 1;
    uint32_t want = REFILL_BYTES / class_stride(class);
    if (want > c->capacity / 2u) want = c->capacity / 2u;
    return want > 0 ? want : 1;
}

static void bin_count_pop(struct bin *bin)
{
    store_relaxed(&bin->budget, bin->budget - 1);
}

/* From a bin that is not empty. */
static void *bin_pop(struct bin *bin)
{
    void *p = bin->head;
    bin->head = link_get(p);
    bin_count_pop(bin);
    return p;
}

/* The first block of what is taken goes to the caller. A single one is neither read nor written: it may have no memory
 * yet. */
static void *bin_refill(struct heap *heap, unsigned class)
{
    struct heap_class *c = &heap->class[class];
    if (c->capacity == 0) c->capacity = bin_first_capacity(class);
    c->limit = c->capacity;
    c->torn_down = false;
    struct chain chain = heap_take(heap, class, refill_want(c, class));
    if (chain.count == 0 && inbox_has_mail(heap)) { /* it came just now, or HAKMEM_DRAIN is off */
        inbox_drain(heap);
        if (heap->front.bin[class].head) return bin_pop(&heap->front.bin[class]);
        chain = heap_take(heap, class, 1);
    }
    if (unlikely(option_get(OPTION_log))) bin_log(heap, class, "refilled by", chain.count);
    if (chain.count == 0) return NULL; /* memory is out */
    void *rest = NULL;
    if (chain.count > 1) {
        link_set(chain.last, NULL);
        rest = link_get(chain.first);
    }
    bin_set(heap, class, rest, chain.count);
    bin_count_pop(&heap->front.bin[class]);
    c->refilled = true;
    return chain.first;
}

void *heap_malloc_visit(struct heap *heap, unsigned class)
{
    lock_acquire(&heap->lock);
    heap->flushed = false; /* it may have waited for who flushed */
    bin_account(heap, class);
    bin_distrust(heap, class);
    visit_duties(heap);
    if (unlikely(option_get(OPTION_failfast))) heap_check_next(heap, class);
    struct bin *bin = &heap->front.bin[class];
    void *p = bin->head ? bin_pop(bin) : bin_refill(heap, class); /* a heap that was parked comes with full bins */
    if (unlikely(checked || option_get(OPTION_failfast))) check_after_visit(heap, class, p);
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

void heap_free_visit(struct heap *heap, unsigned class, void *p)
{
    struct heap_class *c = &heap->class[class];
    struct bin *bin = &heap->front.bin[class];
    lock_acquire(&heap->lock);
    store_relaxed(&bin->budget, bin->budget - (uint64_t)(int64_t)BIN_PUSH); /* it did not happen */
    uint64_t mallocs = c->mallocs;
    uint64_t frees = c->frees;
    bin_account(heap, class);
    bin_distrust(heap, class);
    uint32_t every = (uint32_t)(c->frees / EXAMINE_EVERY) - (uint32_t)(frees / EXAMINE_EVERY);
    bool examine = every > 0 || c->examined < EXAMINE_VISITS || option_get(OPTION_failfast);
    bool good = likely(!examine) || examine_free(heap, class, p, every);
    visit_duties(heap);
    if (c->capacity == 0) c->capacity = bin_first_capacity(class); /* the bin's first call is a free */
    bool only_frees = c->mallocs == mallocs;
    bool tears = only_frees && class_may_be_torn_down(class) && unlikely(arena_burst_is_torn_down());
    if (!tears) c->torn_down = false;
    if (!only_frees || c->limit == 0) c->limit = c->capacity;
    if (c->left_set >= c->limit && !tears) bin_overflow(heap, class, only_frees);
    void *head = bin->head;
    if (likely(good)) {
        link_set(p, head);
        head = p;
        counter_add(&c->frees, 1);
    }
    bin_set(heap, class, head, c->left_set + good);
    if (tears) heap_tear_down(heap, class);
    if (unlikely(checked || option_get(OPTION_failfast))) check_after_visit(heap, class, p);
    lock_release(&heap->lock);
}
