/* option_switch_out_of_range.c - a switch is given 2.
 * env: HAKMEM_DRAIN=2
 * outcome: goes on
 * expect: hakmem: (?=.*HAKMEM_DRAIN)(?=.*\b2\b)(?=.*\b0\b)(?=.*\b1\b).*
 */
#include "abuse/abuse.h"

int main(void)
{
    long value = -1;
    if (hak_option_get("drain", &value) != 0 || value != 1) return 5;
    return still_works();
}
