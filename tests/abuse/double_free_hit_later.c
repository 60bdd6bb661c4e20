/* double_free_hit_later.c - a small block freed again after 100 others, by a program that has freed many before.
 * expect: not caught
 * failfast: hakmem: double free: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    enum { BLOCKS = 100 };
    char *block[BLOCKS];
    warm_up(64);
    struct others others = take_others(64);
    for (int i = 0; i < BLOCKS; i++) block[i] = take(64);
    for (int i = 0; i < BLOCKS; i++) give(block[i]);
    give(misused(block[0]));
    return are_intact(&others);
}
