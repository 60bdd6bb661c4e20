/* atfork.c - what libc's fork() calls of ours: for how long, and in which order with libc's own.
 *
 * Uses: fork (cache), background, pressure, libc. Callers: init.c. Locks: libc's list of streams, then all of ours.
 *
 * Beside other threads glibc's fork() takes the list of all streams behind the handlers, and only then locks its own
 * malloc: who has the list may wait for who has a stream, and who has a stream may be in malloc, as in getline(). So
 * the list comes before our locks: it is taken here, and once more by libc.
 *
 * In the child libc has made the list anew before it comes here. Where it knows of one thread only it does not, and the
 * list is left alone here, too: that thread may have it, and have been interrupted by a signal whose handler forks.
 */
#include <pthread.h>

#include "../cache/fork.h"
#include "../service/background.h"
#include "../service/pressure.h"
#include "api.h"

/* glibc's, in no header, all but one of every version since 2.3.2; other C libraries have none of them. */
#pragma weak _IO_list_lock
#pragma weak _IO_list_unlock
#pragma weak _IO_list_resetlock
#pragma weak __register_atfork
#pragma weak __libc_single_threaded /* since 2.32 */
void _IO_list_lock(void);
void _IO_list_unlock(void);
void _IO_list_resetlock(void);
int __register_atfork(void (*prepare)(void), void (*parent)(void), void (*child)(void), void *image);
extern char __libc_single_threaded;

static TLS_INITIAL_EXEC uint8_t lists_taken; /* by forks of this thread, which has the list */

static void take_list(void)
{
    bool alone = &__libc_single_threaded && __libc_single_threaded;
    if (alone || !_IO_list_lock) return;
    _IO_list_lock();
    lists_taken++;
}

static void give_list(void)
{
    if (lists_taken == 0) return;
    lists_taken--;
    _IO_list_unlock();
}

static void renew_list(void)
{
    if (lists_taken == 0) return;
    lists_taken = 0;
    _IO_list_resetlock();
}

static void prepare_fork(void)
{
    take_list();
    fork_prepare();
}

static void start_parent(void)
{
    fork_parent();
    give_list();
}

static void start_child(void)
{
    renew_list();
    fork_child();
    pressure_child();
    background_forget();
}

/* glibc forgets the handlers of an image whose destructors have run, though ours stays, and is called. Of no image they
 * are for good. Either call fails only when memory is out before main. */
void api_serve_forks(void)
{
    if (__register_atfork)
        (void)__register_atfork(prepare_fork, start_parent, start_child, NULL);
    else
        (void)pthread_atfork(prepare_fork, start_parent, start_child);
}
