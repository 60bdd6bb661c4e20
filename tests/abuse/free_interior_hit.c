/* free_interior_hit.c - free of a pointer into a small block, by a program that has freed many before.
 * expect: not caught
 * failfast: hakmem: invalid pointer: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    warm_up(64);
    struct others others = take_others(64);
    char *p = take(64);
    give(misused(p + 16));
    return are_intact(&others);
}
