/* read_after_free.c - a block is read after it was freed.
 * expect: not caught
 */
#include "abuse/abuse.h"

int main(void)
{
    struct others others = take_others(64);
    volatile char *p = take(64);
    give((void *)(uintptr_t)p);
    char c = p[40];
    (void)c;
    return are_intact(&others) || still_works();
}
