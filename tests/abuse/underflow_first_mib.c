/* underflow_first_mib.c - the byte 1 MiB before the first block of the heap is written.
 * expect: SIGSEGV
 */
#include "abuse/abuse.h"

int main(void)
{
    char *first = lowest_block();
    first[-(1 << 20)] = 1;
    return 0;
}
