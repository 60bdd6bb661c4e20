/* delete_sized_more.c - operator delete with a size that is more than the block has.
 * expect: not caught
 * failfast: hakmem: wrong size: p={p} size=\d+ \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

/* operator delete(void *, std::size_t) */
extern __attribute__((weak)) void delete_sized(void *p, size_t size) __asm__("_ZdlPvm");

int main(void)
{
    char *p = take(1);
    delete_sized(misused(p), 72);
    return still_works();
}
