/* write_after_free_large.c - a block of 1 MiB is written after it was freed.
 * expect: not caught
 */
#include "abuse/abuse.h"

int main(void)
{
    struct others others = take_others(64);
    char *p = take(1 << 20);
    give(p);
    memset(p, 0x5a, 1 << 20);
    return are_intact(&others) || still_works();
}
