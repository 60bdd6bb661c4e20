/* double_free_long.c - a block of 10 MiB freed twice.
 * expect: hakmem: double free: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    char *p = take(10 << 20);
    give(p);
    give(misused(p));
    return still_works();
}
