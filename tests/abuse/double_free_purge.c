/* double_free_purge.c - a double free that was not seen at once is seen when the bin goes back.
 * expect: hakmem: (double free: p={p}|corrupted free list: p=0x[0-9a-f]+) size=\d+ \(see hakmem-errors\(7\)\)
 * failfast: hakmem: double free: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    warm_up(64);
    char *other = take(64);
    char *p = take(64);
    give(p);
    give(other);
    give(misused(p));
    hak_purge();
    return still_works();
}
