/* faulty.c - allocators that fail on purpose, to show that the matrix and the comparison see it.
 *
 * Preloaded; passes malloc and free on to glibc, and makes one mistake at the 1,000th malloc. Which one
 * is set when it is compiled: -DFAULT=FAULT_CRASH and so on.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <unistd.h>

#define FAULT_NONE 0    /* none: shows that the others are red for their fault alone */
#define FAULT_CRASH 1   /* a crash */
#define FAULT_HANG 2    /* a call that never returns */
#define FAULT_NULL 3    /* NULL with memory to spare */
#define FAULT_TWICE 4   /* the block that was handed out just before, again */
#define FAULT_CHATTER 5 /* a message in a release build */
#define FAULT_EXIT 6    /* an end that looks clean, before the work is done */

extern void *__libc_malloc(size_t size);
static atomic_uint mallocs;
static void *_Atomic latest; /* handed out last, at least as large as any request of a fixed size */

static void *fail(size_t size)
{
    static const char message[] = "faulty: hello\n";
    switch (FAULT) {
    case FAULT_CRASH: raise(SIGSEGV); break;
    case FAULT_HANG: for (;;) pause();
    case FAULT_NULL: return NULL;
    case FAULT_TWICE: return atomic_load(&latest);
    case FAULT_CHATTER: (void)!write(STDERR_FILENO, message, sizeof message - 1); break;
    case FAULT_EXIT: _exit(0);
    }
    return __libc_malloc(size);
}

__attribute__((visibility("default"))) void *malloc(size_t size)
{
    if (atomic_fetch_add(&mallocs, 1) == 1000)
        return fail(size);
    void *p = __libc_malloc(size);
    atomic_store(&latest, p);
    return p;
}
