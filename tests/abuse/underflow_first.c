/* underflow_first.c - 32 bytes before the first block of the heap are written.
 * expect: SIGSEGV
 */
#include "abuse/abuse.h"

int main(void)
{
    char *first = lowest_block();
    first[-32] = 1;
    return 0;
}
