/* libc.c - the names of the C library: malloc and its kin. What only glibc has is in glibc.c.
 *
 * Uses: hak.c, front.
 *
 * A name that does what a hak_* call does is the same function under another name, or calls such a one. So a tool that
 * puts itself in the place of one of them, as valgrind does by address, has both, and never half of a pair.
 */
#include "api.h"

#if HAK_REPLACE_LIBC

#include <errno.h>
#include <stdlib.h>

#include "../../include/hakmem/hakmem.h"
#include "../front/front.h"

HAK_API void *malloc(size_t size) LIBC_NAME ALIAS_OF(hak_malloc);
HAK_API void free(void *p) LIBC_NAME ALIAS_OF(hak_free);
HAK_API void *calloc(size_t count, size_t size) LIBC_NAME ALIAS_OF(hak_calloc);
HAK_API void *realloc(void *p, size_t size) LIBC_NAME ALIAS_OF(hak_realloc);
HAK_API void *aligned_alloc(size_t alignment, size_t size) LIBC_NAME ALIAS_OF(hak_aligned_alloc);
HAK_API void *memalign(size_t alignment, size_t size) LIBC_NAME ALIAS_OF(hak_memalign);
HAK_API int posix_memalign(void **out, size_t alignment, size_t size) LIBC_NAME ALIAS_OF(hak_posix_memalign);
HAK_API void *valloc(size_t size) LIBC_NAME ALIAS_OF(hak_valloc);
HAK_API void *pvalloc(size_t size) LIBC_NAME ALIAS_OF(hak_pvalloc);
HAK_API void cfree(void *p) LIBC_NAME ALIAS_OF(hak_free);
HAK_API void free_sized(void *p, size_t size) LIBC_NAME ALIAS_OF(hak_free_sized);
HAK_API void free_aligned_sized(void *p, size_t a, size_t size) LIBC_NAME ALIAS_OF(hak_free_aligned_sized);

/* Ours, or that of a program that has malloc, realloc and free of its own but not reallocarray: the block must be of
 * these, as it is with libc's. */
void *realloc_in_force(void *p, size_t size) __asm__("realloc");

HAK_API LIBC_NAME void *reallocarray(void *p, size_t count, size_t size)
{
    size_t total;
    if (!__builtin_mul_overflow(count, size, &total)) return realloc_in_force(p, total);
    return hak_reallocarray(p, count, size); /* which says so */
}

HAK_API size_t malloc_usable_size(void *p)
{
    return front_usable_size(p);
}

/* The C library calls these itself: musl for what it needs within. */
HAK_API void *__libc_malloc(size_t size) LIBC_NAME ALIAS_OF(hak_malloc);
HAK_API void __libc_free(void *p) LIBC_NAME ALIAS_OF(hak_free);
HAK_API void *__libc_calloc(size_t count, size_t size) LIBC_NAME ALIAS_OF(hak_calloc);
HAK_API void *__libc_realloc(void *p, size_t size) LIBC_NAME ALIAS_OF(hak_realloc);

#endif
