/* locks_hold_test - a lock lets one thread in, wakes who waits, and is taken upward only. */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "../regress/whitebox.h"

enum { THREADS = 8, ROUNDS = 20000, STUCK_SECONDS = 60 };

static struct lock lock = {.rank = RANK_HEAP};
static uint64_t plain;   /* under lock */
static uint32_t inside;  /* shared counter */
static uint32_t crowded; /* times that somebody else was inside */

/* Yields with the lock held, so that others run into it, and sleep. */
static void *work(void *unused)
{
    for (int i = 0; i < ROUNDS; i++) {
        lock_acquire(&lock);
        if (add_relaxed(&inside, 1) != 0) add_relaxed(&crowded, 1);
        uint64_t seen = *(volatile uint64_t *)&plain;
        if (i % 64 == 0) sched_yield();
        *(volatile uint64_t *)&plain = seen + 1;
        sub_relaxed(&inside, 1);
        lock_release(&lock);
    }
    return unused;
}

static void one_at_a_time(void)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, NULL) != 0) bail_out("no thread");
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    ok(plain == (uint64_t)THREADS * ROUNDS && crowded == 0, "one_thread_at_a_time_is_inside");
    ok(lock.word == 0, "a_lock_that_nobody_holds_is_free");
}

static void a_try_fails_on_a_held_lock(void)
{
    lock_acquire(&lock);
    bool twice = lock_try_peer(&lock);
    lock_release(&lock);
    bool again = lock_try_peer(&lock);
    lock_release_peer(&lock);
    ok(!twice && again, "a_try_succeeds_on_a_free_lock_only");
}

/* ---- ranks: this test is built with checks ---- */

static bool is_stopped(enum lock_rank first, enum lock_rank second)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        struct lock a = {.rank = first}, b = {.rank = second};
        if (!freopen("/dev/null", "w", stderr)) _exit(1);
        lock_acquire(&a);
        lock_acquire(&b);
        lock_release(&b);
        lock_release(&a);
        _exit(0);
    }
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void ranks(void)
{
    for (unsigned first = RANK_REGISTRY; first <= RANK_RECORD; first++)
        for (unsigned second = RANK_REGISTRY; second <= RANK_RECORD; second++)
            expect(is_stopped(first, second) == (second <= first), "rank %u, then %u", first, second);
    claim("locks_are_taken_upward_in_rank_or_the_checked_build_stops");
}

int main(void)
{
    alarm(STUCK_SECONDS); /* a thread that is never woken would wait for ever */
    a_try_fails_on_a_held_lock();
    ranks();
    one_at_a_time();
    return done_testing();
}
