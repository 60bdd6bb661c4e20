/* realloc_static.c - realloc of static memory.
 * expect: hakmem: invalid pointer: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    static char memory[256];
    if (resize(misused(memory + 64), 500)) return 5;
    return still_works();
}
