/* foreign.h - pointers that hakmem did not hand out.
 *
 * Uses: error, os, image. Callers: miss.c, realloc.c. No lock may be held.
 *
 * Nothing is read through such a pointer but what libc keeps before its blocks, by os_peek(). One that libc's own
 * allocator can have made is passed to it; any other is reported as misuse.
 */
#ifndef HAK_FRONT_FOREIGN_H
#define HAK_FRONT_FOREIGN_H

#include "../base/compiler.h"

/* Remembers where the break segment begins, which is where libc's allocator works, and finds its functions. */
INTERNAL void foreign_init(void);

INTERNAL void foreign_free(void *p);
INTERNAL void *foreign_realloc(void *p, size_t size);
INTERNAL size_t foreign_usable_size(const void *p);

#endif
