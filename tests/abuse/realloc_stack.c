/* realloc_stack.c - realloc of a pointer to the stack.
 * expect: hakmem: invalid pointer: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    char local[64] = "";
    if (resize(misused(local + 16), 100)) return 5;
    return still_works();
}
