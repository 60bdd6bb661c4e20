/* double_free_moved.c - a block is freed that realloc has moved.
 * expect: hakmem: double free: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    char *p = take(100);
    char *q = resize(p, 5000);
    if (q == p) return 5;
    give(misused(p));
    give(q);
    return still_works();
}
