/* own_thread.h - the library's own thread, as a program can see it from the system.
 *
 * Callers: tests of what that thread does. They skip where it cannot be, and fail where it should be and is not.
 */
#ifndef HAKMEM_TESTS_OWN_THREAD_H
#define HAKMEM_TESTS_OWN_THREAD_H

#include <dirent.h>
#include <stdbool.h>
#include <sys/prctl.h>

/* Why the library makes no thread in this process, or NULL. Containers often have a filter. */
__attribute__((unused)) static const char *no_own_thread_here(void)
{
    return prctl(PR_GET_SECCOMP) > 0 ? "system calls are filtered, so the library has no thread of its own" : 0;
}

/* ThreadSanitizer has one from the program's first pthread_create() on. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SANITIZERS_TASKS 1
#endif
#endif
#ifndef SANITIZERS_TASKS
#define SANITIZERS_TASKS 0
#endif

/* All threads of the process, the library's and a sanitizer's included. */
__attribute__((unused)) static int count_tasks(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/task");
    for (struct dirent *entry; folder && (entry = readdir(folder));) count += entry->d_name[0] != '.';
    if (folder) closedir(folder);
    return count;
}

#endif
