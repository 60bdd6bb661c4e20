/* size_ptrdiff_max.c - the largest sizes that an object could have.
 * expect: defined
 */
#include <errno.h>

#include "abuse/abuse.h"

int main(void)
{
    errno = 0;
    if (take(PTRDIFF_MAX) || errno != ENOMEM) return 5;
    errno = 0;
    if (take((size_t)1 << 62) || errno != ENOMEM) return 5;
    return still_works();
}
