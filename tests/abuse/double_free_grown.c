/* double_free_grown.c - a block that realloc gave a mapping of its own, freed twice.
 * expect: hakmem: double free: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    char *p = resize(take(2 << 20), 5 << 20);
    give(p);
    give(misused(p));
    return still_works();
}
