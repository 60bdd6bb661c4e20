/* free_interior_unit.c - free of a pointer to a later unit of a large block.
 * expect: hakmem: invalid pointer: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    char *p = take(1 << 20);
    give(misused(p + (128 << 10)));
    give(p);
    return still_works();
}
