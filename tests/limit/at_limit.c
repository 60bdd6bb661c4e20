/* at_limit.c - a program that takes memory until there is none, for limit_test and container_test.
 *
 *   at_limit sizes MIB     blocks of 64 B ... 64 MiB until ENOMEM, and again after they were freed
 *   at_limit calls MIB     calloc, realloc and aligned blocks at the limit
 *   at_limit threads MIB   eight threads at the limit at once
 *   at_limit above MIB     exits with 0 when a block of so much can be had and filled, else with 1
 *   at_limit churn         50 MiB in one block that grew, freed, four times, then 40 MiB in small ones; exits with 0
 *
 * Uses: tap.h and the standard calls, nothing of hakmem's. MIB is the hard limit that the caller has set. Every block
 * is written to as a whole, so that the peak that the kernel tells is what was held. It may lie SLACK above the
 * limit: the program, its libraries and stacks, and the tag map.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define SLACK (4 * MIB)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void *(*volatile do_malloc)(size_t) = malloc;
static void *(*volatile do_calloc)(size_t, size_t) = calloc;
static void *(*volatile do_realloc)(void *, size_t) = realloc;
static void *(*volatile do_aligned)(size_t, size_t) = aligned_alloc;
static void (*volatile do_free)(void *) = free;

static size_t limit;

/* The most memory that the process ever had, as the kernel counts it; without a heap. */
static size_t peak(void)
{
    static char text[8192];
    size_t kib = 0;
    int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    ssize_t length = file >= 0 ? read(file, text, sizeof(text) - 1) : -1;
    if (file >= 0) close(file);
    if (length <= 0) return SIZE_MAX;
    text[length] = 0;
    const char *line = strstr(text, "\nVmHWM:");
    return line && sscanf(line, " VmHWM: %zu", &kib) == 1 ? kib * KIB : SIZE_MAX;
}

static void peak_is_below_the_limit(void)
{
    size_t most = peak();
    ok(most <= limit + SLACK, "memory_stays_below_the_limit");
    diag("peak %zu KiB, limit %zu KiB and %zu KiB", most / KIB, limit / KIB, SLACK / KIB);
}

/* ---- sizes ---- */

static size_t take_all(size_t size, void ***last)
{
    size_t count = 0;
    *last = NULL;
    errno = 0;
    for (void **p; (p = do_malloc(size)); count++) {
        memset(p, 0x5a, size);
        *p = *last;
        *last = p;
    }
    expect(errno == ENOMEM, "size %zu: errno %d", size, errno);
    return count;
}

static void free_all(void **last)
{
    for (void **next; last; last = next) next = *last, do_free(last);
}

static void all_sizes_stop_and_go_on(void)
{
    void **last;
    for (size_t size = 64; size <= 64 * MIB; size *= 2) {
        size_t first = take_all(size, &last);
        expect(first * size >= limit / 2 || (size > limit / 4 && first > 0), "size %zu: %zu blocks", size, first);
        free_all(last);
        size_t second = take_all(size, &last);
        expect(second + second / 50 >= first, "size %zu: %zu blocks, then %zu", size, first, second);
        free_all(last);
    }
    claim("blocks_of_64_B_to_64_MiB_end_in_ENOMEM_and_can_be_had_again");
}

/* ---- calls ---- */

static bool is_zero(const unsigned char *p, size_t size)
{
    return p[0] == 0 && memcmp(p, p + 1, size - 1) == 0;
}

static void calls_at_the_limit(void)
{
    static const size_t sizes[] = {100, 5000, 60000, 100000, MIB, 6 * MIB, 40 * MIB};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        void **last;
        size_t size = sizes[i];
        unsigned char *p = do_malloc(size);
        memset(p, 0x77, size);
        take_all(64 * KIB, &last);
        errno = 0;
        expect(!do_realloc(p, size + 64 * MIB) && errno == ENOMEM, "size %zu: realloc, errno %d", size, errno);
        expect(p[0] == 0x77 && memcmp(p, p + 1, size - 1) == 0, "size %zu: realloc spoiled the block", size);
        errno = 0;
        expect(!do_calloc(2, 32 * MIB) && errno == ENOMEM, "size %zu: calloc, errno %d", size, errno);
        errno = 0;
        expect(!do_aligned(MIB, 64 * MIB) && errno == ENOMEM, "size %zu: aligned, errno %d", size, errno);
        free_all(last);
        unsigned char *zeroed = do_calloc(1, size);
        expect(zeroed && is_zero(zeroed, size), "size %zu: calloc after", size);
        do_free(zeroed);
        void *aligned = do_aligned(MIB, size);
        expect(aligned && (uintptr_t)aligned % MIB == 0, "size %zu: aligned after", size);
        do_free(aligned);
        unsigned char *grown = do_realloc(p, size + size / 2);
        expect(grown && grown[size - 1] == 0x77, "size %zu: realloc after", size);
        do_free(grown);
    }
    claim("calloc_realloc_and_aligned_blocks_end_in_ENOMEM_and_spoil_nothing");
}

/* ---- threads ---- */

enum { THREADS = 8, BLOCKS = 128 };

static size_t refused, wrong;

struct block {
    unsigned char *p;
    size_t size;
    unsigned char mark;
};

static size_t draw(uint64_t *random)
{
    *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (size_t)(*random >> 24);
}

static void check_block(const struct block *b)
{
    if (b->p && (b->p[0] != b->mark || memcmp(b->p, b->p + 1, b->size - 1) != 0))
        __atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
}

static void replace_block(struct block *b, uint64_t *random)
{
    size_t size = ((size_t)2 << draw(random) % 23) + draw(random) % 1000;
    check_block(b);
    errno = 0;
    if (draw(random) % 4 == 0 && b->p) {
        unsigned char *grown = do_realloc(b->p, size);
        if (!grown) {
            __atomic_add_fetch(&refused, 1, __ATOMIC_RELAXED);
            check_block(b); /* it is as it was */
            return;
        }
        b->p = grown;
    } else {
        bool zeroed = draw(random) % 2;
        do_free(b->p);
        b->p = zeroed ? do_calloc(1, size) : do_malloc(size);
        if (b->p && zeroed && !is_zero(b->p, size)) __atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
        if (!b->p) __atomic_add_fetch(errno == ENOMEM ? &refused : &wrong, 1, __ATOMIC_RELAXED);
    }
    b->size = size;
    b->mark = (unsigned char)draw(random);
    if (b->p) memset(b->p, b->mark, size);
}

static void *live_at_the_limit(void *argument)
{
    static struct block blocks[THREADS][BLOCKS];
    struct block *block = blocks[(uintptr_t)argument];
    uint64_t random = (uintptr_t)argument * 7919 + 1;
    for (int i = 0; i < 4000; i++) replace_block(&block[draw(&random) % BLOCKS], &random);
    for (int i = 0; i < BLOCKS; i++) do_free(block[i].p);
    return NULL;
}

static void threads_at_the_limit(void)
{
    pthread_t thread[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        if (pthread_create(&thread[i], NULL, live_at_the_limit, (void *)i) != 0) bail_out("no thread");
    for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
    ok(wrong == 0, "eight_threads_at_the_limit_keep_their_blocks");
    ok(refused > 0, "they_met_the_limit");
    diag("%zu calls were refused", refused);
}

/* ---- in a container ---- */

static int fill_one(size_t size)
{
    char *p = do_malloc(size);
    if (!p) return 1;
    memset(p, 1, size);
    return 0;
}

static bool grow_and_free(void)
{
    char *p = do_malloc(MIB);
    for (size_t size = 2 * MIB; size <= 50 * MIB; size += 2 * MIB) {
        p = do_realloc(p, size);
        if (!p) return false;
        memset(p + size - 2 * MIB, 1, 2 * MIB);
    }
    do_free(p);
    return true;
}

/* What is taken again and again is worth keeping, unless memory is short. */
static int churn(void)
{
    enum { SMALL = 1000 };
    char *p;
    for (int i = 0; i < 4; i++)
        if (!grow_and_free()) return 1;
    for (size_t size = 0; size < 40 * MIB; size += SMALL) {
        if (!(p = do_malloc(SMALL))) return 1;
        memset(p, 1, SMALL);
    }
    printf("%zu\n", peak() / MIB);
    return 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    limit = argc > 2 ? strtoul(argv[2], NULL, 10) * MIB : 0;
    if (strcmp(what, "above") == 0) return fill_one(limit);
    if (strcmp(what, "churn") == 0) return churn();
    if (strcmp(what, "sizes") == 0) all_sizes_stop_and_go_on();
    else if (strcmp(what, "calls") == 0) calls_at_the_limit();
    else if (strcmp(what, "threads") == 0) threads_at_the_limit();
    else bail_out("usage: at_limit sizes|calls|threads|above MIB, at_limit churn");
    peak_is_below_the_limit();
    return done_testing();
}
