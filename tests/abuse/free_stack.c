/* free_stack.c - free of a pointer to the stack.
 * expect: hakmem: invalid pointer: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    char local[64] = "";
    give(misused(local + 16));
    return still_works();
}
