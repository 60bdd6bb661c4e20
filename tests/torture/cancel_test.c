/* cancel_test.c - threads are cancelled: waiting with a block in their hands, between two calls of the allocator, and
 * asynchronously while they compute. Their cleanup handlers free, and nothing is left behind.
 */
#include <semaphore.h>
#include <stdatomic.h>

#include "torture.h"

static sem_t ready;
static atomic_int bad;

static void give_in_cleanup(void *p)
{
    if (!give_marked(p) || !allocator_works(3)) atomic_fetch_add(&bad, 1);
}

static void *wait_for_cancel(void *unused)
{
    sem_t never;
    sem_init(&never, 0, 0);
    pthread_cleanup_push(give_in_cleanup, marked_block(3000));
    sem_post(&ready);
    for (;;) sem_wait(&never);
    pthread_cleanup_pop(1);
    return unused;
}

static void *churn_until_cancel(void *unused)
{
    sem_post(&ready);
    for (unsigned i = 0;; i++) {
        pthread_cleanup_push(give_in_cleanup, marked_block(i * 37 % 4000));
        pthread_testcancel();
        pthread_cleanup_pop(1);
    }
    return unused;
}

/* Asynchronously, which malloc does not allow: nothing but a number is touched here. */
static void *compute_until_cancel(void *unused)
{
    int before;
    pthread_cleanup_push(give_in_cleanup, marked_block(500));
    sem_post(&ready);
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &before);
    for (volatile unsigned i = 0;; i++) {}
    pthread_cleanup_pop(1);
    return unused;
}

int main(int argc, char **argv)
{
    void *(*const body[])(void *) = {wait_for_cancel, churn_until_cancel, compute_until_cancel};
    struct hak_stats before, after;
    start_test(argc, argv);
    if (!runs_on_hakmem()) return done_testing();
    int count = times(300, 100000);
    sem_init(&ready, 0, 0);
    for (int i = 0; i < count; i++) {
        if (i == count / 10) hak_stats(&before); /* by now libc has what it keeps */
        pthread_t thread = start_thread(body[i % 3], NULL);
        void *result = NULL;
        while (sem_wait(&ready) != 0) {}
        pthread_cancel(thread);
        pthread_join(thread, &result);
        expect(result == PTHREAD_CANCELED, "thread %d returned %p", i, result);
    }
    hak_stats(&after);
    expect(atomic_load(&bad) == 0, "%d bad blocks", atomic_load(&bad));
    expect(after.live == before.live, "live %zu became %zu", before.live, after.live);
    claim("cancelled_threads_leave_nothing_behind");
    ok(hak_check(), "the_heap_is_sound_at_the_end");
    return done_testing();
}
