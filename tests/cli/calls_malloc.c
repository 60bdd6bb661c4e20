/* calls_malloc.c - a library that wants malloc and free. */
#include <stdlib.h>

void *calls_malloc(void *p);

void *calls_malloc(void *p)
{
    free(p);
    return malloc(100);
}
