/* others.h - mappings that are not the library's, as many as the process may have, but for a few.
 *
 * Uses: exhaust.h. Callers: tests of this folder.
 */
#ifndef HAKMEM_TESTS_EXHAUST_OTHERS_H
#define HAKMEM_TESTS_EXHAUST_OTHERS_H

#include <sys/mman.h>

#include "exhaust.h"

enum { PAGE = 4096, TAKEN_MAX = 1 << 20 };

static char *region;
static size_t region_size;

/* Pages of one mapping with other rights each: every change of one makes two more of it. */
static inline bool take_mappings(void)
{
    region_size = (size_t)TAKEN_MAX * PAGE;
    region = (char *)mmap(NULL, region_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (region == MAP_FAILED) return false;
    size_t at = PAGE;
    while (at + PAGE < region_size && mprotect(region + at, PAGE, PROT_READ) == 0) at += 2 * PAGE;
    bool full = at + PAGE < region_size;
    for (unsigned i = 0; full; i++) /* neighbours with the same rights would be one */
        full = mmap(NULL, PAGE, i % 2 ? PROT_READ : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
    return at + PAGE < region_size;
}

/* A page in the middle that becomes like its neighbours makes three mappings one. */
static inline void spare_mappings(unsigned count)
{
    for (unsigned i = 0; i < count; i++) mprotect(region + (2 * (size_t)i + 1) * PAGE, PAGE, PROT_NONE);
}

static inline void give_mappings(void)
{
    munmap(region, region_size);
}

#endif
