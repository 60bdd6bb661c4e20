/* free_interior_half.c - free of a pointer halfway into a block of 100 B.
 * expect: hakmem: invalid pointer: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    char *p = take(100);
    give(misused(p + 50));
    give(p);
    return still_works();
}
