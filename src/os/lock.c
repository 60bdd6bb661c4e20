/* lock.c - the slow ways of lock.h: waiting, and the order of ranks in checked builds.
 *
 * Uses: os. Callers: lock.h.
 */
#include "lock.h"

const void *lock_fork_thread;

/* Ranks held by this thread, as a bit set, in checked builds. Its address names the thread in all. */
static TLS_INITIAL_EXEC uint32_t ranks_held;

const void *lock_this_thread(void)
{
    return &ranks_held;
}

bool lock_is_fork_thread(void)
{
    return load_relaxed(&lock_fork_thread) == lock_this_thread();
}

COLD void lock_wait(struct lock *lock)
{
    if (load_relaxed(&lock_fork_thread) && lock_is_fork_thread()) return; /* holds it already */
    for (int i = 0; i < 64; i++) {
        uint32_t expected = 0;
        if (load_relaxed(&lock->word) == 0 && swap_if_acquire(&lock->word, &expected, 1)) return;
        HAK_PAUSE();
    }
    while (exchange_acquire(&lock->word, 2) != 0) os_wait(&lock->word, 2);
}

void lock_rank_push(const struct lock *lock)
{
    bool downward = ranks_held >> lock->rank;
    if (downward && !load_relaxed(&lock_fork_thread)) {
        static const char text[] = "hakmem: internal error: a lock was taken downward in rank\n";
        os_print(text, sizeof(text) - 1);
        os_abort();
    }
    ranks_held |= 1u << lock->rank;
}

void lock_rank_pop(const struct lock *lock)
{
    ranks_held &= ~(1u << lock->rank);
}
