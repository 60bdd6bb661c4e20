/* free_interior_purge.c - such a pointer is found when the bin goes back.
 * expect: hakmem: corrupted free list: p={p} size=\d+ \(see hakmem-errors\(7\)\)
 * failfast: hakmem: invalid pointer: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    warm_up(64);
    char *p = take(64);
    give(misused(p + 16));
    hak_purge();
    return still_works();
}
