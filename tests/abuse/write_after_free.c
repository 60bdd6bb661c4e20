/* write_after_free.c - a freed block is written behind its first word.
 * expect: not caught
 */
#include "abuse/abuse.h"

int main(void)
{
    struct others others = take_others(64);
    char *p = take(64);
    give(p);
    memset(p + 8, 0x5a, 56);
    return are_intact(&others) || still_works();
}
