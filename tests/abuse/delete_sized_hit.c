/* delete_sized_hit.c - the same, by a program that has freed many before: the right block is freed all the same.
 * expect: not caught
 * failfast: hakmem: wrong size: p={p} size=\d+ \(see hakmem-errors\(7\)\)
 */
#include "abuse/abuse.h"

/* operator delete(void *, std::size_t) */
extern __attribute__((weak)) void delete_sized(void *p, size_t size) __asm__("_ZdlPvm");

int main(void)
{
    warm_up(8);
    struct others others = take_others(8);
    delete_sized(misused(take(1)), 72);
    return are_intact(&others) || still_works();
}
