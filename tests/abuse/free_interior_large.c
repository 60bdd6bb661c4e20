/* free_interior_large.c - free of a pointer into a large block.
 * expect: hakmem: invalid pointer: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    char *p = take(1 << 20);
    give(misused(p + 16));
    give(p);
    return still_works();
}
