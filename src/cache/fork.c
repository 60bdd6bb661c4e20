/* fork.c - see fork.h.
 *
 * Uses: heap, inbox, sparse, arena, large, tagmap, record, thread. Locks: all of them, in rank order.
 */
#include "fork.h"

#include "../os/thread.h"
#include "../space/large.h"
#include "heap.h"
#include "inbox.h"
#include "sparse.h"

enum { PATIENCE_MS = 100 };

/* A handler of a signal may fork, though it has interrupted this thread in a call. Then the thread has some of the
 * locks already. They stay its own, and the call goes on when the handler returns, in the child, too. Others may wait
 * for them with the rest in their hands, so that the rest is waited for a while only. */
static TLS_INITIAL_EXEC struct {
    uint8_t depth;    /* calls of fork_prepare() */
    uint8_t patience; /* ms */
    bool interrupted; /* some lock was held before the first */
    bool whole;       /* all are held now */
} around;

static struct lock *const upper_locks[] = {&purge_lock, &large_lock, &arena_lock, &tagmap_lock, &record_lock};

/* The ranks of heaps are taken together here and nowhere else: everybody else holds one and tries others. */
static void each_lock(void (*visit)(struct lock *lock))
{
    visit(&registry_lock);
    visit(&sparse_lock);
    uint32_t count = heap_last_id();
    for (uint32_t id = HEAP_COMMON + 1; id <= count; id++) visit(&heap_at(id)->lock);
    if (count >= HEAP_COMMON) visit(&heap_at(HEAP_COMMON)->lock);
    for (unsigned i = 0; i < array_length(upper_locks); i++) visit(upper_locks[i]);
}

static void keep_own(struct lock *lock)
{
    if (!lock_is_own(lock)) return;
    around.interrupted = true;
    (void)or_relaxed(&lock->word, LOCK_KEPT);
}

static void take_lock(struct lock *lock)
{
    if (likely(!around.interrupted)) {
        lock_acquire_peer(lock);
        return;
    }
    while (!lock_is_own(lock) && !lock_try_peer(lock)) {
        if (around.patience == 0) {
            around.whole = false;
            return;
        }
        around.patience--;
        os_wait_for(&lock->word, load_relaxed(&lock->word), 1);
    }
}

/* Once the registry is free there may be others' heaps. */
static void give_lock(struct lock *lock)
{
    if (!lock_is_own(lock)) return;
    if (load_relaxed(&lock->word) & LOCK_KEPT)
        (void)and_relaxed(&lock->word, ~(uint32_t)LOCK_KEPT);
    else
        lock_release_peer(lock);
}

/* The same in the child, where nobody waits, and the thread has another word. */
static void give_lock_in_child(struct lock *lock)
{
    if (lock_is_own(lock))
        store_relaxed(&lock->word, load_relaxed(&lock->word) & LOCK_KEPT ? lock_new_word() : 0);
}

COLD void fork_prepare(void)
{
    if (around.depth++ > 0) return;
    around.interrupted = false;
    around.whole = true;
    around.patience = PATIENCE_MS;
    lock_pass_wake_on();
    each_lock(keep_own);
    each_lock(take_lock);
    if (around.whole) store_relaxed(&lock_fork_thread, lock_this_thread());
}

static void unlock_all(void (*give_one)(struct lock *lock))
{
    if (around.whole) store_relaxed(&lock_fork_thread, NULL);
    each_lock(give_one);
}

COLD void fork_parent(void)
{
    if (--around.depth == 0) unlock_all(give_lock);
}

static void bury(struct heap *heap, void *context)
{
    (void)context;
    if (heap_is_common(heap) || load_relaxed(&heap->state) != HEAP_LIVE || heap == heap_mine) return;
    lock_acquire(&heap->lock);
    heap_orphan_slabs(heap);
    inbox_close(heap);
    heap->slot = NULL;
    store_relaxed(&heap->state, HEAP_GONE);
    lock_release(&heap->lock);
}

/* Where a call was interrupted, what other threads had is left as it is: that call may be in the middle of the same. */
COLD void fork_child(void)
{
    if (--around.depth > 0) return;
    unlock_all(give_lock_in_child);
    lock_own_word = 0; /* to be found anew */
    heap_renumber();
    if (around.interrupted) return;
    heap_each(bury, NULL);
    large_follow_fork();
}
