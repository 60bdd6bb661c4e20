/* write_after_free.c - a freed block is written behind its first word.
 * expect: not caught
 * failfast: hakmem: corrupted free list: p=0x[0-9a-f]+ size=\d+ \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    struct others others = take_others(64);
    char *p = take(64);
    give(p);
    memset(p + 8, 0x5a, 56);
    give(take(64));
    return are_intact(&others) || still_works();
}
