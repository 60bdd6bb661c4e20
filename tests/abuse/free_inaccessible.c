/* free_inaccessible.c - free of a pointer into a mapping that cannot be read.
 * expect: hakmem: invalid pointer: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include <sys/mman.h>

#include "abuse/abuse.h"

int main(void)
{
    char *p = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    give(misused(p + 4096 + 16));
    return still_works();
}
