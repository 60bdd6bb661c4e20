/* free_aligned_sized_off.c - free_aligned_sized with an alignment that the block does not have.
 * expect: hakmem: wrong size: p={p} size=\d+ \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

extern __attribute__((weak)) void free_aligned_sized(void *p, size_t alignment, size_t size);

int main(void)
{
    char *p = take(16), *q = take(16);
    char *odd = (uintptr_t)p % 32 ? p : q; /* neighbours: one of two */
    free_aligned_sized(misused(odd), 32, 16);
    return still_works();
}
