/* linear_cross_thread.c - blocks of all sizes from 16 bytes to 16 KiB, some of them freed by other threads.
 *
 *     linear_cross_thread THREADS SLOTS BLOCKS [SEED]
 *
 * THREADS threads allocate BLOCKS blocks in all. Each keeps SLOTS of them and replaces a random one: of
 * the old blocks it frees three in four itself; the fourth goes into a parcel, and every full parcel to a
 * random other thread, which frees what is in it, and the parcel. Every size is equally likely.
 *
 * Nobody waits. A mailbox has 8 places; a sender exchanges its parcel for what is in the next place. When
 * the addressee has slept for long, that is an older parcel, and the sender frees it. So the blocks on their
 * way are bounded, and each block is freed once, wherever.
 *
 * Sharing: a parcel belongs to whoever has got it by an exchange; all else is the thread's own.
 */
#include "threads.h"
#include <stdatomic.h>

enum { LOW = 16, HIGH = 16 << 10, MAX_SLOTS = 1 << 22, PARCEL_BLOCKS = 32, PLACES = 8 };

struct parcel {
    struct block blocks[PARCEL_BLOCKS];
};

struct worker {
    _Atomic(struct parcel *) mailbox[PLACES]; /* others put in, the owner takes out; NULL: free */
    uint32_t index __attribute__((aligned(WORKER_ALIGN))); /* from here on: the owner's alone */
    uint32_t place;    /* of the next parcel that is sent, in any mailbox */
    uint32_t packed;   /* blocks in `outgoing` */
    uint64_t random;   /* state of the random numbers */
    uint64_t share;    /* blocks to allocate */
    uint64_t frees;    /* blocks freed, parcels not counted */
    struct parcel *outgoing;
} __attribute__((aligned(WORKER_ALIGN)));

static struct worker workers[MAX_TEAM];
static uint32_t thread_count; /* constant while threads run, as slot_count */
static uint32_t slot_count;

static struct parcel *new_parcel(void)
{
    struct parcel *parcel = bench_malloc(sizeof *parcel);
    if (parcel == NULL)
        bench_fail("malloc(%zu) returned NULL: %s", sizeof *parcel, strerror(errno));
    return parcel;
}

static void open_parcel(struct worker *w, struct parcel *parcel, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        block_give(&parcel->blocks[i]);
    w->frees += count;
    bench_free(parcel);
}

/* Frees what lies in `mailbox`, on behalf of w. */
static void empty_mailbox(struct worker *w, struct worker *owner)
{
    for (uint32_t i = 0; i < PLACES; i++) {
        if (atomic_load_explicit(&owner->mailbox[i], memory_order_relaxed) == NULL)
            continue;
        /* pairs with send_parcel() */
        struct parcel *parcel = atomic_exchange_explicit(&owner->mailbox[i], NULL, memory_order_acquire);
        if (parcel != NULL)
            open_parcel(w, parcel, PARCEL_BLOCKS);
    }
}

static void send_parcel(struct worker *w)
{
    uint32_t step = 1 + bench_scale((uint32_t)bench_random(&w->random), thread_count - 1);
    struct worker *to = &workers[(w->index + step) % thread_count];
    uint32_t place = w->place++ % PLACES;
    /* release: the addressee reads the blocks; acquire: we free an older parcel */
    struct parcel *older = atomic_exchange_explicit(&to->mailbox[place], w->outgoing, memory_order_acq_rel);
    if (older != NULL)
        open_parcel(w, older, PARCEL_BLOCKS);
    w->outgoing = new_parcel();
    w->packed = 0;
}

static void part_with(struct worker *w, struct block *b, uint64_t bits)
{
    if ((bits & 3) != 0) {
        block_give(b);
        w->frees++;
        return;
    }
    w->outgoing->blocks[w->packed++] = *b;
    if (w->packed < PARCEL_BLOCKS)
        return;
    send_parcel(w);
    empty_mailbox(w, w);
}

static void *worker_thread(void *argument)
{
    struct worker *w = argument;
    struct block *slots = calloc(slot_count, sizeof *slots);
    if (slots == NULL)
        bench_fail("no memory for %u slots", slot_count);
    w->outgoing = new_parcel();
    for (uint64_t i = 0; i < w->share; i++) {
        uint64_t bits = bench_random(&w->random);
        struct block *slot = &slots[bench_scale((uint32_t)(bits >> 32), slot_count)];
        if (slot->p != NULL)
            part_with(w, slot, bits >> 8);
        block_take(slot, LOW + bench_scale((uint32_t)bits, HIGH - LOW + 1), (unsigned char)(bits >> 16));
    }
    for (uint32_t j = 0; j < slot_count; j++) {
        if (slots[j].p == NULL)
            continue;
        block_give(&slots[j]);
        w->frees++;
    }
    open_parcel(w, w->outgoing, w->packed);
    free(slots);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 4 && argc != 5)
        bench_fail("usage: linear_cross_thread THREADS SLOTS BLOCKS [SEED]");
    thread_count = (uint32_t)bench_number("THREADS", argv[1], 2, MAX_TEAM);
    slot_count = (uint32_t)bench_number("SLOTS", argv[2], 1, MAX_SLOTS);
    uint64_t block_count = bench_number("BLOCKS", argv[3], 1, UINT64_MAX / 2);
    uint64_t seed = argc == 5 ? bench_number("SEED", argv[4], 0, UINT64_MAX) : 1;

    double start = bench_seconds();
    for (uint32_t i = 0; i < thread_count; i++) {
        workers[i].index = i;
        workers[i].random = team_seed(seed, i);
        workers[i].share = team_share(block_count, i, thread_count);
    }
    team_run(worker_thread, workers, sizeof *workers, thread_count);

    uint64_t frees = 0;
    for (uint32_t i = 0; i < thread_count; i++) {
        empty_mailbox(&workers[i], &workers[i]);
        frees += workers[i].frees;
    }
    char what[128];
    snprintf(what, sizeof what, "linear_cross_thread threads=%s slots=%s seed=%llu", argv[1], argv[2],
             (unsigned long long)seed);
    result_print(what, block_count, frees, bench_seconds() - start);
    return 0;
}
