/* zero_size.c - blocks of no bytes: each has an address of its own.
 * expect: defined
 */
#include "abuse/abuse.h"

int main(void)
{
    enum { BLOCKS = 1000 };
    static char *block[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        block[i] = take(0);
        if (!block[i]) return 5;
        *(int *)block[i] = i; /* it has room for this, which nobody promises */
    }
    for (int i = 0; i < BLOCKS; i++)
        if (*(int *)block[i] != i) return 6;
    for (int i = 0; i < BLOCKS; i++) give(block[i]);
    return still_works();
}
