/* bins.h - this thread's bins, for the tests that look into them.
 *
 * Uses: unit.h. Callers: bin_test, bin_flush_test, examine_test. `size_class` is that of SIZE once start() or
 * fill_bin() was called.
 */
#ifndef HAKMEM_TESTS_UNIT_BINS_H
#define HAKMEM_TESTS_UNIT_BINS_H

#include "unit.h"

enum { HELD = 3000, SIZE = 100 };

static void *held[HELD];
static unsigned size_class;

static inline struct heap *start(void)
{
    do_free(do_malloc(1));
    size_class = class_of(SIZE);
    return my_heap();
}

static inline struct bin *bin_of(unsigned c)
{
    return &my_heap()->front.bin[c];
}

static inline struct heap_class *class_record(unsigned c)
{
    return &my_heap()->class[c];
}

static inline uint32_t list_length(const struct bin *bin)
{
    uint32_t count = 0;
    for (const void *b = bin->head; b; b = link_get(b)) count++;
    return count;
}

static inline void require_whole(void)
{
    const char *broken = heap_verify_bins(my_heap());
    require(!broken, "%s", broken);
    broken = heap_verify_slabs(my_heap());
    require(!broken, "%s", broken);
}

/* Ten freed blocks in the bin and nothing else: the last of held[0 ... 9] comes first. */
static inline void fill_bin(void)
{
    (void)start();
    for (unsigned i = 0; i < 20; i++) held[i] = do_malloc(SIZE);
    heap_flush_bins(my_heap());
    for (unsigned i = 0; i < 10; i++) do_free(held[i]);
    require(bin_left(bin_of(size_class)) == 10);
    require_whole();
}

static inline char *corrupted_line(const void *p)
{
    static char line[128];
    sprintf(line, "hakmem: corrupted free list: p=0x%lx size=%u (see hakmem-errors(7))\n", (uintptr_t)p,
            class_stride(size_class));
    return line;
}

#endif
