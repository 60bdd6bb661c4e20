/* delete_sized_more_large.c - the same with a large block, which is no hit.
 * expect: not caught
 * failfast: hakmem: wrong size: p={p} size=\d+ \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

/* operator delete(void *, std::size_t) */
extern __attribute__((weak)) void delete_sized(void *p, size_t size) __asm__("_ZdlPvm");

int main(void)
{
    char *p = take(100000);
    delete_sized(misused(p), 200000);
    return still_works();
}
