/* free_interior_medium.c - free of a pointer 4096 bytes into a block of 8000 B.
 * expect: hakmem: invalid pointer: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    char *p = take(8000);
    give(misused(p + 4096));
    give(p);
    return still_works();
}
