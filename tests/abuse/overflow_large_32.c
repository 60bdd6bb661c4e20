/* overflow_large_32.c - 32 bytes behind a block of 1 MiB are written.
 * expect: not caught
 */
#include "abuse/abuse.h"

int main(void)
{
    struct others others = take_others(200);
    char *p = take(1 << 20);
    memset(p + (1 << 20), 0x5a, 32);
    give(p);
    return are_intact(&others) || still_works();
}
