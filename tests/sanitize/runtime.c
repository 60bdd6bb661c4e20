/* runtime.c - what a test's program needs to run under a sanitizer, when the library in it has other names.
 *
 * Uses: nothing of ours. Linked with each program that tests/sanitize/tree.mk builds.
 *
 * A report ends the process at once, so that a test sees it in a child. A child of a program with threads may have
 * threads of its own. A process that ends waits for the last races of its threads for 10 ms, not for a second. What
 * hangs on blocks of hakmem's only would count as lost.
 */
#include <stdlib.h>
#include <string.h>

const char *__tsan_default_options(void);
const char *__asan_default_options(void);
char *hakmem_strdup(const char *text);

const char *__tsan_default_options(void)
{
    return "halt_on_error=1:die_after_fork=0:atexit_sleep_ms=10";
}

const char *__asan_default_options(void)
{
    return "detect_leaks=0";
}

/* malloc() is the library's in this file, too. */
char *hakmem_strdup(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = malloc(size);
    return copy ? memcpy(copy, text, size) : NULL;
}
