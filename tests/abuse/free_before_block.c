/* free_before_block.c - free of a pointer before a large block.
 * expect: hakmem: invalid pointer: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    char *p = take(1 << 20);
    char *q = take(1 << 20);
    char *last = p > q ? p : q;
    give(misused(last - 16));
    give(p);
    give(q);
    return still_works();
}
