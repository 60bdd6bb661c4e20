/* free_wild.c - free of an address that nobody can have.
 * expect: hakmem: invalid pointer: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    give(misused((void *)(uintptr_t)0x4141414141414141));
    return still_works();
}
