/* heap.c - the slabs of a heap: placing, taking, adopting, retiring, purging. See heap.h.
 *
 * Uses: slab, arena, density, tagmap, inbox, error.
 * Locks: under heap->lock; takes the common heap's to adopt and to orphan.
 */
#include "heap.h"

#include "../base/bits.h"
#include "../diag/error.h"
#include "../diag/message.h"
#include "../space/density.h"
#include "inbox.h"

enum {
    CARVE_BYTES = 4096,
    PURGE_GRANULES_MIN = 2,   /* fewer are not worth a call */
};

/* Classes of which the common heap has slabs to adopt; a hint, read without its lock. */
static uint64_t adoptable;
static uint64_t adoptable_absent; /* the same, of slabs that have nothing but absent blocks to give */

/* Class by class: looking up each entry was a third of what a process executes up to its first block. */
static void fill_table(struct heap_front *front)
{
    const unsigned end = array_length(front->bin_of_size);
    for (unsigned class = 0, i = 0; i < end; class++)
        for (unsigned last = class_size(class) / 8; i <= last && i < end; i++)
            front->bin_of_size[i] = (uint16_t)bin_offset(class);
}

void heap_init(struct heap *heap, uint32_t id)
{
    struct heap_front *front = &heap->front;
    front->owner = (uint16_t)id;
    front->id = id;
    fill_table(front);
    heap->lock.rank = id == HEAP_COMMON ? RANK_COMMON : RANK_HEAP;
    heap->inbox = INBOX_CLOSED;
}

static void tag_slab(const struct slab *s, uint32_t owner)
{
    tagmap_set(slab_units_base(s), s->units, heap_tag(owner) | bin_offset(s->class), s->number);
}

static void count_empty(struct heap_class *class, const struct slab *s, bool was_empty)
{
    bool is_empty = s->used == 0 && s->carved > 0;
    class->empty += (uint32_t)is_empty - (uint32_t)was_empty;
}

static void note_class(uint64_t *classes, unsigned class, bool some)
{
    uint64_t bit = UINT64_C(1) << class;
    if (some && !(load_relaxed(classes) & bit)) or_relaxed(classes, bit);
    if (!some && (load_relaxed(classes) & bit)) and_relaxed(classes, ~bit);
}

static void note_adoptable(const struct heap *heap, unsigned class)
{
    const struct list *lists = heap->class[class].slabs;
    note_class(&adoptable, class, !list_is_empty(&lists[SLAB_PARTIAL]) || !list_is_empty(&lists[SLAB_UNCARVED]));
    note_class(&adoptable_absent, class, !list_is_empty(&lists[SLAB_ABSENT]));
}

/* Puts a slab that has changed where it belongs. New partial slabs come first: their blocks are warm. */
static void heap_place(struct heap *heap, struct slab *s, bool was_empty)
{
    struct heap_class *class = &heap->class[s->class];
    enum slab_place place = slab_place_of(s);
    count_empty(class, s, was_empty);
    if (place == s->place) return;
    if (s->place != SLAB_NOWHERE) list_remove(&s->link);
    list_push_front(&class->slabs[place], &s->link);
    s->place = (uint8_t)place;
    if (heap_is_common(heap)) note_adoptable(heap, s->class);
}

static bool is_empty(const struct slab *s)
{
    return s->used == 0 && s->carved > 0;
}

/* Takes a slab out of the heap's lists. */
static void heap_unplace(struct heap *heap, struct slab *s)
{
    list_remove(&s->link);
    s->place = SLAB_NOWHERE;
    if (is_empty(s)) heap->class[s->class].empty--;
    if (heap_is_common(heap)) note_adoptable(heap, s->class);
}

static struct slab *first_slab(struct heap_class *class, enum slab_place place)
{
    struct list *head = &class->slabs[place];
    return list_is_empty(head) ? NULL : container_of(head->next, struct slab, link);
}

/* ---- getting a slab ---- */

/* true = the program will probably touch each page of the next slab. */
static bool is_dense(struct heap *heap, unsigned class)
{
    if (class_stride(class) <= DENSE_STRIDE_MAX) return true;
    const struct slab *last = first_slab(&heap->class[class], SLAB_FULL);
    bool tells = last && last->fresh == FRESH_EVERYWHERE;
    return density_of_slab(class, tells ? slab_units_base(last) + last->units / 2 * (uintptr_t)UNIT_SIZE : 0);
}

static bool take_span(struct heap *heap, unsigned class, struct span *span)
{
    if (class_units(class) == 1 && heap->reserve_count > 0) {
        *span = heap->reserve[--heap->reserve_count];
        return true;
    }
    return arena_take(class_units(class), is_dense(heap, class), span);
}

static struct slab *new_slab(struct heap *heap, unsigned class)
{
    struct span span;
    if (!take_span(heap, class, &span)) return NULL;
    struct slab *s = slab_init(&span, class);
    tag_slab(s, heap->front.id);
    heap_place(heap, s, false);
    return s;
}

/* From the list of the first place that has one, up to `last`. The tags change while the common lock is held: who frees
 * into an orphan looks at them under it. */
static struct slab *adopt(struct heap *heap, unsigned class, const uint64_t *hint, enum slab_place last)
{
    struct slab *s = NULL;
    if (heap_is_common(heap) || !(load_relaxed(hint) >> class & 1)) return NULL;
    lock_acquire(&heap_common->lock);
    struct list *lists = heap_common->class[class].slabs;
    struct list *from = lists;
    while (list_is_empty(from) && from < &lists[last]) from++;
    if (!list_is_empty(from)) {
        s = container_of(from->next, struct slab, link);
        heap_unplace(heap_common, s);
        tag_slab(s, heap->front.id);
        heap_place(heap, s, false);
    }
    lock_release(&heap_common->lock);
    return s;
}

/* ---- taking blocks ---- */

static void chain_join(struct chain *all, struct chain more)
{
    if (all->count == 0) {
        *all = more;
        return;
    }
    link_set(all->last, more.first);
    all->last = more.last;
    all->count += more.count;
}

/* Blocks to carve at once. In a fresh slab those that begin in the page in which the last one ended, which has memory
 * by now; where a page begins, a single one. So it is the program that touches memory first, and malloc does not wait
 * for it. */
static uint32_t carve_step(const struct slab *s)
{
    size_t bytes = CARVE_BYTES;
    size_t rest = (0 - (uintptr_t)slab_block(s, s->carved)) % os_page_size();
    if (s->fresh && rest < CARVE_BYTES) bytes = rest + s->stride - 1;
    uint32_t blocks = (uint32_t)bytes / s->stride;
    return blocks > 0 ? blocks : 1;
}

static struct chain take_from(struct heap *heap, struct slab *s, uint32_t want)
{
    struct chain chain;
    bool was_empty = is_empty(s);
    if (s->place == SLAB_ABSENT) {
        slab_revive(s);
        heap->class[s->class].revived = true;
    }
    if (slab_free_count(s) > 0) {
        chain = slab_take(s, want);
    } else {
        uint32_t step = carve_step(s);
        chain = slab_carve(s, want < step ? want : step);
    }
    heap_place(heap, s, was_empty);
    return chain;
}

/* Free blocks of partly used slabs first, of several if they have few; else a step of a slab not carved to the end.
 * What has memory, here or among the orphans, comes before what has none; and a hole in a slab that is there anyhow
 * before a whole slab of holes. */
struct chain heap_take(struct heap *heap, unsigned class, uint32_t want)
{
    struct heap_class *c = &heap->class[class];
    struct chain all = {.count = 0};
    struct slab *s;
    while (all.count < want && (s = first_slab(c, SLAB_PARTIAL)))
        chain_join(&all, take_from(heap, s, want - all.count));
    if (all.count > 0) return all;
    s = first_slab(c, SLAB_UNCARVED);
    if (!s) s = adopt(heap, class, &adoptable, SLAB_UNCARVED);
    if (!s) s = first_slab(c, SLAB_ABSENT);
    if (!s) s = adopt(heap, class, &adoptable_absent, SLAB_ABSENT);
    if (!s) s = new_slab(heap, class);
    if (s) all = take_from(heap, s, want);
    return all;
}

COLD void heap_check_slab(struct heap *heap, struct slab *s)
{
    if (!s) return;
    bool was_empty = is_empty(s);
    for (const void *p; (p = slab_find_written(s));) {
        error_report(ERROR_corrupted_list, p, s->stride);
        slab_withdraw(s, slab_index(s, p));
    }
    heap_place(heap, s, was_empty);
}

COLD void heap_check_next(struct heap *heap, unsigned class)
{
    heap_check_slab(heap, first_slab(&heap->class[class], SLAB_PARTIAL));
}

/* ---- giving back ---- */

static void retire(struct heap *heap, struct slab *s)
{
    struct span span = {.base = slab_units_base(s), .record = s->number, .dirty = 1, .present = true};
    unsigned units = s->units;
    heap_unplace(heap, s);
    slab_retire(s);
    if (units == 1 && !heap_is_common(heap) && heap->reserve_count < RESERVE_MAX) {
        tagmap_set(span.base, 1, TAG_FREE, span.record);
        heap->reserve[heap->reserve_count++] = span;
    } else {
        arena_give(span.base, span.record, units);
    }
}

/* One empty slab of a class stays, or retire and take of the same slab would alternate; none of a class that is torn
 * down. */
static bool may_stay(const struct heap *heap, const struct slab *s)
{
    const struct heap_class *c = &heap->class[s->class];
    if (!is_empty(s)) return true;                   /* somebody lives here */
    if (heap_is_common(heap)) return false;          /* nobody will look for it here */
    return c->empty <= 1 && !c->torn_down;           /* the spare */
}

void heap_give(struct heap *heap, struct slab *s, uint32_t index)
{
    bool was_empty = is_empty(s);
    if (unlikely(!slab_give(s, index))) {
        error_report(ERROR_double_free, slab_block(s, index), s->stride);
        return;
    }
    heap_place(heap, s, was_empty);
    if (!may_stay(heap, s)) retire(heap, s);
}

void heap_release_class(struct heap *heap, unsigned class)
{
    struct heap_class *c = &heap->class[class];
    struct list *head = &c->slabs[SLAB_PARTIAL];
    for (struct list *i = list_first(head), *next; c->empty > 0 && i != head; i = next) {
        struct slab *s = container_of(i, struct slab, link);
        next = i->next;
        if (is_empty(s)) retire(heap, s);
    }
}

void heap_release_empty(struct heap *heap)
{
    for (unsigned c = 0; c < CLASS_COUNT; c++) heap_release_class(heap, c);
    while (heap->reserve_count > 0) {
        struct span *span = &heap->reserve[--heap->reserve_count];
        arena_give(span->base, span->record, 1);
    }
}

/* One call for each stretch of neighbours. What the system refuses has its blocks back. Returns bytes given back. */
static size_t purge_granules(struct slab *s, uint32_t granules)
{
    size_t size = slab_granule_size(s);
    size_t bytes = 0;
    slab_make_absent(s, granules);
    while (granules) {
        unsigned first = lowest_bit(granules);
        unsigned count = lowest_bit(~((uint64_t)granules >> first));
        uint32_t stretch = bit_run(first, count);
        if (os_purge((void *)(slab_units_base(s) + first * size), count * size))
            bytes += count * size;
        else
            slab_restore(s, stretch);
        granules &= ~stretch;
    }
    return bytes;
}

size_t heap_purge_slab(struct heap *heap, struct slab *s)
{
    if (is_empty(s)) {
        retire(heap, s); /* the spare of a class that does not use it */
        return 0;
    }
    if (slab_granule_size(s) % os_page_size() != 0) return 0;
    uint32_t granules = slab_find_vacant(s);
    size_t bytes = bit_count(granules) >= PURGE_GRANULES_MIN ? purge_granules(s, granules) : 0;
    heap_place(heap, s, false);
    return bytes;
}

/* Under both locks. */
static void orphan(struct heap *heap, struct slab *s)
{
    heap_unplace(heap, s);
    tag_slab(s, HEAP_COMMON);
    heap_place(heap_common, s, false);
    heap_common->class[s->class].idle = 0; /* there is something to look at again */
}

void heap_orphan_slabs(struct heap *heap)
{
    heap_release_empty(heap);
    lock_acquire(&heap_common->lock);
    for (unsigned c = 0; c < CLASS_COUNT; c++)
        for (unsigned place = SLAB_PARTIAL; place < SLAB_PLACES; place++)
            for (struct slab *s; (s = first_slab(&heap->class[c], (enum slab_place)place));) orphan(heap, s);
    lock_release(&heap_common->lock);
}

static bool has_two(const struct list *head)
{
    return !list_is_empty(head) && head->next != head->prev;
}

void heap_orphan_surplus(struct heap *heap)
{
    bool locked = false;
    for (unsigned c = 0; c < CLASS_COUNT; c++)
        for (struct list *partial = &heap->class[c].slabs[SLAB_PARTIAL]; has_two(partial);) {
            if (!locked) lock_acquire(&heap_common->lock);
            locked = true;
            orphan(heap, container_of(partial->prev, struct slab, link));
        }
    if (locked) lock_release(&heap_common->lock);
}

/* ---- checks ---- */

static const char *verify_slab(const struct heap *heap, const struct slab *s, unsigned class, unsigned place)
{
    for (unsigned i = 0; i < s->units; i++) {
        struct tag tag = tagmap_get((void *)(slab_units_base(s) + i * (uintptr_t)UNIT_SIZE));
        if (tag.record != s->number || tag.word != (heap_tag(heap->front.id) | bin_offset(class)))
            return "heap I2: tag of a slab";
    }
    if (s->class != class || s->place != place || slab_place_of(s) != place)
        return "heap I2: a slab is in the wrong list";
    return slab_verify(s);
}

static const char *verify_class(struct heap *heap, unsigned class)
{
    uint32_t empty = 0;
    for (unsigned place = SLAB_PARTIAL; place < SLAB_PLACES; place++) {
        struct list *head = &heap->class[class].slabs[place];
        for (const struct list *i = list_first(head); i != head; i = i->next) {
            const struct slab *s = container_of(i, const struct slab, link);
            const char *broken = verify_slab(heap, s, class, place);
            if (broken) return broken;
            empty += is_empty(s);
        }
    }
    return empty == heap->class[class].empty ? NULL : "heap I3: number of empty slabs";
}

COLD const char *heap_verify_slabs(struct heap *heap)
{
    const char *broken = NULL;
    for (unsigned c = 0; !broken && c < CLASS_COUNT; c++) broken = verify_class(heap, c);
    return broken;
}

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
