/* double_free_moved_large.c - a block is freed that realloc has moved from 1 MiB to a mapping of its own.
 * expect: hakmem: double free: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    char *p = take(1 << 20);
    char *q = resize(p, 100 << 20);
    if (q == p) return 5;
    give(misused(p));
    give(q);
    return still_works();
}
