/* double_free_ring_of_many.c - the same with a ring of 40 blocks, and more mallocs than frees.
 * expect: hakmem: (double free|corrupted free list): p=0x[0-9a-f]+ size=\d+ \(see hakmem-errors\(7\)\)
 * failfast: hakmem: double free: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    enum { BLOCKS = 40 };
    char *block[BLOCKS];
    warm_up(64);
    for (int i = 0; i < BLOCKS; i++) block[i] = take(64);
    for (int i = 0; i < BLOCKS; i++) give(block[i]);
    give(misused(block[0]));
    for (int i = 0; i < 300000; i++) {
        (void)take(64);
        give(take(64));
    }
    return still_works();
}
