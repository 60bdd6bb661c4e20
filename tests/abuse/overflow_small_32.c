/* overflow_small_32.c - 32 bytes behind a small block are written: the next block, which is free, loses its link.
 * expect: hakmem: corrupted free list: p=0x[0-9a-f]+ size=\d+ \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    warm_up(64);
    char *p = take(64);
    char *q = take(64);
    char *low = p < q ? p : q;
    char *high = p < q ? q : p;
    if (high - low != 64) return 5;
    give(high);
    memset(low, 0x5a, 64 + 32);
    give(low);
    hak_purge();
    return still_works();
}
