/* size_max.c - sizes that no object can have.
 * expect: defined
 */
#include <errno.h>

#include "abuse/abuse.h"

int main(void)
{
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 4096, (size_t)PTRDIFF_MAX + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        errno = 0;
        if (take(sizes[i]) || errno != ENOMEM) return 5;
    }
    return still_works();
}
