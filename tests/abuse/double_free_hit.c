/* double_free_hit.c - a small block freed twice in a row, by a program that has freed many before.
 * expect: not caught
 * failfast: hakmem: double free: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    warm_up(64);
    struct others others = take_others(64);
    char *p = take(64);
    give(p);
    give(misused(p));
    return are_intact(&others);
}
