/* batches.c - blocks taken a batch at a time, and given back in a chosen order.
 *
 *     batches ORDER LOW HIGH BATCH ROUNDS [SEED]
 *
 * ROUNDS times: take BATCH blocks of LOW to HIGH bytes, then give all of them back. ORDER says how:
 *
 *     lifo     the last taken comes first, as with nested calls
 *     fifo     the first taken comes first, as with a queue
 *     random   a shuffled order, the same in every round
 *
 * The heap is empty between rounds; what an allocator keeps at hand then decides the next round.
 */
#include "bench.h"

enum { MAX_BATCH = 1 << 26, MAX_BLOCK = 1 << 28 };

struct settings {
    uint32_t low;     /* smallest block, bytes */
    uint32_t count;   /* how many sizes from low up; 1 = all equal */
    uint32_t batch;   /* blocks taken before the first is given back */
    uint64_t rounds;
};

static void order_lifo(uint32_t *order, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        order[i] = count - 1 - i;
}

static void order_fifo(uint32_t *order, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        order[i] = i;
}

/* Fisher and Yates: each order is as likely as any other. */
static void order_random(uint32_t *order, uint32_t count, uint64_t *random)
{
    order_fifo(order, count);
    for (uint32_t i = count - 1; i > 0; i--) {
        uint32_t j = bench_scale((uint32_t)bench_random(random), i + 1);
        uint32_t other = order[j];
        order[j] = order[i];
        order[i] = other;
    }
}

static void order_make(const char *name, uint32_t *order, uint32_t count, uint64_t *random)
{
    if (strcmp(name, "lifo") == 0)
        order_lifo(order, count);
    else if (strcmp(name, "fifo") == 0)
        order_fifo(order, count);
    else if (strcmp(name, "random") == 0)
        order_random(order, count, random);
    else
        bench_fail("ORDER is '%s', must be lifo, fifo or random", name);
}

static void run_batch(const struct settings *s, struct block *blocks, const uint32_t *order, uint64_t *random)
{
    for (uint32_t i = 0; i < s->batch; i++) {
        uint64_t bits = bench_random(random);
        block_take(&blocks[i], s->low + bench_scale((uint32_t)bits, s->count), (unsigned char)(bits >> 32));
    }
    for (uint32_t i = 0; i < s->batch; i++)
        block_give(&blocks[order[i]]);
}

int main(int argc, char **argv)
{
    if (argc != 6 && argc != 7)
        bench_fail("usage: batches ORDER LOW HIGH BATCH ROUNDS [SEED]");
    struct settings s;
    s.low = (uint32_t)bench_number("LOW", argv[2], 1, MAX_BLOCK);
    s.count = (uint32_t)bench_number("HIGH", argv[3], s.low, MAX_BLOCK) - s.low + 1;
    s.batch = (uint32_t)bench_number("BATCH", argv[4], 1, MAX_BATCH);
    s.rounds = bench_number("ROUNDS", argv[5], 1, UINT64_MAX / MAX_BATCH);
    uint64_t random = argc == 7 ? bench_number("SEED", argv[6], 0, UINT64_MAX) : 1;

    struct block *blocks = calloc(s.batch, sizeof *blocks);
    uint32_t *order = calloc(s.batch, sizeof *order);
    if (blocks == NULL || order == NULL)
        bench_fail("no memory for a batch of %u blocks", s.batch);
    order_make(argv[1], order, s.batch, &random);

    double start = bench_seconds();
    for (uint64_t round = 0; round < s.rounds; round++)
        run_batch(&s, blocks, order, &random);
    printf("batches %s: %llu blocks, %.3f s\n", argv[1], (unsigned long long)(s.rounds * s.batch),
           bench_seconds() - start);
    free(order);
    free(blocks);
    return 0;
}
