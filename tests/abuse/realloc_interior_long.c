/* realloc_interior_long.c - realloc of a pointer into a later SuperSlab of a block of 10 MiB.
 * expect: hakmem: invalid pointer: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    char *p = take(10 << 20);
    if (resize(misused(p + (7 << 20) + 64), 20 << 20)) return 5;
    give(p);
    return still_works();
}
