/* underflow_small_32.c - 32 bytes before a small block are written: the block before has them.
 * expect: not caught
 */
#include "abuse/abuse.h"

int main(void)
{
    struct others others = take_others(200);
    char *p = take(64);
    char *q = take(64);
    memset((p < q ? q : p) - 32, 0x5a, 32);
    give(p);
    give(q);
    return are_intact(&others) || still_works();
}
