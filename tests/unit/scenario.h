/* scenario.h - what uses every part of the allocator while calls of the system fail, and what must hold then.
 *
 * Uses:    unit.h. Callers: failure_test.c, failure_pairs_test.c; each run in a process of its own.
 */
#ifndef HAKMEM_TESTS_SCENARIO_H
#define HAKMEM_TESTS_SCENARIO_H

#include "unit.h"

enum { BLOCKS = 288, KEPT = 64, OTHERS = 60 };

struct held {
    unsigned char *p;
    size_t size;
    unsigned char fill;
};

static struct held held[BLOCKS];
static size_t certain_size = SIZE_MAX; /* there must be memory for so much in the end */
static unsigned refused; /* calls that returned NULL */

static unsigned char fill_of(unsigned i)
{
    return (unsigned char)(i * 37 + 1);
}

/* Of large blocks the ends and a byte in each KiB count. */
static size_t next_byte(size_t k, size_t size)
{
    return k < 1024 || k + 1024 >= size ? k + 1 : k + 997 < size ? k + 997 : size - 1;
}

/* NULL must come with ENOMEM, a block must hold what was asked for. */
static void hold(unsigned i, void *p, size_t size)
{
    if (!p) {
        require(errno == ENOMEM, "errno %d", errno);
        refused++;
        return;
    }
    require(hak_usable_size(p) >= size, "size %zu", size);
    held[i] = (struct held){.p = p, .size = size, .fill = fill_of(i)};
    for (size_t k = 0; k < size; k = next_byte(k, size)) held[i].p[k] = held[i].fill;
}

static void require_content(unsigned i)
{
    for (size_t k = 0; k < held[i].size; k = next_byte(k, held[i].size))
        require(held[i].p[k] == held[i].fill, "block %u byte %zu", i, k);
}

static void release(unsigned i)
{
    if (!held[i].p) return;
    require_content(i);
    errno = 77;
    hak_free(held[i].p);
    require(errno == 77, "free changed errno to %d", errno);
    held[i].p = NULL;
}

static size_t size_of_step(unsigned i)
{
    static const size_t sizes[] = {1, 8, 24, 100, 300, 1000, 1024, 3000, 4096, 8192, 9000, 20000, 65536, 70000, 100};
    if (i % 16 < array_length(sizes)) return sizes[i % 16];
    return i % 32 < 16 ? 300000 : i % 64 < 32 ? 2097152 : 3000000;
}

static void step_alloc(unsigned i)
{
    size_t size = size_of_step(i);
    errno = 0;
    if (i % 5 == 0) {
        unsigned char *p = hak_calloc(1, size);
        if (p) require(reads_as_zero(p, size), "calloc of %zu is stale", size);
        hold(i, p, size);
    } else if (i % 7 == 0) {
        size_t alignment = (size_t)16 << i % 15; /* beyond a unit: mappings */
        void *p = hak_aligned_alloc(alignment, size);
        require((uintptr_t)p % alignment == 0);
        hold(i, p, size);
    } else {
        hold(i, hak_malloc(size), size);
    }
}

static void step_realloc(unsigned i, size_t size)
{
    if (!held[i].p) return;
    errno = 0;
    unsigned char *p = hak_realloc(held[i].p, size);
    if (!p) {
        require(errno == ENOMEM);
        require_content(i); /* the old block stays */
        refused++;
        return;
    }
    size_t kept = held[i].size < size ? held[i].size : size;
    for (size_t k = 0; k < kept; k = next_byte(k, held[i].size)) require(p[k] == held[i].fill, "realloc lost byte %zu of %u", k, i);
    hold(i, p, size);
}

static void *other_thread(void *argument)
{
    unsigned from = *(unsigned *)argument;
    for (unsigned i = from; i < from + OTHERS; i++) release(i); /* blocks of the first thread */
    for (unsigned i = from; i < from + OTHERS; i++) step_alloc(i);
    return NULL;
}

UNUSED static void scenario(void)
{
    unsigned from = 100;
    for (unsigned i = 0; i < BLOCKS; i++) step_alloc(i);
    for (unsigned i = 0; i < BLOCKS; i += 3) step_realloc(i, size_of_step(i + 1));
    in_thread(other_thread, &from);
    fake.now_ms += 2000;
    for (unsigned i = 0; i < BLOCKS; i += 2) release(i);
    (void)hak_purge();
    for (unsigned i = 63; i < BLOCKS; i += 64) step_realloc(i, 5000000); /* outgrown runs become mappings, and these */
    for (unsigned i = 63; i < BLOCKS; i += 64) step_realloc(i, 9000000); /* grow */
    for (unsigned i = 0; i < BLOCKS; i += 2) step_alloc(i);
    fake.now_ms += 2000;
    for (unsigned i = 0; i < BLOCKS; i++) require(!held[i].p || hak_owns(held[i].p));
}

/* Memory must be there again, and the books must be right. */
UNUSED static void require_recovery(void)
{
    fake_fail_nothing();
    require_sound();
    for (unsigned i = 0; i < BLOCKS; i++) release(i);
    for (unsigned i = 0; i < KEPT; i++) {
        void *p = hak_malloc(size_of_step(i));
        require(p || size_of_step(i) > certain_size, "size %zu", size_of_step(i));
        hak_free(p);
    }
    (void)hak_purge();
    require_sound();
    struct hak_stats stats;
    require(hak_stats(&stats) == 0);
    require(stats.live == 0, "%zu bytes live", stats.live);
    require(stats.mallocs == stats.frees, "%zu mallocs, %zu frees", stats.mallocs, stats.frees);
}

/* Some are left out once the number is high: each costs a process. */
UNUSED static uint64_t next_number(uint64_t n)
{
    return n < 64 ? n + 1 : n + n / 12;
}

#endif
