/* begun.c - 64 threads that each hold one block of each of many sizes, and sleep. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 64 };

static void *(*volatile get)(size_t) = malloc;
static pthread_barrier_t ready;

static void *hold(void *unused)
{
    for (size_t size = 8; size <= 32768; size += size / 4 + 8) {
        char *block = get(size);
        if (!block) _exit(1);
        memset(block, 1, size);
    }
    pthread_barrier_wait(&ready);
    pause();
    return unused;
}

int main(void)
{
    pthread_barrier_init(&ready, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, hold, NULL) != 0) return 1;
    }
    pthread_barrier_wait(&ready);
    if (write(STDOUT_FILENO, "ready\n", 6) != 6) return 1;
    pause();
    return 0;
}
