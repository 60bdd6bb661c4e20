/* free_interior_huge.c - free of a pointer into a mapping of its own.
 * expect: hakmem: invalid pointer: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    char *p = take(100 << 20);
    give(misused(p + 4096));
    give(p);
    return still_works();
}
