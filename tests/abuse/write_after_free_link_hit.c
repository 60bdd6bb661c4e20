/* write_after_free_link_hit.c - the first word of a freed block is written, and no call meets it.
 * expect: not caught
 */
#include "abuse/abuse.h"

int main(void)
{
    struct others others = take_others(64);
    warm_up(64);
    char *p = take(64);
    give(p);
    memset(p, 0x5a, 8);
    return are_intact(&others);
}
