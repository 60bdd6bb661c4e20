/* double_free_purged.c - a small block freed again when its slab has gone back.
 * expect: hakmem: double free: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    enum { BLOCKS = 3000 };
    static char *block[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) block[i] = take(200);
    for (int i = 0; i < BLOCKS; i++) give(block[i]);
    hak_purge();
    give(misused(block[BLOCKS / 2]));
    return still_works();
}
