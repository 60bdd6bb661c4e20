/* double_free_medium.c - a block of 4 KiB freed twice in a row.
 * expect: hakmem: double free: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    char *p = take(4096);
    give(p);
    give(misused(p));
    return still_works();
}
