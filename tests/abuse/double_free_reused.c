/* double_free_reused.c - a small block freed twice by each of two owners: it was handed out again in between.
 * expect: hakmem: double free: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    char *p = take(48);
    give(p);
    char *q = take(48);
    if (q != p) return 5;
    give(p);
    give(misused(q));
    return still_works();
}
