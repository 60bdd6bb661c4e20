/* aligned.c - see aligned.h. */
#include "aligned.h"

#include "../base/bits.h"
#include "os.h"

uintptr_t os_aligned(void *get(size_t bytes), size_t size, size_t alignment)
{
    size_t map_size;
    size_t slack = alignment - os_page_size();
    if (__builtin_add_overflow(size, slack, &map_size)) return 0;
    uintptr_t start = (uintptr_t)get(map_size);
    if (!start) return 0;
    uintptr_t base = align_up(start, alignment);
    if (base > start) (void)os_unmap((void *)start, base - start);
    if (start + slack > base) (void)os_unmap((void *)(base + size), start + slack - base);
    return base;
}
