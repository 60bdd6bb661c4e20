/* option_unknown_word.c - an option's value is none of its words.
 * env: HAKMEM_ON_ERROR=maybe
 * outcome: goes on
 * expect: hakmem: (?=.*HAKMEM_ON_ERROR)(?=.*maybe)(?=.*abort)(?=.*report).*
 */
#include "abuse/abuse.h"

int main(void)
{
    long value = -1;
    if (hak_option_get("on_error", &value) != 0 || value != 0) return 5;
    return still_works();
}
