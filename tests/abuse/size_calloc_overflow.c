/* size_calloc_overflow.c - a product that overflows, in calloc.
 * expect: defined
 */
#include <errno.h>

#include "abuse/abuse.h"

int main(void)
{
    static void *(*volatile take_cleared)(size_t, size_t) = calloc;
    errno = 0;
    if (take_cleared(SIZE_MAX / 2 + 1, 2) || errno != ENOMEM) return 5;
    errno = 0;
    if (take_cleared((size_t)1 << 33, (size_t)1 << 33) || errno != ENOMEM) return 5;
    return still_works();
}
