/* free_interior_8.c - free of a pointer 8 bytes into a block of 100 B.
 * expect: hakmem: invalid pointer: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    char *p = take(100);
    give(misused(p + 8));
    give(p);
    return still_works();
}
