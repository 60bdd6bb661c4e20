/* option_no_number.c - an option's value is a word where a number is due.
 * env: HAKMEM_PURGE_DELAY=banana
 * outcome: goes on
 * expect: hakmem: (?=.*HAKMEM_PURGE_DELAY)(?=.*banana)(?=.*\b0\b)(?=.*\b600000\b).*
 */
#include "abuse/abuse.h"

int main(void)
{
    long value = -1;
    if (hak_option_get("purge_delay", &value) != 0 || value != 1000) return 5;
    return still_works();
}
