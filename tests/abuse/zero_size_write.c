/* zero_size_write.c - a block of no bytes is written.
 * expect: not caught
 */
#include "abuse/abuse.h"

int main(void)
{
    struct others others = take_others(8);
    char *p = take(0);
    *p = 'x';
    give(p);
    return are_intact(&others) || still_works();
}
