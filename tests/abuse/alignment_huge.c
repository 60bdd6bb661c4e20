/* alignment_huge.c - alignments for which there is no address.
 * expect: defined
 */
#include <errno.h>

#include "abuse/abuse.h"

int main(void)
{
    static void *(*volatile take_aligned)(size_t, size_t) = aligned_alloc;
    static int (*volatile take_posix)(void **, size_t, size_t) = posix_memalign;
    void *p = NULL;
    for (int bits = 48; bits < 64; bits++) {
        errno = 0;
        if (take_aligned((size_t)1 << bits, 64) || errno != ENOMEM) return 5;
        if (take_posix(&p, (size_t)1 << bits, SIZE_MAX / 2) != ENOMEM) return 5;
    }
    return still_works();
}
