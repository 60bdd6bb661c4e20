/* alloc_on_load.c - a library that allocates in its constructor and frees in its destructor, for
 * plugin_test and dlopen_test.
 */
#include <stdlib.h>
#include <string.h>

static char *volatile kept;
static void *(*volatile take)(size_t) = malloc;
static void (*volatile give)(void *) = free;

__attribute__((constructor)) static void load(void)
{
    kept = take(5000);
    if (kept) memset(kept, 'k', 5000);
}

__attribute__((destructor)) static void unload(void)
{
    give(kept);
}

const char *plugin_block(void);
const char *plugin_block(void)
{
    return kept;
}
