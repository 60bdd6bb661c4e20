/* free_interior_long.c - free of the middle of a block of 10 MiB.
 * expect: hakmem: invalid pointer: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    char *p = take(10 << 20);
    give(misused(p + (5 << 20)));
    give(p);
    return still_works();
}
