/* alignment_no_power.c - alignments that are no power of two.
 * expect: defined
 */
#include <errno.h>

#include "abuse/abuse.h"

int main(void)
{
    static void *(*volatile take_aligned)(size_t, size_t) = aligned_alloc;
    static int (*volatile take_posix)(void **, size_t, size_t) = posix_memalign;
    static const size_t wrong[] = {0, 3, 24, 48, 4095, SIZE_MAX, SIZE_MAX - 1};
    void *p = &p;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        errno = 0;
        if (take_aligned(wrong[i], 64) || errno != EINVAL) return 5;
        if (take_posix(&p, wrong[i], 64) != EINVAL || p != (void *)&p) return 5;
    }
    if (take_posix(&p, 4, 64) != EINVAL) return 5; /* less than a pointer's */
    return still_works();
}
