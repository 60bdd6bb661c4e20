/* in_group.c - a program for a control group: what it needs is clearly less than the group's limit.
 *
 *   in_group cycles THREADS    40 MiB of blocks of one size, freed, and so again with other sizes; a part stays
 *   in_group idle MIB          so much is taken by two threads and freed; how long until a quarter of it has gone back
 *   in_group nothing           one block
 *
 * Uses: the standard calls, nothing of hakmem's. Prints the most MiB that it ever had, or of `idle` milliseconds, and
 * exits with 0; with 1 when a block was refused or changed.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { THREADS_MAX = 4, LAPS = 3, KEPT_MAX = 64 * 1024, IDLE_SECONDS = 60, IDLE_THREADS = 2 };

static void *(*volatile do_malloc)(size_t) = malloc;
static void (*volatile do_free)(void *) = free;

static const size_t sizes[] = {24, 5000000, 700, 400000, 100, 100000, 3000, 10000000, 50000, 9000, 1500000};

/* In bytes; 0 = the kernel does not tell. */
static size_t told_bytes(const char *name)
{
    static char text[8192];
    size_t kib = 0;
    int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t length = file >= 0 ? read(file, text, sizeof(text) - 1) : -1;
    if (file >= 0) close(file);
    text[length > 0 ? length : 0] = 0;
    const char *line = strstr(text, name);
    return line && sscanf(line + strlen(name), " %zu", &kib) == 1 ? kib * KIB : 0;
}

/* ---- cycles ---- */

struct block {
    struct block *next;
    size_t size;
    unsigned char bytes[];
};

static struct block *push(struct block *list, size_t size)
{
    struct block *b = do_malloc(size);
    if (!b) return NULL;
    b->next = list;
    b->size = size;
    memset(b->bytes, (int)(size % 251), size - sizeof(*b));
    return b;
}

static bool is_whole(const struct block *b)
{
    for (size_t i = 0; i < b->size - sizeof(*b); i++)
        if (b->bytes[i] != b->size % 251) return false;
    return true;
}

/* Frees all blocks; true = they were as they had been written. */
static bool free_list(struct block *b)
{
    bool whole = true;
    for (struct block *next; b; b = next) {
        next = b->next;
        whole &= is_whole(b);
        do_free(b);
    }
    return whole;
}

/* Of the list, a block each 10 MiB goes over to those that stay. */
static struct block *keep_some(struct block *list, struct block **kept)
{
    size_t seen = 0;
    struct block *rest = NULL;
    for (struct block *b = list, *next; b; b = next) {
        next = b->next;
        seen += b->size;
        bool stays = seen >= 10 * MIB && b->size <= KEPT_MAX;
        if (stays) seen = 0;
        b->next = stays ? *kept : rest;
        *(stays ? kept : &rest) = b;
    }
    return rest;
}

static size_t share; /* bytes of each thread */

static void *cycle(void *argument)
{
    struct block *kept = NULL;
    bool good = true;
    (void)argument;
    for (unsigned i = 0; i < LAPS * COUNT(sizes) && good; i++) {
        struct block *list = NULL;
        size_t size = sizes[i % COUNT(sizes)];
        for (size_t sum = 0; sum + size <= share && good; sum += size) {
            struct block *b = push(list, size);
            good = b != NULL;
            if (b) list = b;
        }
        good &= free_list(keep_some(list, &kept));
    }
    return free_list(kept) && good ? NULL : &share;
}

static bool run_threads(unsigned count, void *(*run)(void *))
{
    pthread_t thread[THREADS_MAX];
    bool good = true;
    if (count == 1) return run(NULL) == NULL;
    for (unsigned i = 0; i < count; i++)
        if (pthread_create(&thread[i], NULL, run, NULL) != 0) return false;
    for (unsigned i = 0; i < count; i++) {
        void *result;
        pthread_join(thread[i], &result);
        good &= result == NULL;
    }
    return good;
}

static int cycles(unsigned threads)
{
    if (threads == 0 || threads > THREADS_MAX) return 2;
    share = 40 * MIB / threads;
    if (!run_threads(threads, cycle)) return 1;
    printf("%zu\n", told_bytes("\nVmHWM:") / MIB);
    return 0;
}

/* ---- idle ---- */

static pthread_barrier_t all_here;
static size_t idle_bytes;

/* The threads live on, so that there is somebody whom the library serves. */
static void *fill_and_free(void *argument)
{
    static struct block *list[IDLE_THREADS];
    struct block **mine = &list[(uintptr_t)argument];
    size_t size = argument ? 300000 : 2000;
    for (size_t sum = 0; sum < idle_bytes / IDLE_THREADS; sum += size) *mine = push(*mine, size);
    pthread_barrier_wait(&all_here); /* all of it at once */
    (void)free_list(*mine);
    pthread_barrier_wait(&all_here);
    for (;;) pause();
    return NULL;
}

static long now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int idle(size_t bytes)
{
    pthread_t thread;
    idle_bytes = bytes;
    pthread_barrier_init(&all_here, NULL, IDLE_THREADS + 1);
    for (uintptr_t i = 0; i < IDLE_THREADS; i++)
        if (pthread_create(&thread, NULL, fill_and_free, (void *)i) != 0) return 1;
    pthread_barrier_wait(&all_here);
    size_t most = told_bytes("\nVmRSS:");
    pthread_barrier_wait(&all_here);
    long start = now_ms(), waited = 0;
    while (told_bytes("\nVmRSS:") > most - bytes / 4 && waited < IDLE_SECONDS * 1000) {
        usleep(20000);
        waited = now_ms() - start;
    }
    printf("%ld\n", waited);
    return 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    size_t number = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
    if (strcmp(what, "cycles") == 0) return cycles((unsigned)number);
    if (strcmp(what, "idle") == 0) return idle(number * MIB);
    if (strcmp(what, "nothing") == 0) return do_malloc(100) ? 0 : 1;
    return 2;
}
