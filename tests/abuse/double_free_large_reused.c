/* double_free_large_reused.c - the same with a block of 1 MiB.
 * expect: hakmem: double free: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    char *p = take(1 << 20);
    give(p);
    char *q = take(1 << 20);
    if (q != p) return 5;
    give(p);
    give(misused(q));
    return still_works();
}
