/* thread.h - a thread that the C library does not know of.
 *
 * Implemented by thread.c, inherited.c and sleep.c, and by the tests' fake. Callers: cache, service, front/foreign.c.
 *
 * pthread_create() may not be called out of malloc: it allocates, takes locks of libc and may be interposed; and a
 * thread of libc's counts when main has returned or the last thread ends. So this one is made by clone(). It shares
 * memory and nothing else that a program could notice: all signals are blocked, its table of descriptors is empty, its
 * folder is the root.
 * The code that runs on it may use this library and system calls of our own making, nothing else of libc.
 */
#ifndef HAK_OS_THREAD_H
#define HAK_OS_THREAD_H

#include "os.h"

struct os_thread {
    uint32_t id;      /* its number; 0 = there is none: the system clears it when the thread is gone */
    uint32_t process; /* whose it is; a child of a fork has it not */
    void *memory;     /* its stack and thread-local storage; kept for the next */
    size_t size;
};

/* Runs main() on a thread, with every thread-local variable of this library zero. One start at a time. alone = it
 * has nothing else of the thread that made it (inherited.h); else it should end.
 * false = refused, by the system or because this is no place for a thread: a setuid program, a sandbox, a sanitizer,
 * a real-time thread that may keep it from running. */
INTERNAL bool os_thread_start(struct os_thread *thread, int (*main)(bool alone));

/* Waits until the thread with this number is gone, and a second at most: what keeps it may last. */
INTERNAL void os_thread_join(const struct os_thread *thread, uint32_t id);

/* Sleeps while *word == value, up to a time. */
INTERNAL void os_wait_for(const uint32_t *word, uint32_t value, uint64_t ms);

/* The calling thread's number, as the system has it. */
enum { OS_NUMBER_BITS = 22 };
INTERNAL uint32_t os_thread_number(void);

/* Tells the calling process from those that it was forked from, by whatever call, and in whatever PID namespace the
 * system has given it the same number. That number is in the lower bits; above OS_NUMBER_BITS forks are counted. */
INTERNAL uint32_t os_process_number(void);

/* false = no thread of this process has this number. Where that cannot be asked it counts as there. */
INTERNAL bool os_thread_exists(uint32_t number);

/* true = the calling thread is the only one of its process. false also where that cannot be seen. Opens a file. */
INTERNAL bool os_thread_is_alone(void);

/* Keeps signals from the calling thread. Returns those that were kept before. */
INTERNAL uint64_t os_thread_block_signals(void);
INTERNAL void os_thread_restore_signals(uint64_t before);

/* true = the thread with this number waits in a system call, and no signal has stopped it in code of this library. The
 * call may be one of ours. `storage` is a thread-local variable of the thread. Opens a file. */
INTERNAL bool os_thread_sleeps(uint32_t number, const void *storage);

/* false = os_thread_sleeps() is true of no thread: the system does not let this process look (it is not dumpable, as
 * after setuid()), or frames are not known here. Opens a file. */
INTERNAL bool os_thread_sleep_shows(void);

/* By that thread: the process has given up rights since the thread was made, which it would still hold, or has gone
 * elsewhere, or has given itself a seccomp filter that holds for it, too. */
INTERNAL bool os_thread_outlives_rights(void);

#endif
