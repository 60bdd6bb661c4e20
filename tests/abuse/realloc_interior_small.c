/* realloc_interior_small.c - realloc of a pointer into a small block.
 * expect: hakmem: invalid pointer: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    char *p = take(100);
    if (resize(misused(p + 16), 200)) return 5;
    give(p);
    return still_works();
}
