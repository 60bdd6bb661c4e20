/* bin.c - visits of the slow side: account, refill, flush. See heap.h.
 *
 * Uses: heap, inbox, slab, tagmap, option. Locks: heap->lock for the length of a visit.
 *
 * A visit finds out from the budget how many calls the hit paths served, does what is due, and sets the
 * budget anew. Capacities adapt: a bin that was refilled and overflows again was too small for what
 * the thread does, so it doubles. In a long run of frees a bin holds less, and one of larger blocks nothing.
 *
 * A free that visits is examined: is it the start of a block, and is it in the bin already? Hits are not. So the first
 * frees of a class are made visits, and then fewer and fewer: what a program does wrong each time is seen at once, and
 * costs a program that does nothing wrong some ten visits per class.
 */
#include "heap.h"

#include "../diag/error.h"
#include "../diag/message.h"
#include "inbox.h"

enum { CAPACITY_BYTES = 64 * 1024, CAPACITY_MIN = 8, CAPACITY_MAX = 2048, LIMIT_MIN = 32, CAPACITY_VAIN = 64 };
enum { TRIM_BLOCKS = 1024, KEPT_ON_TOP = 32, TEAR_CLASSES = 2 };
enum { REFILL_BYTES = 16 * 1024, GROWN_BYTES = 2048 * 1024, GROWN_MAX = 4096, GROWN_MIN = 16 };
enum { LEFT_MAX = 0xc000 }; /* more than a refill and a budget can make */
enum { EXAMINE_EACH = 4, EXAMINE_VISITS = 10, EXAMINE_BLOCKS = 8, EXAMINE_EVERY = 1024 };

uint32_t cache_epoch;
uint32_t trim_epoch;
static uint32_t grown_bytes = GROWN_BYTES; /* what a bin may grow to; less beside a limit; shared */

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
    c->left_set = (uint16_t)left;
}

/* Blocks that the bin of a class holds before it has shown that it needs more. */
static uint16_t first_capacity(unsigned class)
{
    uint32_t blocks = CAPACITY_BYTES / class_stride(class);
    if (blocks < CAPACITY_MIN) return CAPACITY_MIN;
    return blocks > CAPACITY_MAX ? CAPACITY_MAX : (uint16_t)blocks;
}

/* Pushes up to the next visit, for as long as the frees of a class are examined. */
static COLD uint32_t examined_room(const struct heap_class *c, uint32_t room)
{
    if (c->examined < EXAMINE_EACH) return 0;
    uint32_t most = 1u << 2 * (c->examined - EXAMINE_EACH);
    return room < most ? room : most;
}

/* Gives the bin its budget for the time to the next visit. Call bin_account() first. */
static void bin_set(struct heap *heap, unsigned class, void *head, uint32_t left)
{
    struct heap_class *c = &heap->class[class];
    struct bin *bin = &heap->front.bin[class];
    uint32_t least = c->limit / 2u;
    uint32_t room = c->limit > left ? c->limit - left : 0;
    if (room < least) room = least;
    if (unlikely(c->torn_down)) room = 0;
    if (unlikely(c->examined < EXAMINE_VISITS)) room = examined_room(c, room);
    bin->head = head;
    store_relaxed(&bin->budget, make_budget(room, left));
    c->left_set = (uint16_t)left;
    c->room_set = room;
}

/* ---- flush ---- */

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

/* What a bin holds is not trusted any more, from `where` on. */
static COLD void bin_drop(struct heap *heap, unsigned class, const void *where)
{
    error_report(ERROR_corrupted_list, where, class_stride(class));
    bin_set(heap, class, NULL, 0);
}

/* Where a list of `count` blocks ends too soon, runs on or leads elsewhere; only without a fault `*whole`. */
static const void *list_fault(unsigned class, const void *list, uint32_t count, bool *whole)
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
    if (top > keep) top = keep;
    if (unlikely(option_get(OPTION_on_error) == ON_ERROR_REPORT)) {
        const void *fault = list_fault(class, bin->head, left, &whole);
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

/* Keeps the first `keep` blocks, the warm ones. */
static void bin_flush(struct heap *heap, unsigned class, uint32_t keep)
{
    bin_flush_below(heap, class, keep, keep);
}

/* A list that ends before or after its count was written to, or holds a block twice: nothing in it can be
 * trusted, so all of it is left alone. Call bin_account() first. */
static void bin_distrust(struct heap *heap, unsigned class)
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
}

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
static void follow_trim(struct heap *heap)
{
    uint32_t epoch = load_relaxed(&trim_epoch);
    for (uint32_t blocks = 0; heap->trim_class < CLASS_COUNT; heap->trim_class++) {
        blocks += bin_trim(heap, heap->trim_class);
        if (blocks >= TRIM_BLOCKS) return;
    }
    heap->trim_class = 0;
    heap->trimmed = epoch;
}

/* ---- examining frees ---- */

/* p is in the bin. Where it was freed twice before this, the list is a ring. */
static COLD void report_in_bin(struct heap *heap, unsigned class, const void *p)
{
    bool whole;
    error_report(ERROR_double_free, p, class_stride(class));
    (void)list_fault(class, heap->front.bin[class].head, heap->class[class].left_set, &whole);
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
    if (unlikely(heap->trimmed != load_relaxed(&trim_epoch))) follow_trim(heap);
    if (unlikely(heap->epoch != load_relaxed(&cache_epoch))) follow_epoch(heap);
    if (inbox_has_mail(heap) && option_get(OPTION_drain)) inbox_drain(heap);
}

COLD static void check_class(struct heap *heap, unsigned class)
{
    const char *broken = NULL;
    struct heap_class *c = &heap->class[class];
    for (unsigned place = SLAB_PARTIAL; !broken && place < SLAB_PLACES; place++)
        for (struct list *i = list_first(&c->slabs[place]); !broken && i != &c->slabs[place]; i = i->next)
            broken = slab_verify(container_of(i, struct slab, link));
    if (!broken) broken = heap_verify_bins(heap);
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

/* The first block of what is taken goes to the caller. A single one is neither read nor written: it may have no memory
 * yet. */
static void *bin_refill(struct heap *heap, unsigned class)
{
    struct heap_class *c = &heap->class[class];
    if (c->capacity == 0) c->capacity = first_capacity(class);
    c->limit = c->capacity;
    c->torn_down = false;
    struct chain chain = heap_take(heap, class, refill_want(c, class));
    if (chain.count == 0 && inbox_has_mail(heap)) { /* only without HAKMEM_DRAIN */
        inbox_drain(heap);
        chain = heap_take(heap, class, 1);
    }
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

/* From a bin that is not empty. */
static void *bin_pop(struct bin *bin)
{
    void *p = bin->head;
    bin->head = link_get(p);
    bin_count_pop(bin);
    return p;
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

COLD void bin_bound(size_t bytes)
{
    if (bytes > GROWN_BYTES) bytes = GROWN_BYTES;
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

/* The bin holds what it may. The blocks on top stay for the next few mallocs; those below them, freed lately and still
 * in the cache, are flushed; and what has lain there longest stays untouched. */
static void bin_overflow(struct heap *heap, unsigned class, bool only_frees)
{
    struct heap_class *c = &heap->class[class];
    if (c->refilled)
        capacity_grow(c, class);
    else if (only_frees)
        limit_lower(c, class);
    bin_flush_below(heap, class, KEPT_ON_TOP, c->limit > LIMIT_MIN ? c->limit / 2u : 0);
}

/* A long run of frees is given back, and the program may fall silent after it. One larger block keeps a slab of up to
 * half a MiB; small ones keep as much only together. */
static bool may_be_torn_down(unsigned class)
{
    return class_stride(class) > DENSE_STRIDE_MAX;
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

/* All goes, of other classes as well, and what is freed next, until a malloc wants a class again. Few classes at once,
 * so that no free takes long. */
static COLD void heap_tear_down(struct heap *heap, unsigned class)
{
    if (!heap->class[class].torn_down) heap->tear_class = CLASS_COUNT;
    bin_tear_down(heap, class);
    for (unsigned i = 0; i < TEAR_CLASSES && may_be_torn_down(heap->tear_class - 1u); i++)
        if (!heap->class[--heap->tear_class].torn_down) bin_tear_down(heap, heap->tear_class);
}

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
    if (c->capacity == 0) c->capacity = first_capacity(class); /* the bin's first call is a free */
    bool only_frees = c->mallocs == mallocs;
    bool tears = only_frees && may_be_torn_down(class) && unlikely(arena_run_is_torn_down());
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
