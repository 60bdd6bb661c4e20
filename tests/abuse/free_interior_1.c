/* free_interior_1.c - free of a pointer 1 bytes into a block of 100 B.
 * expect: hakmem: invalid pointer: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    char *p = take(100);
    give(misused(p + 1));
    give(p);
    return still_works();
}
