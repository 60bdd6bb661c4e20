/* free_break.c - free of memory that the program took by sbrk.
 * expect: hakmem: invalid pointer: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    char *p = sbrk(8192);
    p += 16 - (uintptr_t)p % 16;
    memset(p, 0x5a, 4096);
    give(misused(p + 64));
    return still_works();
}
