/* producer_consumer.c - blocks that one thread allocates and another frees.
 *
 *     producer_consumer PRODUCERS CONSUMERS BLOCKS MINSIZE MAXSIZE [SEED]
 *
 * PRODUCERS threads allocate BLOCKS blocks of MINSIZE to MAXSIZE bytes in all, and CONSUMERS threads check
 * and free them. They travel in batches of 128: an empty batch goes from the queue `empty` to a producer,
 * through the queue `full` to a consumer, and back. So there is a bound on the blocks in flight.
 *
 * The allocator is to be measured, not the queue. So a thread that finds a queue empty sleeps until half
 * of all batches are in it, and then has work for a while. Not all can sleep at once: then all batches would
 * lie in the two queues, half of them or more in one, and nobody sleeps at that one.
 *
 * Producer i is bound to processor i, consumer i to processor i + 1, round all that there are. Left alone, the
 * system at times keeps both sides on one processor, where they take turns and no cache line travels, and the
 * same work costs a fraction.
 *
 * Sharing: a batch belongs to the thread that has popped it; a queue is guarded by its lock.
 */
#include "threads.h"
#include <stdatomic.h>
#include <stdbool.h>

enum { BATCH_BLOCKS = 128, BATCH_COUNT = 128, WAKE_COUNT = BATCH_COUNT / 2, MAX_BLOCK = 1 << 24 };

struct batch {
    uint32_t count; /* blocks in it; less than BATCH_BLOCKS only in a producer's last */
    struct block blocks[BATCH_BLOCKS];
};

/* First in, first out; never over-full, for it has room for all batches. */
struct queue {
    pthread_mutex_t lock;
    pthread_cond_t wake;   /* half full, or closed */
    uint32_t head;         /* index of the oldest batch */
    uint32_t count;        /* batches in it */
    bool closed;           /* nothing will be pushed any more */
    struct batch *ring[BATCH_COUNT];
} __attribute__((aligned(WORKER_ALIGN)));

struct worker {
    uint32_t processor; /* where it runs, in steps round those that there are */
    uint64_t random; /* state of the random numbers */
    uint64_t share;  /* producer: blocks to allocate */
    uint64_t freed;  /* consumer: blocks checked and freed */
} __attribute__((aligned(WORKER_ALIGN)));

static struct queue empty = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};
static struct queue full = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};
static struct batch batches[BATCH_COUNT];
static struct worker producers[MAX_TEAM];
static struct worker consumers[MAX_TEAM];
static uint32_t size_low;   /* smallest block, bytes; constant once the threads run, as size_count */
static uint32_t size_count; /* how many sizes from size_low up */
static atomic_uint producers_alive;

static void queue_push(struct queue *q, struct batch *b)
{
    pthread_mutex_lock(&q->lock);
    q->ring[(q->head + q->count) % BATCH_COUNT] = b;
    q->count++;
    if (q->count == WAKE_COUNT)
        pthread_cond_broadcast(&q->wake); /* no system call when nobody sleeps */
    pthread_mutex_unlock(&q->lock);
}

/* NULL: the queue is closed and drained. */
static struct batch *queue_pop(struct queue *q)
{
    struct batch *b = NULL;
    pthread_mutex_lock(&q->lock);
    while (q->count == 0 && !q->closed) {
        do
            pthread_cond_wait(&q->wake, &q->lock);
        while (q->count < WAKE_COUNT && !q->closed);
    }
    if (q->count > 0) {
        b = q->ring[q->head];
        q->head = (q->head + 1) % BATCH_COUNT;
        q->count--;
    }
    pthread_mutex_unlock(&q->lock);
    return b;
}

static void queue_close(struct queue *q)
{
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_broadcast(&q->wake);
    pthread_mutex_unlock(&q->lock);
}

static void fill_batch(struct worker *w, struct batch *b)
{
    for (uint32_t i = 0; i < b->count; i++) {
        uint64_t bits = bench_random(&w->random);
        uint32_t size = size_low + bench_scale((uint32_t)bits, size_count);
        block_take(&b->blocks[i], size, (unsigned char)(bits >> 40));
    }
}

static void *produce(void *argument)
{
    struct worker *w = argument;
    thread_bind(w->processor);
    for (uint64_t left = w->share; left > 0;) {
        struct batch *b = queue_pop(&empty);
        b->count = left < BATCH_BLOCKS ? (uint32_t)left : BATCH_BLOCKS;
        left -= b->count;
        fill_batch(w, b);
        queue_push(&full, b);
    }
    if (atomic_fetch_sub_explicit(&producers_alive, 1, memory_order_relaxed) == 1)
        queue_close(&full); /* the last one; the others' batches were pushed before they counted down */
    return NULL;
}

static void *consume(void *argument)
{
    struct worker *w = argument;
    struct batch *b;
    thread_bind(w->processor);
    while ((b = queue_pop(&full)) != NULL) {
        for (uint32_t i = 0; i < b->count; i++)
            block_give(&b->blocks[i]);
        w->freed += b->count;
        queue_push(&empty, b);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 6 && argc != 7)
        bench_fail("usage: producer_consumer PRODUCERS CONSUMERS BLOCKS MINSIZE MAXSIZE [SEED]");
    uint32_t producer_count = (uint32_t)bench_number("PRODUCERS", argv[1], 1, MAX_TEAM);
    uint32_t consumer_count = (uint32_t)bench_number("CONSUMERS", argv[2], 1, MAX_TEAM);
    uint64_t block_count = bench_number("BLOCKS", argv[3], 1, UINT64_MAX / 2);
    size_low = (uint32_t)bench_number("MINSIZE", argv[4], 1, MAX_BLOCK);
    size_count = (uint32_t)bench_number("MAXSIZE", argv[5], size_low, MAX_BLOCK) - size_low + 1;
    uint64_t seed = argc == 7 ? bench_number("SEED", argv[6], 0, UINT64_MAX) : 1;

    pthread_t threads[MAX_TEAM];
    double start = bench_seconds();
    for (uint32_t i = 0; i < BATCH_COUNT; i++)
        queue_push(&empty, &batches[i]);
    atomic_store_explicit(&producers_alive, producer_count, memory_order_relaxed);
    for (uint32_t i = 0; i < consumer_count; i++) {
        consumers[i].processor = i + 1;
        threads[i] = thread_start(consume, &consumers[i]);
    }
    for (uint32_t i = 0; i < producer_count; i++) {
        producers[i].processor = i;
        producers[i].random = team_seed(seed, i);
        producers[i].share = team_share(block_count, i, producer_count);
    }
    team_run(produce, producers, sizeof *producers, producer_count);

    uint64_t freed = 0;
    for (uint32_t i = 0; i < consumer_count; i++) {
        thread_join(threads[i]);
        freed += consumers[i].freed;
    }
    char what[128];
    snprintf(what, sizeof what, "producer_consumer %u:%u size=%s-%s seed=%llu", producer_count, consumer_count, argv[4],
             argv[5], (unsigned long long)seed);
    result_print(what, block_count, freed, bench_seconds() - start);
    return 0;
}
