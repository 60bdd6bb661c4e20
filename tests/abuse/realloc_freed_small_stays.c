/* realloc_freed_small_stays.c - realloc of a small block that was freed, to a size for which it need not move.
 * expect: not caught
 */
#include "abuse/abuse.h"

int main(void)
{
    struct others others = take_others(100);
    char *p = take(100);
    give(p);
    char *q = resize(misused(p), 80);
    if (q != p) return 5;
    return still_works() + are_intact(&others);
}
