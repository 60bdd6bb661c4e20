/* server_phases.c - a server whose threads live for one phase and leave blocks behind.
 *
 *     server_phases THREADS PHASES SLOTS [SEED]
 *
 * In each of PHASES phases THREADS threads are born, each with a table of SLOTS blocks. A thread
 *   1. inherits its table: slot j comes from another thread of the phase before, a different one for
 *      each j, so that everybody gets blocks from everybody, and all their owners are dead;
 *   2. fills the slots that are empty;
 *   3. serves: replaces a random block, four times as often as there are slots;
 *   4. frees three quarters of what it holds, at random, and dies.
 * Most blocks are small; one in 32 has up to 8 KiB, one in 1,024 up to 128 KiB.
 *
 * Sharing: a thread writes its own table and reads those of the phase before, a slot of each for itself
 *          alone; all threads of a phase are joined before the next is born.
 */
#include "threads.h"

enum { MAX_SLOTS = 1 << 22, SERVE_ROUNDS = 4 };
enum { LOW = 16, SMALL_HIGH = 512, MEDIUM_HIGH = 8 << 10, LARGE_HIGH = 128 << 10 }; /* sizes, bytes */

struct worker {
    uint32_t index;
    uint64_t random;  /* state of the random numbers; goes on from phase to phase */
    uint64_t mallocs; /* of all phases, as frees */
    uint64_t frees;
} __attribute__((aligned(WORKER_ALIGN)));

/* Constant while threads run. The two tables change places after each phase. */
static uint32_t thread_count;
static uint32_t slot_count;
static struct block *before; /* thread_count tables of slot_count each: what the last phase left */
static struct block *tables; /* the same for this phase */
static struct worker workers[MAX_TEAM];

static uint32_t random_size(uint64_t bits)
{
    uint32_t high = SMALL_HIGH;
    uint32_t kind = (uint32_t)(bits >> 32) & 1023;
    if (kind == 0)
        high = LARGE_HIGH;
    else if (kind <= 32)
        high = MEDIUM_HIGH;
    return LOW + bench_scale((uint32_t)bits, high - LOW + 1);
}

static void take(struct worker *w, struct block *slot)
{
    uint64_t bits = bench_random(&w->random);
    block_take(slot, random_size(bits), (unsigned char)(bits >> 48));
    w->mallocs++;
}

static void give(struct worker *w, struct block *slot)
{
    block_give(slot);
    w->frees++;
}

static void inherit(const struct worker *w, struct block *table)
{
    uint32_t from = w->index;
    for (uint32_t j = 0; j < slot_count; j++) {
        from = from + 1 < thread_count ? from + 1 : 0;
        table[j] = before[(size_t)from * slot_count + j];
    }
}

static void *phase_thread(void *argument)
{
    struct worker *w = argument;
    struct block *table = tables + (size_t)w->index * slot_count;
    inherit(w, table);

    for (uint32_t j = 0; j < slot_count; j++)
        if (table[j].p == NULL)
            take(w, &table[j]);
    for (uint64_t i = 0; i < (uint64_t)SERVE_ROUNDS * slot_count; i++) {
        struct block *slot = &table[bench_scale((uint32_t)bench_random(&w->random), slot_count)];
        give(w, slot);
        take(w, slot);
    }
    for (uint32_t j = 0; j < slot_count; j++)
        if ((bench_random(&w->random) & 3) != 0)
            give(w, &table[j]);
    return NULL;
}

static void run_phase(void)
{
    team_run(phase_thread, workers, sizeof *workers, thread_count);
    struct block *swap = before;
    before = tables;
    tables = swap;
}

static void free_survivors(void)
{
    for (size_t j = 0; j < (size_t)thread_count * slot_count; j++)
        if (before[j].p != NULL)
            give(&workers[0], &before[j]);
}

static struct block *new_tables(void)
{
    struct block *p = calloc((size_t)thread_count * slot_count, sizeof *p);
    if (p == NULL)
        bench_fail("no memory for %u tables of %u slots", thread_count, slot_count);
    return p;
}

int main(int argc, char **argv)
{
    if (argc != 4 && argc != 5)
        bench_fail("usage: server_phases THREADS PHASES SLOTS [SEED]");
    thread_count = (uint32_t)bench_number("THREADS", argv[1], 1, MAX_TEAM);
    uint64_t phase_count = bench_number("PHASES", argv[2], 1, 1000000000);
    slot_count = (uint32_t)bench_number("SLOTS", argv[3], 1, MAX_SLOTS);
    uint64_t seed = argc == 5 ? bench_number("SEED", argv[4], 0, UINT64_MAX) : 1;

    double start = bench_seconds();
    before = new_tables();
    tables = new_tables();
    for (uint32_t i = 0; i < thread_count; i++)
        workers[i] = (struct worker){.index = i, .random = team_seed(seed, i)};
    for (uint64_t phase = 0; phase < phase_count; phase++)
        run_phase();
    free_survivors();
    free(before);
    free(tables);

    uint64_t mallocs = 0;
    uint64_t frees = 0;
    for (uint32_t i = 0; i < thread_count; i++) {
        mallocs += workers[i].mallocs;
        frees += workers[i].frees;
    }
    char what[128];
    snprintf(what, sizeof what, "server_phases threads=%s phases=%s slots=%s seed=%llu", argv[1], argv[2], argv[3],
             (unsigned long long)seed);
    result_print(what, mallocs, frees, bench_seconds() - start);
    return 0;
}
