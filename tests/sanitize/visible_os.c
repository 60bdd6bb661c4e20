/* visible_os.c - os.h for the sanitizers: Linux, by calls that they can see.
 *
 * Uses:    os/linux.c, os/inherited.c, os/thread.c. Included by src/hakmem.c in the place of these and os/sleep.c.
 * Callers: the library, through os.h and thread.h.
 * Locks:   none.
 *
 * Memory comes and goes by libc's mmap() and munmap(), which the sanitizers watch: what they believe about an address
 * is forgotten with the mapping. Of mremap() ThreadSanitizer knows nothing: what it leaves behind is unmapped here once
 * more. The library's own thread is one of libc's, since instrumented code runs on no other. To it no thread sleeps: a
 * sanitizer may sleep in the middle of the library's code.
 *
 * Everything else is what programs run on: the clock, the environment, standard error.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#define system_call kernel_call
#include "../../src/os/system_call.h"
#undef system_call

static long result_of(void *p)
{
    return p == MAP_FAILED ? -(long)errno : (long)p;
}

/* The place is empty, or another thread's by now. */
static void forget(long at, long size)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
    if (size <= 0) return;
    void *p = mmap((void *)at, (size_t)size, PROT_NONE, flags, -1, 0);
    if (p != MAP_FAILED) munmap(p, (size_t)size);
}

static long visible_remap(long at, long size, long new_size, long flags, long to)
{
    long result = kernel_call(SYS_mremap, at, size, new_size, flags, to, 0);
    if (system_call_failed(result)) return result;
    if (result != at) forget(at, size);
    else forget(at + new_size, size - new_size);
    return result;
}

static long visible_call(long number, long a, long b, long c, long d, long e, long f)
{
    int saved = errno;
    long result;
    switch (number) {
    case SYS_mmap: result = result_of(mmap((void *)a, (size_t)b, (int)c, (int)d, (int)e, f)); break;
    case SYS_munmap: result = munmap((void *)a, (size_t)b) == 0 ? 0 : -(long)errno; break;
    case SYS_mremap: result = visible_remap(a, b, c, d, e); break;
    default: result = kernel_call(number, a, b, c, d, e, f);
    }
    errno = saved;
    return result;
}

#define system_call visible_call
#define os_thread_start clone_start
#include "../../src/os/linux.c"
#include "../../src/os/inherited.c"
#include "../../src/os/thread.c"
#undef os_thread_start

bool os_thread_start(struct os_thread *thread, int (*main)(bool alone));

static void *visible_begin(void *argument)
{
    struct os_thread *thread = argument;
    store_release(&thread->id, os_thread_number());
    (void)thread_main(true); /* not quite: it shares the program's files, and may open some */
    store_release(&thread->id, 0);
    return NULL;
}

bool os_thread_start(struct os_thread *thread, int (*main)(bool alone))
{
    pthread_t unused;
    pthread_attr_t detached;
    sigset_t all;
    sigset_t before;
    uint32_t waiting = load_acquire(&thread->id);
    thread_main = main;
    sigfillset(&all);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool done = pthread_create(&unused, &detached, visible_begin, thread) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&detached);
    while (done && load_acquire(&thread->id) == waiting) sched_yield();
    return done;
}

bool os_thread_sleeps(uint32_t number, const void *storage)
{
    (void)number;
    (void)storage;
    return false;
}

bool os_thread_sleep_shows(void)
{
    return false;
}
