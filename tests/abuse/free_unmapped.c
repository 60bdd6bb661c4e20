/* free_unmapped.c - free of a pointer into a mapping that is gone.
 * expect: hakmem: invalid pointer: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include <sys/mman.h>

#include "abuse/abuse.h"

int main(void)
{
    char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(p, 1 << 20);
    give(misused(p + 4096));
    return still_works();
}
