/* aligned_blocks.c - aligned blocks in random slots.
 *
 *     aligned_blocks OPERATIONS SLOTS [SEED]
 *
 * OPERATIONS times: pick one of SLOTS slots at random, give back its block, and take another of 16 to 2048 bytes by
 * aligned_alloc or posix_memalign. All alignments from 16 to 4096 are equally likely; one block of 4096 is
 * aligned to 64 KiB, and one of 65,536 to 2 MiB. Alignment and contents are checked.
 */
#include "bench.h"

static void *(*volatile bench_aligned_alloc)(size_t, size_t) = aligned_alloc;
static int (*volatile bench_posix_memalign)(void **, size_t, size_t) = posix_memalign;

enum { MAX_SLOTS = 1 << 24, LOW = 16, HIGH = 2048, ALIGNMENT_COUNT = 9 };

static size_t choose_alignment(uint32_t bits)
{
    if (bits % 65536 == 0)
        return 2 << 20;
    if (bits % 4096 == 1)
        return 64 << 10;
    return (size_t)LOW << bench_scale(bits, ALIGNMENT_COUNT);
}

/* Half of the blocks by each call; aligned_alloc is asked for a multiple of the alignment, as C11 wanted it. */
static void *take(size_t alignment, size_t *size, int by_posix)
{
    void *p = NULL;
    if (by_posix) {
        int error = bench_posix_memalign(&p, alignment, *size);
        if (error != 0)
            bench_fail("posix_memalign(%zu, %zu): %s", alignment, *size, strerror(error));
    } else {
        *size = (*size + alignment - 1) & ~(alignment - 1);
        p = bench_aligned_alloc(alignment, *size);
        if (p == NULL)
            bench_fail("aligned_alloc(%zu, %zu): %s", alignment, *size, strerror(errno));
    }
    if (((uintptr_t)p & (alignment - 1)) != 0)
        bench_fail("%p is not aligned to %zu", p, alignment);
    return p;
}

static void replace(struct block *b, uint64_t bits)
{
    if (b->p != NULL)
        block_give(b);
    size_t size = LOW + bench_scale((uint32_t)bits, HIGH - LOW + 1);
    unsigned char mark = (unsigned char)(bits >> 8);
    unsigned char *p = take(choose_alignment((uint32_t)(bits >> 32)), &size, bits & 1);
    p[0] = mark;
    p[size - 1] = mark;
    *b = (struct block){.p = p, .size = (uint32_t)size, .mark = mark};
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 4)
        bench_fail("usage: aligned_blocks OPERATIONS SLOTS [SEED]");
    uint64_t operations = bench_number("OPERATIONS", argv[1], 1, UINT64_MAX / 2);
    uint32_t slot_count = (uint32_t)bench_number("SLOTS", argv[2], 1, MAX_SLOTS);
    uint64_t random = argc == 4 ? bench_number("SEED", argv[3], 0, UINT64_MAX) : 1;

    struct block *slots = calloc(slot_count, sizeof *slots);
    if (slots == NULL)
        bench_fail("no memory for %u slots", slot_count);
    double start = bench_seconds();
    for (uint64_t i = 0; i < operations; i++) {
        uint64_t bits = bench_random(&random);
        replace(&slots[bench_scale((uint32_t)bench_random(&random), slot_count)], bits);
    }
    for (uint32_t slot = 0; slot < slot_count; slot++)
        if (slots[slot].p != NULL)
            block_give(&slots[slot]);
    printf("aligned: %llu blocks, %.3f s\n", (unsigned long long)operations, bench_seconds() - start);
    free(slots);
    return 0;
}
