/* free_interior_16.c - free of a pointer 16 bytes into a block of 100 B.
 * expect: hakmem: invalid pointer: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    char *p = take(100);
    give(misused(p + 16));
    give(p);
    return still_works();
}
