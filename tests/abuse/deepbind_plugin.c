/* deepbind_plugin.c - a library that is loaded with RTLD_DEEPBIND: its malloc is libc's, whatever the program has. */
#include <stdlib.h>
#include <string.h>

static void *(*volatile take)(size_t) = malloc;

char *plugin_text(size_t size);
char *plugin_copy(const char *text);

/* For the caller to free. */
char *plugin_text(size_t size)
{
    char *p = take(size);
    return p ? memset(p, 'd', size) : NULL;
}

/* The same, by a call of libc that allocates. */
char *plugin_copy(const char *text)
{
    return strdup(text);
}
