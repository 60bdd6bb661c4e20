/* lock.c - the slow ways of lock.h: waiting, and the order of ranks in checked builds.
 *
 * Uses: os, thread. Callers: lock.h.
 */
#include "lock.h"

#include "thread.h"

struct lock_waits lock_waits[LOCK_RANKS];
const void *lock_fork_thread;
TLS_INITIAL_EXEC uint32_t lock_own_word;
static TLS_INITIAL_EXEC struct lock *waited_for; /* by this thread; for its handlers of signals */

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

/* What a thread of another process had, which was forked into this one past our handlers, is nobody's here. */
COLD uint32_t lock_new_word(void)
{
    uint32_t forks = os_process_number() >> OS_NUMBER_BITS;
    return ((forks << OS_NUMBER_BITS) + os_thread_number()) << LOCK_OWNER_SHIFT;
}

COLD uint32_t lock_find_own_word(void)
{
    return lock_own_word = lock_new_word();
}

/* The program may have a handler for SIGABRT, and that may allocate, too. */
COLD static void refuse_to_wait(void)
{
    static TLS_INITIAL_EXEC bool has_refused;
    static const char text[] = "hakmem: call inside of malloc or free "
                               "(see hakmem-errors(7))\n";
    os_print(text, sizeof(text) - 1);
    if (has_refused) os_abort_without_handler();
    has_refused = true;
    os_abort();
}

static void lock_sleep(struct lock *lock, uint32_t word)
{
    add_relaxed(&lock_waits[lock->rank].sleeps, 1);
    os_wait(&lock->word, word);
}

COLD void lock_wait(struct lock *lock)
{
    if (load_relaxed(&lock_fork_thread) && lock_is_fork_thread()) return; /* holds it already */
    if (lock_is_own(lock)) refuse_to_wait();
    add_relaxed(&lock_waits[lock->rank].waits, 1);
    for (int i = 0; i < 64; i++) {
        uint32_t expected = 0;
        if (load_relaxed(&lock->word) == 0 && swap_if_acquire(&lock->word, &expected, lock_word_of_thread())) return;
        HAK_PAUSE();
    }
    struct lock *interrupted = load_relaxed(&waited_for); /* by a handler's call, this one */
    store_relaxed(&waited_for, lock);
    for (;;) { /* who has waited does not know of others, and says that there may be some */
        uint32_t word = 0;
        if (swap_if_acquire(&lock->word, &word, lock_word_of_thread() | LOCK_WAITED)) break;
        uint32_t waited = word | LOCK_WAITED;
        if (word == waited || swap_if_acquire(&lock->word, &word, waited)) lock_sleep(lock, waited);
    }
    store_relaxed(&waited_for, interrupted);
}

void lock_pass_wake_on(void)
{
    struct lock *lock = load_relaxed(&waited_for);
    if (lock) os_wake_one(&lock->word);
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
