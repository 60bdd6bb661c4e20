/* double_free_interleaved.c - a small block freed again after one other.
 * expect: hakmem: double free: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    char *p = take(48);
    char *q = take(48);
    give(p);
    give(q);
    give(misused(p));
    return still_works();
}
