/* zero_size_read.c - a block of no bytes is read.
 * expect: not caught
 */
#include "abuse/abuse.h"

int main(void)
{
    struct others others = take_others(8);
    volatile char *p = take(0);
    char c = *p;
    (void)c;
    give((void *)(uintptr_t)p);
    return are_intact(&others) || still_works();
}
