/* realloc_interior_large.c - realloc of a pointer into a large block.
 * expect: hakmem: invalid pointer: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    char *p = take(1 << 20);
    if (resize(misused(p + 16), 100)) return 5;
    give(p);
    return still_works();
}
