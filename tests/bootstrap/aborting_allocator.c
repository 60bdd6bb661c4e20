/* aborting_allocator.c - for interposed_test: another allocator, which stands behind hakmem and bears nobody's blocks.
 */
#include <stdlib.h>

extern int aborting_allocator;
int aborting_allocator; /* it is there */

size_t malloc_usable_size(void *p);

void free(void *p)
{
    if (p) abort();
}

void *realloc(void *p, size_t size)
{
    (void)p, (void)size;
    abort();
}

size_t malloc_usable_size(void *p)
{
    (void)p;
    abort();
}
