/* random_mixed_survives - the loop that the first hakmem crashed in, after 14,000 and 100,000 operations.
 *
 * Shown: sizes 16 to 1040, working sets of 128, 256, 512 and 8192 blocks, 1 to 64 threads, 10^7 operations in
 * each of the 28 cases, divided among its threads; every block carries its name at both ends, and now and
 * then threads swap blocks, so that each frees what others allocated.
 */
#include <pthread.h>

#include "../tap.h"
#include "hakmem/hakmem.h"
#include "random.h"
#include "sanitized.h"

enum { SLOWER = SANITIZED ? 50 : 1 };

enum { OPERATIONS = 10000000 / SLOWER, THREADS_MAX = 64, WORKING_SET_MAX = 8192, SIZE_MIN = 16, SIZE_LIMIT = 1040 };
enum { SHELVES = 64, SWAP_EVERY = 64 };

static void *(*volatile call_malloc)(size_t) = hak_malloc;
static void (*volatile call_free)(void *) = hak_free;

/* At the beginning of a block; its last 8 bytes repeat the check. */
struct head {
    uint64_t check; /* of address and size */
    uint64_t size;
};

struct work {
    pthread_t thread;
    uint32_t working_set;
    uint32_t operations;
    uint32_t wrong;
    struct random random;
    struct head *block[WORKING_SET_MAX];
};

static struct work *works[THREADS_MAX];
static struct head *shelf[SHELVES]; /* where threads swap; shared by exchange */

static uint64_t check_of(const struct head *head, uint64_t size)
{
    return ((uintptr_t)head ^ size << 48) * UINT64_C(0x9e3779b97f4a7c15);
}

static struct head *take(uint64_t size)
{
    struct head *head = call_malloc(size);
    if (!head) bail_out("no memory for %lu bytes", (unsigned long)size);
    uint64_t check = check_of(head, size);
    head->check = check;
    head->size = size;
    memcpy((char *)head + size - sizeof check, &check, sizeof check);
    return head;
}

/* false = the block is not what was put there. For 16 bytes the two ends meet: the size gives way. */
static bool give(struct head *head, uint64_t size)
{
    uint64_t check = check_of(head, size);
    bool good = head->check == check && memcmp((char *)head + size - sizeof check, &check, sizeof check) == 0;
    head->check = 0;
    call_free(head);
    return good;
}

static uint64_t random_size(struct random *random)
{
    return SIZE_MIN + random_below(random, SIZE_LIMIT - SIZE_MIN + 1);
}

/* Blocks on a shelf are of one size, so that the size need not be kept beside them. */
static void swap(struct work *work)
{
    uint32_t place = random_below(&work->random, SHELVES);
    uint64_t size = SIZE_MIN + place * 16;
    struct head *mine = random_below(&work->random, 4) ? take(size) : NULL;
    struct head *theirs = __atomic_exchange_n(&shelf[place], mine, __ATOMIC_ACQ_REL);
    if (theirs) work->wrong += !give(theirs, size);
}

static void *run(void *argument)
{
    struct work *work = argument;
    static __thread uint16_t size[WORKING_SET_MAX];
    for (uint32_t i = 0; i < work->operations; i++) {
        uint32_t at = random_below(&work->random, work->working_set);
        struct head **place = &work->block[at];
        if (*place) {
            work->wrong += !give(*place, size[at]);
            *place = NULL;
        } else {
            size[at] = (uint16_t)random_size(&work->random);
            *place = take(size[at]);
        }
        if (i % SWAP_EVERY == 0) swap(work);
    }
    for (uint32_t i = 0; i < work->working_set; i++)
        if (work->block[i]) work->wrong += !give(work->block[i], size[i]);
    return NULL;
}

static uint32_t run_case(uint32_t working_set, uint32_t threads, uint64_t seed)
{
    uint32_t wrong = 0;
    for (uint32_t i = 0; i < threads; i++) {
        struct work *work = works[i] = calloc(1, sizeof *work);
        if (!work) bail_out("no memory for the test itself");
        work->working_set = working_set;
        work->operations = OPERATIONS / threads;
        work->random = random_stream(seed, (uint64_t)working_set << 32 | threads << 16 | i);
        if (pthread_create(&work->thread, NULL, run, work) != 0) bail_out("no thread");
    }
    for (uint32_t i = 0; i < threads; i++) {
        pthread_join(works[i]->thread, NULL);
        wrong += works[i]->wrong;
        free(works[i]);
    }
    return wrong;
}

static void clear_shelves(void)
{
    for (uint32_t i = 0; i < SHELVES; i++)
        if (shelf[i]) expect(give(shelf[i], SIZE_MIN + i * 16), "shelf %u", i);
    memset(shelf, 0, sizeof shelf);
}

int main(void)
{
    static const uint32_t working_sets[] = {128, 256, 512, 8192};
    uint64_t seed = random_seed();
    diag("%d operations in each case", OPERATIONS);
    for (unsigned w = 0; w < 4; w++)
        for (uint32_t threads = 1; threads <= THREADS_MAX; threads *= 2) {
            uint32_t wrong = run_case(working_sets[w], threads, seed);
            clear_shelves();
            expect(wrong == 0, "%u blocks were not as they were left", wrong);
            expect(hak_check(), "the check failed");
            claim("random_mixed_survives with %u blocks, %u threads", working_sets[w], threads);
        }
    return done_testing();
}
