/* watched.h - malloc and free in a process that memcheck runs.
 *
 * Uses: memcheck, front. Callers: miss.c, realloc.c.
 * Locks: none of its own.
 *
 * Memcheck mostly puts its own malloc in the place of ours, and none of this happens. It does not in a static program,
 * in one that calls the library's names only, and when it is told so. Then threads get no heaps, so that every call
 * misses; each block is made larger, and memcheck is told where the program's part begins and ends:
 *
 *   block ... | size, check, offset (forbidden) | the program's bytes | 16 or more bytes (forbidden) |
 *             |<--------- alignment ----------->| ^ p
 *
 * Freed blocks wait a while before they go home, so that memcheck can tell who still uses them.
 *
 * I1  check is a function of p and size for a live block of the program's, and for nothing else
 */
#ifndef HAK_FRONT_WATCHED_H
#define HAK_FRONT_WATCHED_H

#include "../cache/heap.h"
#include "../os/memcheck.h"

/* For the slow side: a thread that has a heap is not watched. */
ALWAYS_INLINE bool is_watched(void)
{
    return unlikely(load_relaxed(&heap_self)->id == 0) && memcheck_is_here();
}

/* As the calls without watched_; alignment is a power of two or 0. */
INTERNAL void *watched_malloc(size_t size, size_t alignment, bool zeroed);
INTERNAL void *watched_realloc(void *p, size_t size);
INTERNAL void watched_free(void *p);

/* The bytes of a block of ours; 0 = it is none. */
INTERNAL size_t watched_size(const void *p);

#endif
