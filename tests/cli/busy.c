/* busy.c - four threads that allocate and free blocks of all sizes, their own and each other's, until somebody kills
 * them. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 4, SLOTS = 4096 };

static void *(*volatile get)(size_t) = malloc;
static void (*volatile put)(void *) = free;
static void *slot[SLOTS];

static size_t size_for(unsigned random)
{
    if (random % 1000 == 0) return 1 + (random >> 10) % (4 << 20);
    if (random % 20 == 0) return 1 + (random >> 10) % 60000;
    return 1 + (random >> 10) % 1000;
}

static void *work(void *seed)
{
    unsigned random = (unsigned)(size_t)seed;
    for (;;) {
        random = random * 1664525 + 1013904223;
        void *p = get(size_for(random));
        if (p) memset(p, 1, 1);
        put(__atomic_exchange_n(&slot[random >> 8 & (SLOTS - 1)], p, __ATOMIC_ACQ_REL));
    }
    return NULL;
}

/* Threads that come and go, beside those that stay. */
static void *visit(void *unused)
{
    (void)unused;
    for (int i = 0; i < 100; i++) put(get((size_t)i * 16));
    return NULL;
}

int main(void)
{
    pthread_t thread;
    for (size_t i = 0; i < THREADS; i++)
        if (pthread_create(&thread, NULL, work, (void *)(i + 1)) != 0) return 1;
    if (write(STDOUT_FILENO, "ready\n", 6) != 6) return 1;
    for (;;)
        if (pthread_create(&thread, NULL, visit, NULL) == 0) pthread_join(thread, NULL);
}
