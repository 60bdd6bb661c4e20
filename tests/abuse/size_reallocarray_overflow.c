/* size_reallocarray_overflow.c - a product that overflows, in reallocarray: the block stays.
 * expect: defined
 */
#include <errno.h>

#include "abuse/abuse.h"

int main(void)
{
    static void *(*volatile resize_array)(void *, size_t, size_t) = reallocarray;
    char *p = memset(take(100), 'x', 100);
    errno = 0;
    if (resize_array(p, SIZE_MAX / 2 + 1, 2) || errno != ENOMEM) return 5;
    for (int i = 0; i < 100; i++)
        if (p[i] != 'x') return 6;
    give(p);
    return still_works();
}
