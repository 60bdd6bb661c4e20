/* expansion_race - any number of threads may run out of slabs in the same moment.
 *
 * What went wrong once: threads that expanded the heap at once crashed, from four threads on.
 *
 * Shown: 64 threads whose first call of all is made at once, in many processes; then 64 threads at the edge
 * of what they have: each round takes more blocks than the slabs and units at hand can serve, and gives
 * all back, a million rounds in total. Every block carries its holder's name from end to end.
 */
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../tap.h"
#include "hakmem/hakmem.h"
#include "random.h"
#include "sanitized.h"

enum { SLOWER = SANITIZED ? 20 : 1 };

enum {
    THREADS = 64,
    ROUNDS = 1000000 / SLOWER, /* in total */
    MEETING_EVERY = 8,        /* rounds: all wait for each other, and go on at once */
    PROCESSES = 100 / SLOWER + 1,
    BLOCKS_MAX = 600,
};

static void *(*volatile call_malloc)(size_t) = hak_malloc;
static void (*volatile call_free)(void *) = hak_free;

/* Each more than a thread's bin keeps, so that slabs and units come and go in every round; or runs of units,
 * which always do. */
static const struct edge {
    uint32_t size;
    uint32_t blocks;
} edges[] = {
    {65536, 40}, {32768, 60}, {20000, 80}, {8192, 160}, {2000, 600}, {100 * 1024, 6}, {700 * 1024, 2}, {2 << 20, 1},
};

static pthread_barrier_t barrier;
static uint32_t wrong; /* blocks that were somebody else's, or none; shared counter */
static uint64_t seed;

static uint64_t name_of(uintptr_t thread, uint32_t round, uint32_t i)
{
    return (uint64_t)thread << 56 | (uint64_t)round << 20 | i;
}

static void sign(unsigned char *p, uint32_t size, uint64_t name)
{
    memcpy(p, &name, sizeof name);
    memcpy(p + size - sizeof name, &name, sizeof name);
}

static bool is_signed(const unsigned char *p, uint32_t size, uint64_t name)
{
    return memcmp(p, &name, sizeof name) == 0 && memcmp(p + size - sizeof name, &name, sizeof name) == 0;
}

static void one_round(const struct edge *edge, uintptr_t thread, uint32_t round)
{
    unsigned char *block[BLOCKS_MAX];
    uint32_t bad = 0;
    for (uint32_t i = 0; i < edge->blocks; i++) {
        block[i] = call_malloc(edge->size);
        if (block[i])
            sign(block[i], edge->size, name_of(thread, round, i));
        else
            bad++;
    }
    for (uint32_t i = 0; i < edge->blocks; i++) {
        bad += block[i] && !is_signed(block[i], edge->size, name_of(thread, round, i));
        call_free(block[i]);
    }
    if (bad) __atomic_fetch_add(&wrong, bad, __ATOMIC_RELAXED);
}

static void *at_the_edge(void *argument)
{
    uintptr_t thread = (uintptr_t)argument;
    struct random random = random_stream(seed, 0); /* the same edge for all, at every meeting */
    const struct edge *edge = edges;
    for (uint32_t round = 0; round < ROUNDS / THREADS + 1; round++) {
        if (round % MEETING_EVERY == 0) {
            pthread_barrier_wait(&barrier);
            edge = &edges[random_below(&random, sizeof edges / sizeof edges[0])];
        }
        one_round(edge, thread, round);
    }
    return NULL;
}

static void *first_calls(void *argument)
{
    uintptr_t thread = (uintptr_t)argument;
    pthread_barrier_wait(&barrier);
    one_round(&edges[seed % (sizeof edges / sizeof edges[0])], thread, 0);
    return NULL;
}

static bool run_threads(void *(*run)(void *))
{
    pthread_t threads[THREADS];
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (uintptr_t i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, run, (void *)i) != 0) bail_out("no thread");
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    return wrong == 0;
}

/* The parent has not allocated yet, so each child begins with nothing. */
static bool first_calls_survive(void)
{
    int status = -1; /* also where there is no child */
    pid_t child = fork();
    if (child == 0) _exit(run_threads(first_calls) && hak_check() ? 0 : 1);
    waitpid(child, &status, 0);
    return status == 0;
}

int main(void)
{
    seed = random_seed();
    for (int i = 0; i < PROCESSES; i++, seed++) expect(first_calls_survive(), "process %d", i);
    claim("64_first_calls_at_once_survive in %d processes", PROCESSES);
    diag("%d rounds in total, %d each", (ROUNDS / THREADS + 1) * THREADS, ROUNDS / THREADS + 1);
    bool good = run_threads(at_the_edge);
    ok(good, "64_threads_at_the_edge_get_blocks_of_their_own");
    if (!good) diag("%u blocks were wrong", wrong);
    ok(hak_check(), "all_invariants_hold_at_the_end");
    return done_testing();
}
