/* alone.c - a library that is built with a sanitizer starts no thread of its own: instrumented code may run on threads
 * only that the sanitizer knows.
 *
 * Uses:    the library as one include, on the real system; tap.h.
 * Callers: `make check`, under ThreadSanitizer and AddressSanitizer.
 */
#include "../../src/hakmem.c"

#include <dirent.h>
#include <stdio.h>

#include "../tap.h"

static void *(*volatile do_malloc)(size_t) = hak_malloc;
static void (*volatile do_free)(void *) = hak_free;

static int count_threads(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/task");
    for (struct dirent *entry; folder && (entry = readdir(folder));) count += entry->d_name[0] != '.';
    if (folder) closedir(folder);
    return count;
}

/* Visits, each of which would start it. */
static void visit(void)
{
    for (int i = 0; i < 10000; i++) do_free(do_malloc(100000));
}

int main(void)
{
    int before = count_threads(); /* the sanitizer may have its own */
    ok(hak_option_set("background", BACKGROUND_ON) == 0, "the_library_is_told_to_have_a_thread");
    visit();
    ok(before > 0 && count_threads() == before, "a_sanitized_library_starts_no_thread");
    return done_testing();
}
