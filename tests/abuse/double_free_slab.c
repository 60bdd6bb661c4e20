/* double_free_slab.c - a double free is seen when the last block of the slab seems to come home.
 * expect: hakmem: double free: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    enum { BLOCKS = 20 };
    char *block[BLOCKS];
    warm_up(2000);
    for (int i = 0; i < BLOCKS; i++) block[i] = take(2000);
    hak_purge();
    give(block[5]);
    hak_purge(); /* home */
    for (int i = 0; i < BLOCKS; i++)
        if (i != 5 && i != 9) give(block[i]);
    give(misused(block[5]));
    hak_purge();
    return still_works();
}
