/* early_handlers.c - a library whose constructor registers fork handlers, as many do: in a program with the archive or
 * the source file in it that is before the program's own constructors. The handlers are the program's to give.
 */
#include <pthread.h>
#include <unistd.h>

void (*early_handlers[3])(void); /* before, in the parent, in the child; NULL = nothing is done */

static void call(unsigned number)
{
    if (early_handlers[number]) early_handlers[number]();
}

static void on_prepare(void) { call(0); }
static void on_parent(void) { call(1); }
static void on_child(void) { call(2); }

__attribute__((constructor)) static void register_handlers(void)
{
    if (pthread_atfork(on_prepare, on_parent, on_child) != 0) _exit(9);
}
