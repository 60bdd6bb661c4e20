/* free_environment.c - free of what getenv returned.
 * expect: hakmem: invalid pointer: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

int main(void)
{
    give(misused(getenv("PATH")));
    return still_works();
}
