/* calling_interposer.c - a preloaded library that wraps mmap, munmap, madvise, open, clock_gettime and pthread_create,
 * and calls dlsym and malloc in each: what profilers and sandboxes do, and what has hung other allocators
 * in endless recursion (jemalloc#329, #907).
 *
 * dlsym is asked each time, never cached; and for a name that is nowhere, since the failure path of dlsym
 * allocates.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <time.h>

int interposed_calls; /* read by the test: the wrappers were there */

static __thread int depth; /* the wrapper's own calls are not wrapped again without end */

static void *real(const char *name)
{
    int calls = __atomic_add_fetch(&interposed_calls, 1, __ATOMIC_RELAXED);
    if (depth < 2) {
        depth++;
        void *volatile p = malloc(77 + calls % 50 * 1300); /* most of which no bin has */
        dlsym(RTLD_DEFAULT, "a_name_that_is_nowhere");
        free(p);
        depth--;
    }
    return dlsym(RTLD_NEXT, name);
}

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    void *(*next)(void *, size_t, int, int, int, off_t) = (void *(*)(void *, size_t, int, int, int, off_t))real("mmap");
    return next(address, length, protection, flags, fd, offset);
}

int munmap(void *address, size_t length)
{
    int (*next)(void *, size_t) = (int (*)(void *, size_t))real("munmap");
    return next(address, length);
}

int madvise(void *address, size_t length, int advice)
{
    int (*next)(void *, size_t, int) = (int (*)(void *, size_t, int))real("madvise");
    return next(address, length, advice);
}

int open(const char *path, int flags, ...)
{
    int (*next)(const char *, int, ...) = (int (*)(const char *, int, ...))real("open");
    va_list list;
    va_start(list, flags);
    int mode = va_arg(list, int);
    va_end(list);
    return next(path, flags, mode);
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    int (*next)(clockid_t, struct timespec *) = (int (*)(clockid_t, struct timespec *))real("clock_gettime");
    return next(clock, time);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *), void *argument)
{
    int (*next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) =
        (int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))real("pthread_create");
    return next(thread, attributes, body, argument);
}
