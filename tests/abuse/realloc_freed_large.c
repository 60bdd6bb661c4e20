/* realloc_freed_large.c - realloc of a block of 1 MiB that was freed.
 * expect: hakmem: double free: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    char *p = take(1 << 20);
    give(p);
    if (resize(misused(p), 2 << 20)) return 5;
    return still_works();
}
