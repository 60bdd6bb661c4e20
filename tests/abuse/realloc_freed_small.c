/* realloc_freed_small.c - realloc of a small block that was freed: seen when it has to move.
 * expect: hakmem: double free: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    char *p = take(100);
    give(p);
    char *q = resize(misused(p), 5000);
    give(q);
    return still_works();
}
