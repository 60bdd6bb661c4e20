/* option_overflow.c - an option's number does not fit into any integer.
 * env: HAKMEM_PURGE_DELAY=99999999999999999999999999
 * outcome: goes on
 * expect: hakmem: (?=.*HAKMEM_PURGE_DELAY)(?=.*99999999999999999999999999)(?=.*\b0\b)(?=.*\b600000\b).*
 */
#include "abuse/abuse.h"

int main(void)
{
    long value = -1;
    if (hak_option_get("purge_delay", &value) != 0 || value != 1000) return 5;
    return still_works();
}
