/* mail.h - for tests of blocks on their way: heaps without threads, and walks that believe no counter.
 *
 * Uses:    unit.h. Callers: inbox_test.c, arrivals.h. One thread acts for several: see be().
 *
 * `me` is this thread's own heap, `owner` another one. Blocks that the program holds are taken from slabs one by
 * one, so that bins hold only what arrived.
 */
#ifndef HAKMEM_TESTS_UNIT_MAIL_H
#define HAKMEM_TESTS_UNIT_MAIL_H

#include "unit.h"

enum { WALK_MAX = 1 << 20 }; /* longer lists have a cycle */

UNUSED static struct heap *me, *owner;

/* The next calls are those of this heap's thread. */
UNUSED static void be(struct heap *heap)
{
    heap_self = &heap->front;
}

UNUSED static struct heap *make_heap(void)
{
    struct heap *heap = new_heap();
    require(heap != NULL);
    heap->state = HEAP_LIVE;
    inbox_open(heap);
    return heap;
}

UNUSED static void start(void)
{
    do_free(do_malloc(1));
    me = my_heap();
    heap_flush_bins(me);
    owner = make_heap();
}

/* A block that the program holds, of a slab of that heap. */
UNUSED static void *take(struct heap *heap, unsigned class)
{
    struct chain chain = heap_take(heap, class, 1);
    require(chain.count == 1);
    heap->class[class].mallocs++;
    return chain.first;
}

UNUSED static void outbox(void *p)
{
    struct tag tag = tagmap_get(p);
    if (!outbox_join(me, p, tag)) outbox_add(me, p, tag);
}

UNUSED static void drain(struct heap *heap)
{
    lock_acquire(&heap->lock);
    inbox_drain(heap);
    lock_release(&heap->lock);
}

/* As the heap's own thread. */
UNUSED static void drain_as(struct heap *heap)
{
    struct heap_front *before = heap_self;
    be(heap);
    drain(heap);
    heap_self = before;
}

UNUSED static struct slab *slab_holding(const void *p)
{
    return slab_at(tagmap_get(p).record);
}

UNUSED static uint64_t kib_waiting(const struct heap *heap)
{
    return heap->inbox >> POINTER_BITS;
}

/* ---- walks ---- */

/* Blocks out of a heap's slabs, of one class. */
UNUSED static uint64_t used_of(struct heap *heap, unsigned class)
{
    uint64_t used = 0;
    for (unsigned place = SLAB_PARTIAL; place < SLAB_PLACES; place++) {
        struct list *head = &heap->class[class].slabs[place];
        for (struct list *l = list_first(head); l != head; l = l->next)
            used += container_of(l, struct slab, link)->used;
    }
    return used;
}

static uint64_t walk_chain(const void *block, const void *last)
{
    uint64_t count = 1;
    for (; block != last; block = link_get(block)) require(block && ++count < WALK_MAX);
    return count;
}

static uint64_t walk_sealed(void *last, unsigned class)
{
    uint64_t count = 0, chains = 0;
    for (; last; last = sealed_next(last)) {
        require(++chains < WALK_MAX);
        if (tag_class(tagmap_get(last)) == class) count += walk_chain(sealed_first(last), last);
    }
    return count;
}

UNUSED static uint64_t inbox_of(const struct heap *heap, unsigned class)
{
    return inbox_has_mail(heap) ? walk_sealed((void *)(heap->inbox & POINTER_MASK), class) : 0;
}

/* Blocks of one class in a heap's inbox, letters and outbox. */
UNUSED static uint64_t mail_of(const struct heap *heap, unsigned class)
{
    uint64_t count = inbox_of(heap, class);
    for (unsigned i = 0; i < LETTERS; i++)
        if (heap->letter[i].owner) count += walk_sealed(heap->letter[i].first, class);
    for (unsigned i = 0; i < OUTBOX_SLOTS; i++) {
        const struct outbox_slot *slot = &heap->outbox[i];
        if (slot->tag && tag_class((struct tag){.word = slot->tag}) == class) count += walk_chain(slot->chain.first, slot->chain.last);
    }
    return count;
}

UNUSED static uint64_t bin_of_heap(const struct heap *heap, unsigned class)
{
    uint64_t count = 0;
    for (const void *b = heap->front.bin[class].head; b; b = link_get(b)) require(++count < WALK_MAX);
    require(count == bin_left(&heap->front.bin[class]), "class %u: %lu in the bin", class, count);
    return count;
}

struct walked {
    uint64_t used, binned, mailed;
    unsigned class;
};

static void walk_heap(struct heap *heap, void *context)
{
    struct walked *w = context;
    w->used += used_of(heap, w->class);
    w->binned += bin_of_heap(heap, w->class);
    w->mailed += mail_of(heap, w->class);
}

UNUSED static struct walked walk_class(unsigned class)
{
    struct walked w = {.class = class};
    heap_each(walk_heap, &w);
    return w;
}

/* The program holds `held` blocks of the class, and the statistics say so. */
#define require_held(class_, held) \
    do { \
        struct stats now; \
        struct walked w = walk_class(class_); \
        require(w.used == (held) + w.binned + w.mailed, "class %u: %lu out of slabs, %lu in bins, %lu in mail", \
                w.class, w.used, w.binned, w.mailed); \
        stats_collect(&now); \
        require(now.class[w.class].cached == w.binned + w.mailed, "class %u: cached %lu, walked %lu + %lu", w.class, \
                now.class[w.class].cached, w.binned, w.mailed); \
    } while (0)

/* All blocks of all classes are home, or in bins. */
#define require_home() \
    do { \
        for (unsigned home = 0; home < CLASS_COUNT; home++) { \
            require_held(home, 0); \
            require(walk_class(home).mailed == 0, "class %u", home); \
        } \
        require_sound(); \
    } while (0)

#endif
