/* inherited.h - what the library's own thread has of the thread that made it.
 *
 * Callers: thread.c. More of it is in thread.h.
 */
#ifndef HAK_OS_INHERITED_H
#define HAK_OS_INHERITED_H

#include "../base/compiler.h"

/* By who would make it. false = it should not. */
INTERNAL bool inherited_allows(void);

/* By that thread, first of all. true = it has nothing of the program's but its memory; else it should end. */
INTERNAL bool inherited_leave(void);

#endif
