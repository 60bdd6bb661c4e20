/* attach.c - threads get heaps, and leave them. See heap.h.
 *
 * Uses: heap, inbox, tagmap, thread, memcheck, pthread keys. Locks: RANK_REGISTRY for the table of heaps.
 *
 * Everything the library needs before its first block is made here, at the first call of the process,
 * whoever makes it: nothing on this way asks libc for memory, the environment or a symbol. pthread_setspecific
 * may call calloc, which finds the heap attached already.
 *
 * The key's destructor asks for one more round, for what destructors of other keys free, and gives the heap up then.
 * Calls after that use the common heap. A heap that is given up is parked with all that is in it, for the next thread;
 * when PARKED_MAX wait already, and when memory is wanted back, parked heaps are dissolved. How many rounds are left,
 * nobody says: a thread whose first call comes from one of the last, or that ends without destructors, leaves a heap
 * behind that knows nothing of it. heap_bury() finds such heaps.
 *
 * I1  a heap is FREE and in the free list, PARKED and in the parked list, LIVE and heap_self of one
 *     thread, or GONE for good
 * I2  the inbox of a LIVE or PARKED heap is open, of others closed
 */
#include <errno.h>
#include <pthread.h>

#include "../os/memcheck.h"
#include "../os/thread.h"
#include "heap.h"
#include "inbox.h"

enum { PARKED_MAX = 8, BURY_FROM = 64 };

#define NO_BINS {[0 ... TABLE_SIZE_MAX / 8] = BIN_OFFSET}

struct heap_front heap_none = {.owner = OWNER_NEVER, .bin_of_size = NO_BINS};
struct heap_front heap_exited = {.owner = OWNER_NEVER, .bin_of_size = NO_BINS};
struct heap_front heap_called = {.owner = OWNER_NEVER, .bin_of_size = NO_BINS};
TLS_INITIAL_EXEC struct heap_front *heap_self = &heap_none;
TLS_INITIAL_EXEC struct heap *heap_mine;
struct heap *heap_common;
uint32_t heap_threads;
void (*heap_when_alone)(void);
struct lock registry_lock = {.rank = RANK_REGISTRY};

/* Under registry_lock; blocks are read without it. */
struct heap *heap_block[HEAP_BLOCKS];
uint32_t heap_count;
static struct heap *free_heaps;
static struct heap *parked_heaps; /* latest first: its memory is warm */
static unsigned parked_count;
static pthread_key_t exit_key;
static bool has_exit_key;
static uint32_t bury_next = BURY_FROM; /* heaps, from which on lost ones are looked for; who takes it does that */

struct heap *heap_at(uint32_t id)
{
    return heap_block[id / HEAPS_PER_BLOCK] + id % HEAPS_PER_BLOCK;
}

COLD static struct heap *new_heap(void)
{
    uint32_t id = heap_count + 1;
    if (id > OWNER_MAX) return NULL;
    if (!heap_block[id / HEAPS_PER_BLOCK]) {
        struct heap *block = record_map(HEAPS_PER_BLOCK * sizeof(struct heap));
        if (!block) return NULL;
        store_release(&heap_block[id / HEAPS_PER_BLOCK], block);
    }
    heap_init(heap_at(id), id);
    /* Held as all others are, before anybody finds it. */
    if (lock_is_fork_thread()) heap_at(id)->lock.word = lock_word_of_thread();
    store_release(&heap_count, id);
    return heap_at(id);
}

static void thread_exit(void *value);

/* Before the first heap. false = the system refuses even this. */
COLD static bool make_ready(void)
{
    if (!has_exit_key && !memcheck_is_here()) has_exit_key = pthread_key_create(&exit_key, thread_exit) == 0;
    if (heap_common) return true;
    if (!tagmap.mask && !tagmap_init()) return false;
    struct heap *common = new_heap();
    if (!common) return false;
    store_relaxed(&common->state, HEAP_LIVE);
    store_release(&heap_common, common);
    return true;
}

static struct heap *pop_parked(void)
{
    struct heap *heap = parked_heaps;
    if (!heap) return NULL;
    store_relaxed(&parked_heaps, heap->next);
    parked_count--;
    return heap;
}

static struct heap *pop_free(void)
{
    struct heap *heap = free_heaps;
    if (!heap) return new_heap();
    store_relaxed(&free_heaps, heap->next);
    return heap;
}

/* Without a key nobody would tell us of the thread's end: then it uses the common heap. So it does where memcheck
 * watches: see front/watched.h. */
static struct heap *take_heap(void)
{
    struct heap *heap = NULL;
    lock_acquire(&registry_lock);
    if (make_ready() && has_exit_key) {
        heap = pop_parked();
        if (!heap) heap = pop_free();
    }
    if (heap) {
        heap_mine = heap; /* first, for a child that a handler forks */
        store_release(&heap->state, HEAP_LIVE);
    }
    lock_release(&registry_lock);
    return heap;
}

/* The caller has taken the heap out of every list; no thread uses its bins. */
COLD static void dissolve(struct heap *heap)
{
    lock_acquire(&heap->lock);
    heap_flush_bins(heap);
    outbox_post_all(heap);
    inbox_drain(heap);
    heap_orphan_slabs(heap);
    inbox_close(heap);
    lock_release(&heap->lock);
    lock_acquire(&registry_lock);
    store_relaxed(&heap->state, HEAP_FREE);
    heap->next = free_heaps;
    store_relaxed(&free_heaps, heap);
    lock_release(&registry_lock);
}

/* true = parked. */
static bool park(struct heap *heap)
{
    lock_acquire(&registry_lock);
    bool room = parked_count < PARKED_MAX;
    if (room) {
        store_relaxed(&heap->state, HEAP_PARKED);
        heap->next = parked_heaps;
        store_relaxed(&parked_heaps, heap);
        parked_count++;
    }
    lock_release(&registry_lock);
    return room;
}

void heap_count_out(void)
{
    bool others = sub_seq(&heap_threads, 1) > 2; /* before the next: pairs with background_start() */
    void (*alone)(void) = load_seq(&heap_when_alone);
    if (!others && alone) alone();
}

static void detach(struct heap *heap)
{
    lock_acquire(&heap->lock);
    heap->slot = NULL;
    store_relaxed(&heap_self, &heap_exited);
    heap_mine = NULL;
    outbox_post_all(heap);     /* others wait for these */
    inbox_drain(heap);
    heap_orphan_surplus(heap); /* what the next thread may not need, others do */
    lock_release(&heap->lock);
    if (!park(heap)) dissolve(heap);
    heap_count_out();
}

/* Its thread is gone, and has not said so. Under the lock. */
static bool is_deserted(const struct heap *heap)
{
    if (!heap->slot || load_acquire(&heap->busy) || heap->process != os_process_number()) return false;
    return !os_thread_exists(heap->thread);
}

bool heap_bury(struct heap *heap)
{
    if (load_relaxed(&heap->state) != HEAP_LIVE || !lock_try_peer(&heap->lock)) return false;
    bool deserted = is_deserted(heap);
    if (deserted) heap->slot = NULL; /* nobody else's now */
    lock_release_peer(&heap->lock);
    if (!deserted) return false;
    dissolve(heap);
    return true;
}

static void bury_other(struct heap *heap, void *context)
{
    (void)context;
    if (!heap_is_common(heap) && heap_bury(heap)) heap_count_out();
}

/* Before there are twice as many heaps as were in use when this was done last: without it a program that loses heaps,
 * and has no thread that looks for them, would have ever more. */
static void bury_before_growth(void)
{
    uint32_t due = load_relaxed(&bury_next);
    if (load_relaxed(&heap_count) < due || load_relaxed(&free_heaps) || load_relaxed(&parked_heaps)) return;
    if (!swap_if_acquire(&bury_next, &due, UINT32_MAX)) return;
    heap_each(bury_other, NULL);
    store_relaxed(&bury_next, 2 * load_relaxed(&heap_threads) + BURY_FROM);
}

void heap_dissolve_parked(void)
{
    for (;;) {
        lock_acquire(&registry_lock);
        struct heap *heap = pop_parked();
        if (heap) store_relaxed(&heap->state, HEAP_LIVE); /* nobody else's until it is dissolved */
        lock_release(&registry_lock);
        if (!heap) return;
        dissolve(heap);
    }
}

/* A value of a thread that ended without destructors may meet the next thread on its stack: then `heap` is not its own.
 * The system calls the destructors of all keys in rounds, a few at most, for as long as some key has a value. What
 * those of the first round free is still freed by a thread with a heap. */
static void thread_exit(void *value)
{
    struct heap *heap = value;
    if (!heap_is_own(heap)) return;
    bool first = !heap->leaving;
    heap->leaving = true;
    if (first && pthread_setspecific(exit_key, heap) == 0) return;
    detach(heap);
}

static void note_numbers(struct heap *heap)
{
    heap->thread = os_thread_number();
    heap->process = os_process_number();
}

static void introduce(struct heap *heap)
{
    store_relaxed(&heap_self, &heap->front);
    heap->slot = &heap_self;
    heap->flushed = false;
    heap->leaving = false;
    store_relaxed(&heap->work_seen, heap->work - 1); /* it was not idle */
    note_numbers(heap);
}

/* This thread was called. Who called may still be busy with the heap. */
static struct heap *resume(struct heap *heap)
{
    lock_acquire(&heap->lock);
    heap->flushed = false;
    store_relaxed(&heap_self, &heap->front);
    lock_release(&heap->lock);
    return heap;
}

COLD struct heap *heap_attach(void)
{
    const struct heap_front *self = load_relaxed(&heap_self);
    if (self == &heap_exited) return NULL;
    if (self == &heap_called) return resume(heap_mine);
    bury_before_growth();
    struct heap *heap = take_heap();
    if (!heap) return NULL;
    lock_acquire(&heap->lock);
    if (load_relaxed(&heap->inbox) == INBOX_CLOSED) { /* a parked heap's is open */
        heap->epoch = load_relaxed(&cache_epoch);
        heap->trimmed = load_relaxed(&trim_epoch);
        inbox_open(heap);
    }
    introduce(heap);
    lock_release(&heap->lock);
    add_relaxed(&heap_threads, 1);
    int saved = errno; /* free() may have come here */
    bool told = pthread_setspecific(exit_key, heap) == 0;
    errno = saved;
    if (told) return heap;
    detach(heap);
    return NULL;
}

COLD void heap_renumber(void)
{
    const struct heap_front *self = load_relaxed(&heap_self);
    bool has_heap = self->id != 0 || self == &heap_called;
    store_relaxed(&heap_threads, has_heap);
    store_relaxed(&bury_next, BURY_FROM); /* who had taken it is not here */
    if (has_heap && heap_mine) note_numbers(heap_mine);
}

/* I1: the heaps of a list are in that state, and no list is longer than all heaps are many. */
static const char *verify_list(const struct heap *list, enum heap_state state)
{
    uint32_t count = 0;
    for (; list; list = list->next)
        if (load_relaxed(&list->state) != state || ++count > heap_count) return "a heap is in a list of another state";
    return NULL;
}

const char *heap_verify_lists(void)
{
    const char *broken = verify_list(free_heaps, HEAP_FREE);
    return broken ? broken : verify_list(parked_heaps, HEAP_PARKED);
}

uint32_t heap_last_id(void)
{
    return load_acquire(&heap_count);
}

void heap_each(void (*visit)(struct heap *heap, void *context), void *context)
{
    uint32_t count = heap_last_id();
    for (uint32_t id = HEAP_COMMON; id <= count; id++) visit(heap_at(id), context);
}
