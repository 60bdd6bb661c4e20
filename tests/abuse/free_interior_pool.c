/* free_interior_pool.c - free of a pointer 16 << 10 bytes into a block of 40000 B.
 * expect: hakmem: invalid pointer: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    char *p = take(40000);
    give(misused(p + (16 << 10)));
    give(p);
    return still_works();
}
