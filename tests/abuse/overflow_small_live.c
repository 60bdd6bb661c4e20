/* overflow_small_live.c - 32 bytes behind a small block are written: the next block, which is used, has them.
 * expect: not caught
 */
#include "abuse/abuse.h"

int main(void)
{
    struct others others = take_others(200);
    char *p = take(64);
    char *q = take(64);
    memset(p < q ? p : q, 0x5a, 64 + 32);
    give(p);
    give(q);
    return are_intact(&others) || still_works();
}
