/* larson.c - a server that hands its blocks from thread to thread (after Larson and Krishnan, 1998).
 *
 *     larson SECONDS MINSIZE MAXSIZE BLOCKS_PER_THREAD ROUNDS SEED THREADS
 *
 * THREADS chains run side by side, each with BLOCKS_PER_THREAD blocks of MINSIZE to MAXSIZE bytes that
 * the main thread has allocated. The thread of a chain replaces a random block by another,
 * BLOCKS_PER_THREAD times a round. After ROUNDS rounds it creates its successor, passes the blocks on, and
 * dies. So most blocks are freed by another thread than the one that allocated them. After SECONDS
 * (fractions are allowed) the chains stop. An operation is one free and the malloc that follows it.
 *
 * Sharing: a chain belongs to its living thread; pthread_create and pthread_join hand it on. `stop` is
 *          written by main alone.
 */
#include "bench.h"
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { MAX_THREADS = 4096, MAX_BLOCKS = 1 << 24, MAX_BLOCK = 1 << 28 };

struct settings {
    double seconds;
    uint32_t size_low;    /* smallest block, bytes */
    uint32_t size_count;  /* how many sizes from size_low up */
    uint32_t block_count; /* per chain */
    uint32_t rounds;      /* per thread */
    uint64_t seed;
    uint32_t chain_count;
};

struct chain {
    struct block *blocks;
    uint64_t random;       /* state of the random numbers */
    uint64_t operations;
    uint64_t generations;  /* threads that have run */
    pthread_t predecessor; /* who passed the blocks on; valid when generations > 1 */
} __attribute__((aligned(128))); /* chains must not share cache lines */

static struct chain chains[MAX_THREADS];
static struct settings settings; /* constant once the chains run */
static atomic_bool stop;
static sem_t finished; /* posted once by the last thread of each chain */

static uint32_t random_size(struct chain *c)
{
    return settings.size_low + bench_scale((uint32_t)bench_random(&c->random), settings.size_count);
}

static inline void replace_block(struct chain *c)
{
    uint64_t bits = bench_random(&c->random);
    struct block *victim = &c->blocks[bench_scale((uint32_t)(bits >> 32), settings.block_count)];
    uint32_t size = settings.size_low + bench_scale((uint32_t)bits, settings.size_count);
    block_give(victim);
    block_take(victim, size, (unsigned char)(bits >> 40));
}

static void run_rounds(struct chain *c)
{
    uint64_t goal = (uint64_t)settings.rounds * settings.block_count;
    uint64_t done = 0;
    while (done < goal && !atomic_load_explicit(&stop, memory_order_relaxed)) {
        replace_block(c);
        done++;
    }
    c->operations += done;
}

static void *chain_thread(void *argument);

static void start_successor(struct chain *c)
{
    pthread_t successor;
    c->predecessor = pthread_self();
    int error = pthread_create(&successor, NULL, chain_thread, c);
    if (error != 0)
        bench_fail("pthread_create: %s", strerror(error));
}

static void *chain_thread(void *argument)
{
    struct chain *c = argument;
    pthread_t predecessor = c->predecessor;
    bool has_predecessor = c->generations++ > 0;

    run_rounds(c);
    /* Joined only now: the predecessor is long dead, and its last steps overlapped with our work. */
    if (has_predecessor)
        pthread_join(predecessor, NULL);
    if (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        start_successor(c); /* the chain is the successor's from here on */
        return NULL;
    }
    c->predecessor = pthread_self();
    sem_post(&finished);
    return NULL;
}

static void fill_chain(struct chain *c)
{
    c->blocks = calloc(settings.block_count, sizeof *c->blocks);
    if (c->blocks == NULL)
        bench_fail("no memory for %u blocks", settings.block_count);
    for (uint32_t i = 0; i < settings.block_count; i++)
        block_take(&c->blocks[i], random_size(c), (unsigned char)i);
    /* Shuffled, so that a chain's order says nothing about addresses. */
    for (uint32_t i = settings.block_count - 1; i > 0; i--) {
        uint32_t other = bench_scale((uint32_t)bench_random(&c->random), i + 1);
        struct block swap = c->blocks[i];
        c->blocks[i] = c->blocks[other];
        c->blocks[other] = swap;
    }
}

static void empty_chain(struct chain *c)
{
    for (uint32_t i = 0; i < settings.block_count; i++)
        block_give(&c->blocks[i]);
    free(c->blocks);
}

/* Lets the chains run until the time is over; returns the seconds that they really ran. */
static double run_chains(void)
{
    double start = bench_seconds();
    for (uint32_t i = 0; i < settings.chain_count; i++) {
        pthread_t first;
        int error = pthread_create(&first, NULL, chain_thread, &chains[i]);
        if (error != 0)
            bench_fail("pthread_create: %s", strerror(error));
    }

    struct timespec length = {.tv_sec = (time_t)settings.seconds};
    length.tv_nsec = (long)((settings.seconds - (double)length.tv_sec) * 1e9);
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &length, &length) == EINTR)
        continue;

    atomic_store_explicit(&stop, true, memory_order_relaxed);
    for (uint32_t i = 0; i < settings.chain_count; i++)
        while (sem_wait(&finished) != 0)
            continue;
    double seconds = bench_seconds() - start;
    for (uint32_t i = 0; i < settings.chain_count; i++)
        pthread_join(chains[i].predecessor, NULL);
    return seconds;
}

static double parse_seconds(const char *text)
{
    char *end;
    double seconds = strtod(text, &end);
    if (*text < '.' || *text > '9' || *end != '\0' || !(seconds > 0 && seconds <= 1e6))
        bench_fail("SECONDS is '%s', must be a number above 0, up to 1000000", text);
    return seconds;
}

static void parse_settings(char **argv)
{
    settings.seconds = parse_seconds(argv[1]);
    settings.size_low = (uint32_t)bench_number("MINSIZE", argv[2], 1, MAX_BLOCK);
    settings.size_count = (uint32_t)bench_number("MAXSIZE", argv[3], settings.size_low, MAX_BLOCK) - settings.size_low + 1;
    settings.block_count = (uint32_t)bench_number("BLOCKS_PER_THREAD", argv[4], 1, MAX_BLOCKS);
    settings.rounds = (uint32_t)bench_number("ROUNDS", argv[5], 1, 1000000000);
    settings.seed = bench_number("SEED", argv[6], 0, UINT64_MAX);
    settings.chain_count = (uint32_t)bench_number("THREADS", argv[7], 1, MAX_THREADS);
}

int main(int argc, char **argv)
{
    if (argc != 8)
        bench_fail("usage: larson SECONDS MINSIZE MAXSIZE BLOCKS_PER_THREAD ROUNDS SEED THREADS");
    parse_settings(argv);
    sem_init(&finished, 0, 0);
    for (uint32_t i = 0; i < settings.chain_count; i++) {
        chains[i].random = settings.seed + i * UINT64_C(0x9e3779b97f4a7c15);
        fill_chain(&chains[i]);
    }

    double seconds = run_chains();

    uint64_t operations = 0;
    uint64_t generations = 0;
    for (uint32_t i = 0; i < settings.chain_count; i++) {
        empty_chain(&chains[i]);
        operations += chains[i].operations;
        generations += chains[i].generations;
    }
    printf("larson size=%s-%s blocks=%s rounds=%s seed=%s threads=%s: %llu operations (%llu threads born), "
           "%.0f operations per second, %.3f s\n", argv[2], argv[3], argv[4], argv[5], argv[6], argv[7],
           (unsigned long long)operations, (unsigned long long)generations, (double)operations / seconds, seconds);
    if (fflush(stdout) != 0)
        bench_fail("cannot write the result");
    return 0;
}
