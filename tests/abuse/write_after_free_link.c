/* write_after_free_link.c - the first word of a freed block is written: seen when the bin goes back.
 * expect: hakmem: corrupted free list: p=0x[0-9a-f]+ size=\d+ \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    warm_up(64);
    char *p = take(64);
    give(p);
    memset(p, 0x5a, 8);
    (void)take(64);
    hak_purge();
    return still_works();
}
