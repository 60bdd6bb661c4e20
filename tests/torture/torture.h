/* torture.h - what the torture tests share: how much is done, threads that churn, and small helpers.
 *
 * Uses:    bootstrap/common.h.
 * Callers: the tests of this folder. Each is run in a quick version, or, with the argument --whole, at full length.
 *          An alarm ends a test that hangs, and every child has one of its own.
 */
#ifndef HAKMEM_TESTS_TORTURE_TORTURE_H
#define HAKMEM_TESTS_TORTURE_TORTURE_H

#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "bootstrap/common.h"

enum { CHILD_SECONDS = 60, QUICK_SECONDS = 240, WHOLE_SECONDS = 4 * 3600 };

static bool whole TAP_UNUSED; /* run at full length */

/* How often something is done. */
TAP_UNUSED static int times(int quick, int at_full_length) { return whole ? at_full_length : quick; }

/* Reads --whole, and sets the alarm that turns a hang into a red result. */
TAP_UNUSED static void start_test(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) whole |= strcmp(argv[i], "--whole") == 0;
    alarm(whole ? WHOLE_SECONDS : QUICK_SECONDS);
}

TAP_UNUSED static void pause_us(long us)
{
    struct timespec time = {us / 1000000, us % 1000000 * 1000};
    while (nanosleep(&time, &time) != 0 && errno == EINTR) {}
}

TAP_UNUSED static double now_s(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* The status of a child, however many signals come meanwhile. */
TAP_UNUSED static int status_of(pid_t pid)
{
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    return status;
}

TAP_UNUSED static pthread_t start_thread(void *(*body)(void *), void *argument)
{
    pthread_t thread;
    int failed = pthread_create(&thread, NULL, body, argument);
    if (failed != 0) bail_out("pthread_create: %d", failed);
    return thread;
}

/* ---- blocks that tell when they were damaged ---- */

enum { MARK_MIN = 16 };

/* The size in the first word, its low byte in the last. NULL = no memory. */
TAP_UNUSED static unsigned char *marked_block(size_t size)
{
    if (size < MARK_MIN) size = MARK_MIN;
    unsigned char *p = (unsigned char *)take(size);
    if (!p) return NULL;
    memcpy(p, &size, sizeof size);
    p[size - 1] = (unsigned char)size;
    return p;
}

/* Frees it; false = it was damaged. NULL is whole. */
TAP_UNUSED static bool give_marked(unsigned char *p)
{
    size_t size;
    if (!p) return true;
    memcpy(&size, p, sizeof size);
    bool good = size >= MARK_MIN && size < (size_t)1 << 30 && p[size - 1] == (unsigned char)size;
    give(p);
    return good;
}

/* ---- threads that allocate and free, each other's blocks too ---- */

enum { CHURN_MAX = 16, CHURN_SLOTS = 512 };

static struct {
    pthread_t thread[CHURN_MAX];
    int count;
    bool stop; /* this and the next three: shared */
    int bad;
    unsigned char *slot[CHURN_SLOTS];
    unsigned long rounds[CHURN_MAX];
} churn TAP_UNUSED;

static void *churn_body(void *argument)
{
    size_t number = (size_t)(uintptr_t)argument;
    uint64_t random = number + 1;
    while (!__atomic_load_n(&churn.stop, __ATOMIC_RELAXED)) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        size_t draw = random >> 33;
        size_t size = draw % 64 == 0 ? 70000 + draw % 200000 : draw % 2000 + MARK_MIN;
        unsigned char *p = marked_block(size);
        if (!p || !give_marked(__atomic_exchange_n(&churn.slot[draw % CHURN_SLOTS], p, __ATOMIC_ACQ_REL)))
            __atomic_add_fetch(&churn.bad, 1, __ATOMIC_RELAXED);
        __atomic_add_fetch(&churn.rounds[number], 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

TAP_UNUSED static void churn_start(int count)
{
    __atomic_store_n(&churn.stop, false, __ATOMIC_SEQ_CST);
    churn.count = count;
    for (int i = 0; i < count; i++) churn.thread[i] = start_thread(churn_body, (void *)(uintptr_t)i);
}

/* Frees what lies in the slots. In a forked child these are blocks of the parent's threads. */
TAP_UNUSED static bool churn_empty(void)
{
    bool good = true;
    for (int i = 0; i < CHURN_SLOTS; i++)
        good = give_marked(__atomic_exchange_n(&churn.slot[i], (unsigned char *)NULL, __ATOMIC_ACQ_REL)) && good;
    return good;
}

/* true = no block was damaged. */
TAP_UNUSED static bool churn_stop(void)
{
    __atomic_store_n(&churn.stop, true, __ATOMIC_SEQ_CST);
    for (int i = 0; i < churn.count; i++) pthread_join(churn.thread[i], NULL);
    return churn_empty() && __atomic_load_n(&churn.bad, __ATOMIC_SEQ_CST) == 0;
}

/* Until every thread has done something since the call. */
TAP_UNUSED static void churn_let_run(void)
{
    unsigned long before[CHURN_MAX];
    for (int i = 0; i < churn.count; i++) before[i] = __atomic_load_n(&churn.rounds[i], __ATOMIC_SEQ_CST);
    for (int i = 0; i < churn.count; i++)
        while (__atomic_load_n(&churn.rounds[i], __ATOMIC_SEQ_CST) == before[i]) sched_yield();
}

#endif
