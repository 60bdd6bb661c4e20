/* free_sized_less.c - free_sized with a size that is less than the block has.
 * expect: not caught
 */
#include "abuse/abuse.h"

extern __attribute__((weak)) void free_sized(void *p, size_t size);

int main(void)
{
    struct others others = take_others(5000);
    free_sized(take(5000), 100);
    return are_intact(&others) || still_works();
}
