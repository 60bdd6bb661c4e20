/* thread_birth.c - threads that are born, allocate a little, and die.
 *
 *     thread_birth BIRTHS ALIVE BLOCKS [SEED]
 *
 * The main thread creates BIRTHS threads, and lets at most ALIVE of them live at a time: it joins the oldest
 * before it creates the next. A thread allocates BLOCKS blocks, frees three quarters of them, and dies; main
 * frees the rest after it has joined the thread. Half of the blocks have 16 to 128 bytes, a quarter up to
 * 1 KiB, an eighth up to 8 KiB, an eighth up to 64 KiB. The stacks come from libc's cache, for all but the
 * first threads.
 *
 * With ALIVE = 1 main and the thread take turns, and so the process stays on one processor: to wake another
 * one at every turn would take longer than all else.
 *
 * Sharing: a place belongs to the thread born in it, and to main before it is created and after it is
 *          joined.
 */
#include "threads.h"

enum { LOW = 16, SMALL_HIGH = 128, MAX_SHIFT = 9, MAX_BLOCKS = 1024 };

/* Where a thread lives. */
struct place {
    uint64_t random; /* state of the random numbers; goes on from thread to thread */
    uint64_t frees;  /* of all threads that lived here, and of main on their behalf */
    pthread_t thread;
    struct block blocks[MAX_BLOCKS]; /* p is NULL in those that the thread has freed */
} __attribute__((aligned(WORKER_ALIGN)));

static struct place places[MAX_TEAM];
static uint32_t block_count; /* constant while threads run */

/* Up to 128 bytes, 1 KiB, 8 KiB, 64 KiB: in 8, 4, 2, 2 of 16 cases. */
static uint32_t random_size(uint64_t bits)
{
    uint32_t kind = (uint32_t)(bits >> 32) & 15;
    uint32_t shift = kind < 8 ? 0 : kind < 12 ? 3 : kind < 14 ? 6 : MAX_SHIFT;
    return LOW + bench_scale((uint32_t)bits, ((uint32_t)SMALL_HIGH << shift) - LOW + 1);
}

static void *short_life(void *argument)
{
    struct place *home = argument;
    for (uint32_t i = 0; i < block_count; i++) {
        uint64_t bits = bench_random(&home->random);
        block_take(&home->blocks[i], random_size(bits), (unsigned char)(bits >> 40));
    }
    for (uint32_t i = 0; i < block_count; i++) {
        if ((bench_random(&home->random) & 3) == 0)
            continue;
        block_give(&home->blocks[i]);
        home->frees++;
    }
    return NULL;
}

static void bury(struct place *home)
{
    thread_join(home->thread);
    for (uint32_t i = 0; i < block_count; i++) {
        if (home->blocks[i].p == NULL)
            continue;
        block_give(&home->blocks[i]);
        home->frees++;
    }
}

int main(int argc, char **argv)
{
    if (argc != 4 && argc != 5)
        bench_fail("usage: thread_birth BIRTHS ALIVE BLOCKS [SEED]");
    uint64_t births = bench_number("BIRTHS", argv[1], 1, 1000000000);
    uint32_t place_count = (uint32_t)bench_number("ALIVE", argv[2], 1, MAX_TEAM);
    block_count = (uint32_t)bench_number("BLOCKS", argv[3], 0, MAX_BLOCKS);
    uint64_t seed = argc == 5 ? bench_number("SEED", argv[4], 0, UINT64_MAX) : 1;

    if (place_count == 1)
        thread_bind(0);
    double start = bench_seconds();
    for (uint32_t i = 0; i < place_count; i++)
        places[i].random = team_seed(seed, i);
    for (uint64_t birth = 0; birth < births; birth++) {
        struct place *home = &places[birth % place_count];
        if (birth >= place_count)
            bury(home);
        home->thread = thread_start(short_life, home);
    }
    uint64_t frees = 0;
    for (uint32_t i = 0; i < place_count; i++) {
        if (i < births)
            bury(&places[i]);
        frees += places[i].frees;
    }
    char what[128];
    snprintf(what, sizeof what, "thread_birth births=%s alive=%s blocks=%s seed=%llu", argv[1], argv[2], argv[3],
             (unsigned long long)seed);
    result_print(what, births * block_count, frees, bench_seconds() - start);
    return 0;
}
