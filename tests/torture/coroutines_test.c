/* coroutines_test.c - coroutines that wander from thread to thread: one allocates, is switched away, goes on in another
 * thread and frees there.
 *
 * Which heap a call uses must be found anew at each call, never once for a function: the function may change threads
 * in the middle. So this test is also built from the library's sources in one unit, optimised across all of it, with
 * direct calls that the compiler inlines.
 *
 * A thread hands each coroutine that it has run on to the next thread.
 */
#include <stdatomic.h>
#include <ucontext.h>

#include "torture.h"

#ifdef TORTURE_DIRECT
#include <stdlib.h>
#define TAKE(size) malloc(size)
#define GIVE(p) free(p)
#else
#define TAKE(size) take(size)
#define GIVE(p) give(p)
#endif

enum { THREADS = 6, COROUTINES = 64, STACK = 64 << 10, HELD = 6 };

struct coroutine {
    ucontext_t own;
    ucontext_t *back; /* to the thread that runs it now */
    unsigned number;
    bool done;
    char *stack;
};

static struct coroutine coroutines[COROUTINES];
static pthread_mutex_t ring_lock = PTHREAD_MUTEX_INITIALIZER;
static struct ring {
    struct coroutine *member[COROUTINES];
    unsigned count;
} rings[THREADS]; /* what is for each thread to run */
static int living = COROUTINES;
static int rounds;
static atomic_int bad;
static atomic_ulong switches;

static void keep(void *p) { __asm__ volatile("" : : "r"(p) : "memory"); }

/* Small blocks in one function, so that the calls around a switch are inlined side by side. */
static void one_round(struct coroutine *self, unsigned round)
{
    unsigned char *p[HELD];
    for (unsigned i = 0; i < HELD; i++) {
        p[i] = TAKE(24);
        if (!p[i]) abort();
        keep(p[i]);
        memset(p[i], (int)(self->number + i), 24);
        swapcontext(&self->own, self->back); /* goes on in another thread */
        unsigned char *q = TAKE((round * 7 + i) % 900 + 1);
        keep(q);
        GIVE(q);
    }
    for (unsigned i = 0; i < HELD; i++) {
        swapcontext(&self->own, self->back);
        for (unsigned k = 0; k < 24; k++)
            if (p[i][k] != (unsigned char)(self->number + i)) atomic_fetch_add(&bad, 1);
        GIVE(p[i]);
    }
}

static void coroutine_body(unsigned number)
{
    struct coroutine *self = &coroutines[number];
    for (int round = 0; round < rounds; round++) one_round(self, (unsigned)round);
    self->done = true;
    swapcontext(&self->own, self->back);
}

static struct coroutine *pop(unsigned thread)
{
    struct coroutine *c = NULL;
    pthread_mutex_lock(&ring_lock);
    struct ring *ring = &rings[thread];
    if (ring->count > 0) c = ring->member[--ring->count];
    pthread_mutex_unlock(&ring_lock);
    return c;
}

/* For the next thread. */
static void push(unsigned thread, struct coroutine *c)
{
    pthread_mutex_lock(&ring_lock);
    struct ring *ring = &rings[(thread + 1) % THREADS];
    if (c->done) living--;
    else ring->member[ring->count++] = c;
    pthread_mutex_unlock(&ring_lock);
}

static bool any_living(void)
{
    pthread_mutex_lock(&ring_lock);
    bool some = living > 0;
    pthread_mutex_unlock(&ring_lock);
    return some;
}

static void *run_coroutines(void *argument)
{
    unsigned thread = (unsigned)(uintptr_t)argument;
    ucontext_t here;
    while (any_living()) {
        struct coroutine *c = pop(thread);
        if (!c) {
            sched_yield();
            continue;
        }
        c->back = &here;
        swapcontext(&here, &c->own);
        atomic_fetch_add(&switches, 1);
        push(thread, c);
    }
    return NULL;
}

static void make_coroutine(unsigned number)
{
    struct coroutine *c = &coroutines[number];
    c->number = number;
    c->stack = take(STACK);
    getcontext(&c->own);
    c->own.uc_stack.ss_sp = c->stack;
    c->own.uc_stack.ss_size = STACK;
    makecontext(&c->own, (void (*)(void))coroutine_body, 1, number);
    push(number % THREADS, c);
}

int main(int argc, char **argv)
{
    pthread_t thread[THREADS];
    struct hak_stats before, after;
    start_test(argc, argv);
    if (!runs_on_hakmem()) return done_testing();
    rounds = times(150, 15000);
    hak_stats(&before);
    for (unsigned i = 0; i < COROUTINES; i++) make_coroutine(i);
    for (int i = 0; i < THREADS; i++) thread[i] = start_thread(run_coroutines, (void *)(uintptr_t)i);
    for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
    for (int i = 0; i < COROUTINES; i++) give(coroutines[i].stack);
    hak_stats(&after);
    diag("%lu switches, each into another thread", atomic_load(&switches));
    expect(atomic_load(&switches) >= (unsigned long)rounds * COROUTINES * HELD * 2, "too few switches");
    expect(atomic_load(&bad) == 0, "%d bytes of others", atomic_load(&bad));
    expect(hak_check(), "the heap is corrupt");
    expect(after.live <= before.live + 65536, "live %zu became %zu", before.live, after.live);
    claim("coroutines_allocate_in_one_thread_and_free_in_another");
    return done_testing();
}
