/* calloc_sizes.c - zeroed blocks of all sizes, 16 B to 16 MiB.
 *
 *     calloc_sizes OPERATIONS SLOTS [SEED]
 *
 * OPERATIONS times: pick one of SLOTS slots at random, give back its block, and take a zeroed one. Sizes follow a
 * Pareto distribution of index 1, so that each power of two brings about the same number of bytes. Small blocks
 * are read whole, larger ones at eight bytes of every 512, at a random phase; a byte that is not zero ends the
 * program. Then the block is filled with ones, so that an allocator that forgets to clear it is found.
 */
#include "bench.h"

static void *(*volatile bench_calloc)(size_t, size_t) = calloc;

enum {
    MAX_SLOTS = 1 << 20,
    SMALLEST = 16,
    LARGEST = 16 << 20,
    SCALE = 1 << 20,    /* steps of the random number behind a size: SMALLEST * SCALE is LARGEST */
    READ_WHOLE = 1024,  /* blocks up to here are read byte for byte */
    STRIDE = 512,
};

struct zeroed {
    unsigned char *p; /* NULL: the slot is empty */
    size_t size;
};

static void check_word(const struct zeroed *z, size_t at, size_t count)
{
    uint64_t word = 0;
    memcpy(&word, z->p + at, count);
    if (word != 0)
        bench_fail("calloc of %zu bytes at %p: not zero at %zu", z->size, (void *)z->p, at);
}

static void check_zero(const struct zeroed *z, size_t phase)
{
    size_t step = z->size <= READ_WHOLE ? sizeof(uint64_t) : STRIDE;
    size_t at = z->size <= READ_WHOLE ? 0 : phase;
    for (; at + sizeof(uint64_t) <= z->size; at += step)
        check_word(z, at, sizeof(uint64_t));
    size_t tail = z->size % sizeof(uint64_t);
    check_word(z, z->size - tail, tail);
}

static void replace(struct zeroed *z, uint64_t bits)
{
    bench_free(z->p);
    size_t size = (uint32_t)SMALLEST * SCALE / (1 + bench_scale((uint32_t)bits, SCALE));
    size_t element = bits >> 62 == 0 ? 1 : sizeof(uint64_t); /* as both are asked for: bytes, and words */
    size_t count = (size + element - 1) / element;
    *z = (struct zeroed){.p = bench_calloc(count, element), .size = count * element};
    if (z->p == NULL)
        bench_fail("calloc(%zu, %zu) returned NULL: %s", count, element, strerror(errno));
    check_zero(z, (bits >> 40) % (STRIDE / sizeof(uint64_t)) * sizeof(uint64_t));
    memset(z->p, 0xff, z->size);
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 4)
        bench_fail("usage: calloc_sizes OPERATIONS SLOTS [SEED]");
    uint64_t operations = bench_number("OPERATIONS", argv[1], 1, UINT64_MAX / 2);
    uint32_t slot_count = (uint32_t)bench_number("SLOTS", argv[2], 1, MAX_SLOTS);
    uint64_t random = argc == 4 ? bench_number("SEED", argv[3], 0, UINT64_MAX) : 1;

    static struct zeroed slots[MAX_SLOTS];
    double start = bench_seconds();
    for (uint64_t i = 0; i < operations; i++) {
        uint64_t bits = bench_random(&random);
        replace(&slots[bench_scale((uint32_t)bench_random(&random), slot_count)], bits);
    }
    for (uint32_t slot = 0; slot < slot_count; slot++)
        bench_free(slots[slot].p);
    printf("calloc: %llu blocks, %.3f s\n", (unsigned long long)operations, bench_seconds() - start);
    return 0;
}
