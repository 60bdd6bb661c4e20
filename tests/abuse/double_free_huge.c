/* double_free_huge.c - a block of 64 MiB freed twice.
 * expect: hakmem: double free: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    char *p = take(64 << 20);
    give(p);
    give(misused(p));
    return still_works();
}
