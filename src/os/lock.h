/* lock.h - a lock of one word that sleeps in the kernel, with ranks.
 *
 * Uses: os. Callers: everything above.
 *
 * A thread takes locks upward in rank only; two locks of one rank are never held together, except by
 * fork, which takes all of them, and by a try, which cannot wait. The checked build stops when a lock is taken
 * downward.
 * While a fork is under way its thread holds every lock, so for that thread locking does nothing: the
 * fork handlers of others may allocate (see cache/fork.c).
 *
 * Who holds a lock and waits for it is a handler of a signal, which came while its thread held the lock: such a thread
 * would wait for ever, and is ended with a message. A handler that forks waits for no lock of its thread's.
 *
 * I1  word is 0 (free), or what the holder puts there and the flags: somebody may sleep; it was held before the fork
 *     that is under way
 * I2  only the holder stores 0
 */
#ifndef HAK_OS_LOCK_H
#define HAK_OS_LOCK_H

#include "../base/atomics.h"
#include "os.h"

enum lock_rank {
    RANK_REGISTRY = 1, /* the table of heaps */
    RANK_SPARSE,       /* who looks for pages inside slabs */
    RANK_HEAP,         /* one thread's slow side */
    RANK_COMMON,       /* the common heap */
    RANK_PURGE,        /* who gives memory back to the system */
    RANK_LARGE,        /* mappings of their own */
    RANK_ARENA,        /* units and SuperSlabs */
    RANK_TAGMAP,       /* writable parts of the tag map */
    RANK_RECORD,       /* numbers of records */
    LOCK_RANKS,
};

enum { LOCK_WAITED = 1, LOCK_KEPT = 2, LOCK_FLAGS = LOCK_WAITED | LOCK_KEPT, LOCK_OWNER_SHIFT = 2 };

struct lock {
    uint32_t word;
    uint32_t rank; /* enum lock_rank; never changes */
};

/* How often locks of a rank were not free at once; how often a thread slept for one. Since start, for readers from
 * outside: see service/block.h. */
struct lock_waits {
    uint64_t waits;
    uint64_t sleeps;
};
extern struct lock_waits lock_waits[LOCK_RANKS] LINKED_AS("hak_lock_waits");

/* What lock_this_thread() says of the one inside fork; NULL = none. */
extern const void *lock_fork_thread LINKED_AS("hak_lock_fork_thread");

/* What this thread puts into locks; 0 = it has not come to one yet. */
extern TLS_INITIAL_EXEC uint32_t lock_own_word LINKED_AS("hak_lock_own_word");
INTERNAL uint32_t lock_find_own_word(void);
INTERNAL uint32_t lock_new_word(void); /* in a forked child: the thread's word there, which it does not have yet */

/* Tells threads apart; the same in a forked child. */
INTERNAL const void *lock_this_thread(void);
INTERNAL bool lock_is_fork_thread(void);
INTERNAL void lock_wait(struct lock *lock);
/* By a handler that will wait for other locks: the thread may have been woken for one that it cannot take meanwhile. */
INTERNAL void lock_pass_wake_on(void);
INTERNAL void lock_rank_push(const struct lock *lock);
INTERNAL void lock_rank_pop(const struct lock *lock);

ALWAYS_INLINE uint32_t lock_word_of_thread(void)
{
    uint32_t own = lock_own_word;
    return likely(own != 0) ? own : lock_find_own_word();
}

ALWAYS_INLINE bool lock_is_own(const struct lock *lock)
{
    return (load_relaxed(&lock->word) & ~(uint32_t)LOCK_FLAGS) == lock_word_of_thread();
}

/* A peer is a lock beside others of its rank: a try, or fork's. Its rank is not looked at. */
ALWAYS_INLINE void lock_acquire_peer(struct lock *lock)
{
    uint32_t expected = 0;
    if (unlikely(!swap_if_acquire(&lock->word, &expected, lock_word_of_thread()))) lock_wait(lock);
}

/* true = taken. */
ALWAYS_INLINE bool lock_try_peer(struct lock *lock)
{
    uint32_t expected = 0;
    return swap_if_acquire(&lock->word, &expected, lock_word_of_thread());
}

ALWAYS_INLINE void lock_release_peer(struct lock *lock)
{
    if (unlikely(load_relaxed(&lock_fork_thread) != NULL) && lock_is_fork_thread()) return;
    if (unlikely(exchange_release(&lock->word, 0) & LOCK_WAITED)) os_wake_one(&lock->word);
}

ALWAYS_INLINE void lock_acquire(struct lock *lock)
{
    lock_acquire_peer(lock);
    if (checked) lock_rank_push(lock);
}

ALWAYS_INLINE void lock_release(struct lock *lock)
{
    if (checked) lock_rank_pop(lock);
    lock_release_peer(lock);
}

#endif
