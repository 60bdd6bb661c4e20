/* free_text.c - free of a string literal.
 * expect: hakmem: invalid pointer: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    give(misused((void *)(uintptr_t)"a text that nobody allocated"));
    return still_works();
}
