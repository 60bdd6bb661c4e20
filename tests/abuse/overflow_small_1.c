/* overflow_small_1.c - a byte is written behind what was asked for, within the block.
 * expect: not caught
 */
#include "abuse/abuse.h"

int main(void)
{
    struct others others = take_others(100);
    char *p = take(100);
    p[100] = 1;
    give(p);
    return are_intact(&others) || still_works();
}
