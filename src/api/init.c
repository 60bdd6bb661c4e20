/* init.c - what happens when the library is loaded and when the process ends.
 *
 * Uses: os, image, option, arena, foreign, pressure, stats, atfork.c, start.S. Allocation does not wait for
 * this: calls made earlier get the default options.
 */
#include "../diag/message.h"
#include "../diag/option.h"
#include "../front/foreign.h"
#include "../os/image.h"
#include "../os/os.h"
#include "../service/pressure.h"
#include "../service/stats.h"
#include "../space/arena.h"
#include "api.h"

static void start_parts(char **environment)
{
    os_start(environment);
    foreign_init();
    option_read_environment();
    arena_start();
    pressure_start();
}

static bool tells_at_end(void)
{
    return option_get(OPTION_show_stats) || option_get(OPTION_counters);
}

/* Before all constructors: our fork handlers shall be innermost, and lock last; and no second thread may be in the
 * allocator before they are there. The shared library is linked so that the dynamic linker comes here before it has
 * started any other, libc included; in a program .preinit_array does the same. In other libraries this is one
 * constructor among others. */
static void library_start(int argc, char **argv, char **environment)
{
    (void)argc, (void)argv;
    image_stay();
    start_parts(environment);
    api_serve_forks();
    if (tells_at_end()) os_keep_output();
    if (!option_get(OPTION_verbose)) return;
    message_print("version %s, build %s", HAK_VERSION, HAK_BUILD_ID);
    option_print_all();
}

/* In a program with the archive this is called twice: by what start.S has put before all constructors, and as one of
 * them. The names are those that start.S tells of. */
REFERRED_TO __attribute__((visibility("hidden"))) void hak_start(int argc, char **argv, char **environment)
{
    static bool started;
    if (HAK_START_OBJECTS) __asm__ volatile(".globl _IO_stdin_used\n\t.globl hak_start_program");
    if (started) return;
    started = true;
    library_start(argc, argv, environment);
}

/* As __attribute__((constructor(101))) enters it, whose functions gcc's link-time optimiser calls without arguments. */
__attribute__((section(HAK_START_SECTION), used)) static void (*start_entry)(int, char **, char **) = hak_start;

__attribute__((destructor(101))) static void library_end(void)
{
    if (!tells_at_end() || !os_find_output()) return;
    if (option_get(OPTION_show_stats)) stats_print();
    if (option_get(OPTION_counters)) (void)stats_verify_counters();
}
