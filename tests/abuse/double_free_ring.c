/* double_free_ring.c - malloc and free go on after a double free that was not seen: no loop without an end.
 * expect: hakmem: (double free|corrupted free list): p=0x[0-9a-f]+ size=\d+ \(see hakmem-errors\(7\)\)
 * failfast: hakmem: double free: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    warm_up(64);
    char *p = take(64);
    give(p);
    give(misused(p));
    for (int i = 0; i < 300000; i++) give(take(64));
    return still_works();
}
