/* free_static.c - free of a pointer to static data.
 * expect: hakmem: invalid pointer: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    static char data[64];
    give(misused(data));
    return still_works();
}
