/* init.c - what happens when the library is loaded and when the process ends.
 *
 * Uses: option, foreign, stats. Allocation does not wait for this: calls made earlier get the
 * default options.
 */
#include "../diag/message.h"
#include "../diag/option.h"
#include "../front/foreign.h"
#include "../service/stats.h"

/* Early among constructors: others may have a pointer of libc's to free already. */
__attribute__((constructor(101))) static void library_start(void)
{
    foreign_init();
    option_read_environment();
    if (!option_get(OPTION_verbose)) return;
    message_print("version %s, build %s", HAK_VERSION, HAK_BUILD_ID);
    option_print_all();
}

__attribute__((destructor(101))) static void library_end(void)
{
    if (option_get(OPTION_show_stats)) stats_print();
    if (option_get(OPTION_counters)) (void)stats_verify_counters();
}
