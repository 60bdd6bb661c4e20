/* aligned.h - address space at a multiple of more than a page.
 *
 * Uses: os. Callers: chunk, mapping. Locks: none.
 */
#ifndef HAK_OS_ALIGNED_H
#define HAK_OS_ALIGNED_H

#include "../base/compiler.h"

/* `size` bytes at a multiple of `alignment` from get(), which is os_map or os_reserve. 0 = refused. What sticks out is
 * unmapped; if that fails it only costs addresses. */
INTERNAL uintptr_t os_aligned(void *get(size_t bytes), size_t size, size_t alignment);

#endif
