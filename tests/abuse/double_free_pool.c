/* double_free_pool.c - a block of 32 KiB freed twice in a row.
 * expect: hakmem: double free: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    char *p = take(32 << 10);
    give(p);
    give(misused(p));
    return still_works();
}
