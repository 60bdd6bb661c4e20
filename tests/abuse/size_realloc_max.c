/* size_realloc_max.c - realloc to a size that no object can have: the block stays.
 * expect: defined
 */
#include <errno.h>

#include "abuse/abuse.h"

int main(void)
{
    char *p = memset(take(100), 'x', 100);
    char *q = memset(take(1 << 20), 'y', 1 << 20);
    errno = 0;
    if (resize(p, SIZE_MAX) || errno != ENOMEM || p[99] != 'x') return 5;
    errno = 0;
    if (resize(q, (size_t)PTRDIFF_MAX + 1) || errno != ENOMEM || q[(1 << 20) - 1] != 'y') return 5;
    give(p);
    give(q);
    return still_works();
}
