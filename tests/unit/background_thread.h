/* background_thread.h - threads that make the library start its own, for tests of that. The fake system only notes that
 * it was started; tests run its function on a thread of theirs.
 *
 * Uses: dirty.h. Callers: background_test.c, background_end_test.c, deserted_test.c.
 */
#ifndef HAKMEM_TESTS_UNIT_BACKGROUND_THREAD_H
#define HAKMEM_TESTS_UNIT_BACKGROUND_THREAD_H

#include "dirty.h"

#include <semaphore.h>

static sem_t may_end;
static sem_t is_there;

/* A thread with a heap, until it may end. */
static void *sleeper(void *unused)
{
    do_free(do_malloc(100));
    require(sem_post(&is_there) == 0 && sem_wait(&may_end) == 0);
    return unused;
}

static pthread_t start_sleeper(void)
{
    pthread_t thread;
    fake.threads_refused = false;
    require(sem_init(&may_end, 0, 0) == 0 && sem_init(&is_there, 0, 0) == 0);
    require(pthread_create(&thread, NULL, sleeper, NULL) == 0 && sem_wait(&is_there) == 0);
    return thread;
}

static void end_sleeper(pthread_t thread)
{
    require(sem_post(&may_end) == 0 && pthread_join(thread, NULL) == 0);
}

/* A heap that is worth a thread. */
static void grow(void)
{
    do_free(do_malloc(40 * MIB));
    require(arena_units() >= UNITS_MIN);
}

static void visit(void)
{
    for (unsigned i = 0; i < 64; i++) do_free(do_malloc(3 * MIB));
}

static unsigned rounds;
static unsigned rounds_max;

static void count_rounds(void)
{
    if (++rounds > rounds_max) require(option_set(OPTION_background, BACKGROUND_OFF));
}

static bool shares_descriptors;

static void *run_main(void *unused)
{
    require(fake.thread_main(!shares_descriptors) == 0);
    __atomic_store_n(&background.id, 0, __ATOMIC_SEQ_CST); /* as the system does */
    return unused;
}

/* Lets the thread live for at most so many rounds. */
UNUSED static void run_rounds(unsigned count)
{
    rounds = 0;
    rounds_max = count;
    fake.while_sleeping = count_rounds;
    in_thread(run_main, NULL);
    require(option_set(OPTION_background, BACKGROUND_AUTO));
    fake.while_sleeping = NULL;
}

static pthread_t start_all(void)
{
    pthread_t thread = start_sleeper();
    grow();
    visit();
    require(fake.thread_starts == 1 && background.id != 0);
    return thread;
}

#endif
