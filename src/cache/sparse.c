/* sparse.c - see sparse.h.
 *
 * Uses: heap, slab, option. Locks: as sparse.h says.
 *
 * A slab that was looked at goes to the end of its list with the number of the pass, so a sweep ends where it meets
 * that number. In between, the lists may change: locks are held for a few slabs only.
 *
 * Looking costs time, and what was given back in vain costs page faults. So a class that had nothing to give, or needed
 * again what it gave, has to be idle for twice as long before the next sweep.
 */
#include "sparse.h"

#include "../diag/option.h"
#include "heap.h"

enum {
    STEP_WORK = 16,         /* slabs and heaps looked at in a step, and while a heap's lock is held */
    LEAN_MAX = 6,
    IDLE_SWEPT = UINT8_MAX, /* swept since it was used */
};

struct lock sparse_lock = {.rank = RANK_SPARSE};

/* The pass that is under way. Under sparse_lock. */
static struct {
    uint32_t heap;   /* whose turn it is; 0 = no pass is under way */
    unsigned class;
    bool sweeping;   /* this class */
    uint16_t number; /* of the pass; 0 = of none, as a new slab says */
    uint32_t looked; /* slabs of this class so far */
    size_t gained;   /* bytes, by them */
    bool found_use;  /* it met a class that was not swept before */
    uint32_t work;   /* in this step, up to STEP_WORK and a slab more */
} pass;

static bool is_quiet; /* shared, a hint: the last pass found no use */

static void pass_begin(void)
{
    pass.heap = heap_last_id() > 0 ? HEAP_COMMON : 0;
    pass.class = 0;
    pass.sweeping = false;
    if (++pass.number == 0) pass.number = 1;
    pass.found_use = false;
}

static void next_heap(void)
{
    pass.class = 0;
    pass.sweeping = false;
    pass.heap = pass.heap < heap_last_id() ? pass.heap + 1 : 0;
    if (pass.heap == 0) store_relaxed(&is_quiet, !pass.found_use);
}

/* ---- sweeping ---- */

/* The next slab of a list that this pass has not met. It goes to the end, where it does not stand in the way. */
static struct slab *next_slab(struct list *slabs)
{
    if (list_is_empty(slabs)) return NULL;
    struct slab *s = container_of(slabs->next, struct slab, link);
    if (s->swept == pass.number) return NULL;
    s->swept = pass.number;
    list_remove(&s->link);
    list_push_back(slabs, &s->link);
    return s;
}

/* Looks at slabs of a class, as many as the step has time for; those to be carved first, since others may become such.
 * Under heap->lock. true = that was the last. */
static bool sweep_some(struct heap *heap, unsigned class)
{
    struct list *lists = heap->class[class].slabs;
    while (pass.work < STEP_WORK) {
        struct slab *s = next_slab(&lists[SLAB_UNCARVED]);
        if (!s) s = next_slab(&lists[SLAB_PARTIAL]);
        if (!s) return true;
        pass.work++;
        pass.looked++;
        pass.gained += heap_purge_slab(heap, s);
    }
    return false;
}

/* ---- which classes ---- */

/* Grows with every call that concerns the class, whoever made it; hits are seen as they were made. */
static uint32_t activity(struct heap *heap, unsigned class)
{
    const struct heap_class *c = &heap->class[class];
    bin_account(heap, class);
    return (uint32_t)(c->mallocs + c->frees + c->returned + c->arrived);
}

/* Once a tick. true = to be swept. */
static bool was_idle(struct heap *heap, unsigned class)
{
    struct heap_class *c = &heap->class[class];
    uint32_t now = activity(heap, class);
    if (c->seen != now) {
        c->seen = now;
        c->idle = 0;
    } else if (c->idle == IDLE_SWEPT) {
        return false;
    } else if (c->idle < IDLE_SWEPT - 1) {
        c->idle++;
    }
    pass.found_use = true;
    return c->idle >= 1u << c->lean;
}

static void sweep_is_over(struct heap_class *c)
{
    bool in_vain = pass.looked > 0 && (pass.gained == 0 || c->revived);
    if (in_vain && c->lean < LEAN_MAX)
        c->lean++;
    else if (pass.gained > 0 && !in_vain)
        c->lean = 0;
    c->revived = false;
    c->idle = IDLE_SWEPT;
}

/* Goes on with the class whose turn it is, and comes to the next if there is time. Under heap->lock. */
static void visit_class(struct heap *heap)
{
    struct heap_class *c = &heap->class[pass.class];
    if (!pass.sweeping) {
        pass.sweeping = was_idle(heap, pass.class);
        pass.looked = 0;
        pass.gained = 0;
    } else if (c->seen != activity(heap, pass.class)) {
        pass.sweeping = false; /* it woke up */
    }
    if (pass.sweeping) {
        if (!sweep_some(heap, pass.class)) return;
        sweep_is_over(c);
    }
    pass.sweeping = false;
    pass.class++;
}

static void visit_heap(struct heap *heap)
{
    pass.work++;
    if (!lock_try_peer(&heap->lock)) {
        pass.found_use = true;
        next_heap();
        return;
    }
    while (pass.class < CLASS_COUNT && pass.work < STEP_WORK) visit_class(heap);
    lock_release_peer(&heap->lock);
    if (pass.class == CLASS_COUNT) next_heap();
}

/* ---- passes ---- */

bool sparse_is_due(void)
{
    return arena_units() > SUPERSLAB_UNITS && option_get(OPTION_thp) != THP_ALWAYS;
}

bool sparse_is_quiet(void)
{
    return load_relaxed(&is_quiet);
}

bool sparse_step(bool begin, bool *more)
{
    if (!lock_try_peer(&sparse_lock)) return false;
    if (begin && pass.heap == 0) pass_begin();
    pass.work = 0;
    while (pass.heap > 0 && pass.work < STEP_WORK) visit_heap(heap_at(pass.heap));
    *more = pass.heap > 0;
    lock_release_peer(&sparse_lock);
    return true;
}

static void sweep_heap(struct heap *heap, void *context)
{
    size_t *bytes = context;
    for (unsigned class = 0; class < CLASS_COUNT;) {
        lock_acquire(&heap->lock);
        pass.gained = 0;
        pass.work = 0;
        while (class < CLASS_COUNT && sweep_some(heap, class)) class++;
        lock_release(&heap->lock);
        *bytes += pass.gained;
    }
}

COLD size_t sparse_purge_all(void)
{
    size_t bytes = 0;
    lock_acquire(&sparse_lock);
    pass_begin(); /* ends the one that is under way: slabs carry the number of one */
    pass.heap = 0;
    heap_each(sweep_heap, &bytes);
    lock_release(&sparse_lock);
    return bytes;
}
