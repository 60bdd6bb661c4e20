/* double_free_small.c - a block of 100 B freed twice in a row.
 * expect: hakmem: double free: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    char *p = take(100);
    give(p);
    give(misused(p));
    return still_works();
}
