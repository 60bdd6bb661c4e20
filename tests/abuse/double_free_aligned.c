/* double_free_aligned.c - a block of aligned_alloc freed twice.
 * expect: hakmem: double free: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    char *p = aligned_alloc(256, 512);
    give(p);
    give(misused(p));
    return still_works();
}
