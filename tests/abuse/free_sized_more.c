/* free_sized_more.c - free_sized with a size that is more than the block has.
 * expect: hakmem: wrong size: p={p} size=\d+ \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

extern __attribute__((weak)) void free_sized(void *p, size_t size);

int main(void)
{
    char *p = take(100);
    free_sized(misused(p), 5000);
    return still_works();
}
