/* whitebox.h - the whole library inside the test, and walks that count its blocks one by one.
 *
 * Uses: every static function of src/, tap. One test program includes it once.
 *
 * The walks believe no counter: free lists, bins, outboxes and sealed chains are followed link by link.
 * They need the process to stand still.
 *
 * heap_self is this thread's heap, so one thread can act for several: be() decides whose calls the next
 * ones are. That makes meetings of threads repeatable, without threads.
 */
#ifndef HAKMEM_TESTS_REGRESS_WHITEBOX_H
#define HAKMEM_TESTS_REGRESS_WHITEBOX_H

#include "../../src/hakmem.c"

#include "../tap.h"
#include "random.h"
#include "sanitized.h"

/* Through these, or the compiler drops pairs of calls. */
TAP_UNUSED static void *(*volatile call_malloc)(size_t) = hak_malloc;
TAP_UNUSED static void (*volatile call_free)(void *) = hak_free;
TAP_UNUSED static void *(*volatile call_realloc)(void *, size_t) = hak_realloc;
TAP_UNUSED static void *(*volatile call_calloc)(size_t, size_t) = hak_calloc;

/* A block in a mapping of its own, whatever the size. A heap must exist. */
TAP_UNUSED static void *malloc_mapping(size_t size)
{
    return mapping_alloc(size, 1, false);
}

/* ---- several heaps in one thread ---- */

/* A heap for a thread that is played by this one. */
TAP_UNUSED static struct heap *heap_enter(void)
{
    heap_self = &heap_none;
    struct heap *heap = heap_attach();
    if (!heap) bail_out("no heap to be had");
    return heap;
}

TAP_UNUSED static void be(struct heap *heap)
{
    heap_self = &heap->front;
}

/* The thread that is played ends, and its slabs become orphans. */
TAP_UNUSED static void heap_leave(struct heap *heap)
{
    detach(heap);
    heap_dissolve_parked();
}

/* ---- counting by walking ---- */

enum { WALK_MAX = 1 << 20 }; /* longer lists have a cycle */

struct census {
    uint64_t slabs;
    uint64_t capacity;
    uint64_t carved;
    uint64_t used;   /* as the slabs say */
    uint64_t free;   /* in slabs */
    uint64_t absent; /* free, and on pages that were given back */
    uint64_t binned;
    uint64_t mailed; /* in outboxes, letters and inboxes */
    const char *broken;
};

TAP_UNUSED static uint64_t walk_links(const void *block)
{
    uint64_t count = 0;
    while (block && ++count < WALK_MAX) block = link_get(block);
    return count;
}

static uint64_t walk_chain(const void *block, const void *last)
{
    uint64_t count = 1;
    for (; block && block != last && count < WALK_MAX; count++) block = link_get(block);
    return block == last ? count : WALK_MAX;
}

static uint64_t walk_sealed(void *last, unsigned class)
{
    uint64_t count = 0;
    for (uint64_t chains = 0; last && chains < WALK_MAX; last = sealed_next(last), chains++)
        if (tag_class(tagmap_get(last)) == class) count += walk_chain(sealed_first(last), last);
    return count;
}

static uint64_t walk_mail(const struct heap *heap, unsigned class)
{
    uint64_t inbox = load_acquire(&heap->inbox);
    uint64_t count = inbox > INBOX_CLOSED ? walk_sealed((void *)(inbox & POINTER_MASK), class) : 0;
    for (unsigned i = 0; i < LETTERS; i++)
        if (heap->letter[i].owner) count += walk_sealed(heap->letter[i].first, class);
    for (unsigned i = 0; i < OUTBOX_SLOTS; i++) {
        const struct outbox_slot *slot = &heap->outbox[i];
        if (slot->tag && tag_class((struct tag){.word = slot->tag}) == class) count += walk_chain(slot->chain.first, slot->chain.last);
    }
    return count;
}

static void census_slab(struct census *census, struct list *link)
{
    const struct slab *s = container_of(link, struct slab, link);
    census->slabs++;
    census->capacity += s->capacity;
    census->carved += s->carved;
    census->used += s->used;
    for (uint32_t i = 0; i < s->carved; i++) census->free += slab_is_free(s, i);
    census->absent += slab_absent_count(s);
    if (!census->broken) census->broken = slab_verify(s);
}

/* What one heap has of a class. */
TAP_UNUSED static void census_heap(struct census *census, struct heap *heap, unsigned class)
{
    for (unsigned place = SLAB_PARTIAL; place < SLAB_PLACES; place++) {
        struct list *head = &heap->class[class].slabs[place];
        for (struct list *i = list_first(head); i != head; i = i->next) census_slab(census, i);
    }
    census->binned += walk_links(heap->front.bin[class].head);
    census->mailed += walk_mail(heap, class);
    if (!census->broken) census->broken = verify_class(heap, class);
    if (!census->broken) census->broken = verify_bin(heap, class);
}

struct census_of {
    struct census census;
    unsigned class;
};

static void census_visit(struct heap *heap, void *context)
{
    struct census_of *of = context;
    census_heap(&of->census, heap, of->class);
}

/* What the whole process has of a class. */
TAP_UNUSED static struct census census_take(unsigned class)
{
    struct census_of of = {.class = class};
    heap_each(census_visit, &of);
    return of.census;
}

/* I4: allocated less freed, of all heaps. */
static void balance_visit(struct heap *heap, void *context)
{
    struct census_of *of = context;
    struct heap_class *c = &heap->class[of->class];
    bin_account(heap, of->class);
    of->census.used += c->mallocs - c->frees - c->remote_frees;
}

TAP_UNUSED static uint64_t balance_of(unsigned class)
{
    struct census_of of = {.class = class};
    heap_each(balance_visit, &of);
    return of.census.used;
}

#endif
