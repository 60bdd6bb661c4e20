/* double_free_large.c - a block of 1 MiB freed twice.
 * expect: hakmem: double free: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    char *p = take(1 << 20);
    give(p);
    give(misused(p));
    return still_works();
}
