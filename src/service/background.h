/* background.h - a thread of our own that gives memory back while the program does nothing.
 *
 * Uses: cache, reclaim, os. Callers: front's visits, api. No lock may be held.
 */
#ifndef HAK_SERVICE_BACKGROUND_H
#define HAK_SERVICE_BACKGROUND_H

#include "../base/compiler.h"

/* Called at visits: starts the thread when there is reason to. true = it does the work of reclaim_poll(). */
INTERNAL bool background_poll(void);

/* In a forked child, where it is not. */
INTERNAL void background_forget(void);

#endif
