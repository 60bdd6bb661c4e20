/* free_uncarved.c - free of an address in a slab that was never handed out.
 * expect: hakmem: invalid pointer: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    char *p = take(16);
    give(misused(p + 40000));
    give(p);
    return still_works();
}
