/* free_code.c - free of a function.
 * expect: hakmem: invalid pointer: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    give(misused((void *)(uintptr_t)main));
    return still_works();
}
