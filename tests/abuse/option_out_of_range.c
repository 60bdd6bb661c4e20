/* option_out_of_range.c - an option's value is one above its range.
 * env: HAKMEM_PURGE_DELAY=600001
 * outcome: goes on
 * expect: hakmem: (?=.*HAKMEM_PURGE_DELAY)(?=.*600001)(?=.*\b0\b)(?=.*\b600000\b).*
 */
#include "abuse/abuse.h"

int main(void)
{
    long value = -1;
    if (hak_option_get("purge_delay", &value) != 0 || value != 1000) return 5;
    return still_works();
}
