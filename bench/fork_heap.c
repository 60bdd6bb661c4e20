/* fork_heap.c - a process with a large heap that forks again and again, as a server does for its snapshots.
 *
 *     fork_heap MIB CHILDREN REPLACEMENTS [SEED]
 *
 * Fills a heap of MIB MiB with blocks of 16 to 256 bytes. Then it forks CHILDREN times. Each child replaces
 * REPLACEMENTS blocks in a part of the heap, most of which its parent had allocated; then it ends, with a
 * status that says whether all was well. Meanwhile the parent does the same in another part. One child lives
 * at a time. At the end the parent frees everything.
 *
 * What a write costs is a page fault on either side of the fork, since the pages are shared until then. So
 * an allocator pays for each page that it writes itself: books, links in free blocks.
 */
#include "bench.h"
#include <sys/wait.h>
#include <unistd.h>

enum { LOW = 16, HIGH = 256, PART_SLOTS = 4096 };

static struct block *slots; /* the heap; all are filled but at the end */
static uint32_t slot_count;
static uint64_t replacements; /* per fork, by each side */

static void fill_slot(struct block *slot, uint64_t bits)
{
    block_take(slot, LOW + bench_scale((uint32_t)bits, HIGH - LOW + 1), (unsigned char)(bits >> 48));
}

static void fill_heap(uint64_t bytes, uint64_t *random)
{
    slot_count = (uint32_t)(bytes / ((LOW + HIGH) / 2));
    slots = calloc(slot_count, sizeof *slots);
    if (slots == NULL)
        bench_fail("no memory for %u slots", slot_count);
    for (uint32_t i = 0; i < slot_count; i++)
        fill_slot(&slots[i], bench_random(random));
}

static void empty_heap(void)
{
    for (uint32_t i = 0; i < slot_count; i++)
        block_give(&slots[i]);
    free(slots);
}

/* In a random part of the heap: the requests of a moment touch what belongs together. */
static void replace_blocks(uint64_t *random)
{
    struct block *part = &slots[bench_scale((uint32_t)bench_random(random), slot_count - PART_SLOTS + 1)];
    for (uint64_t i = 0; i < replacements; i++) {
        uint64_t bits = bench_random(random);
        struct block *slot = &part[bench_scale((uint32_t)(bits >> 32), PART_SLOTS)];
        block_give(slot);
        fill_slot(slot, bits);
    }
}

static void fork_once(uint64_t *random)
{
    uint64_t childs = bench_random(random);
    pid_t child = fork();
    if (child < 0)
        bench_fail("fork: %s", strerror(errno));
    if (child == 0) {
        replace_blocks(&childs);
        _exit(0);
    }
    replace_blocks(random);

    int status;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            bench_fail("waitpid: %s", strerror(errno));
    if (WIFSIGNALED(status))
        bench_fail("a child died by signal %d", WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        bench_fail("a child ended with status %d", WEXITSTATUS(status));
}

int main(int argc, char **argv)
{
    if (argc != 4 && argc != 5)
        bench_fail("usage: fork_heap MIB CHILDREN REPLACEMENTS [SEED]");
    uint64_t mib = bench_number("MIB", argv[1], 1, (uint64_t)UINT32_MAX * HIGH / 2 >> 20);
    uint64_t children = bench_number("CHILDREN", argv[2], 0, 1000000);
    replacements = bench_number("REPLACEMENTS", argv[3], 0, UINT32_MAX);
    uint64_t random = argc == 5 ? bench_number("SEED", argv[4], 0, UINT64_MAX) : 1;

    double start = bench_seconds();
    fill_heap(mib << 20, &random);
    for (uint64_t i = 0; i < children; i++)
        fork_once(&random);
    uint64_t blocks = slot_count + children * replacements;
    empty_heap();

    double seconds = bench_seconds() - start;
    printf("fork_heap mib=%s children=%s replacements=%s: %llu blocks of the parent, %.3f s\n", argv[1], argv[2], argv[3],
           (unsigned long long)blocks, seconds);
    if (fflush(stdout) != 0)
        bench_fail("cannot write the result");
    return 0;
}
