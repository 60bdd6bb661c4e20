/* free_sized_more_large.c - the same with a block of 1 MiB.
 * expect: hakmem: wrong size: p={p} size=\d+ \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

extern __attribute__((weak)) void free_sized(void *p, size_t size);

int main(void)
{
    char *p = take(1 << 20);
    free_sized(misused(p), 2 << 20);
    return still_works();
}
