/* pressure.h - what is done when memory gets short: in the process's control group, or under a limit of its own.
 *
 * Uses: reclaim, cache, space, option, os. Callers: front's visits, reclaim, api. No lock may be held.
 *
 * Files are read when the library is loaded, and by pressure_look() on a thread that may open them; visits read words.
 */
#ifndef HAK_SERVICE_PRESSURE_H
#define HAK_SERVICE_PRESSURE_H

#include "../space/limit.h"

/* Once, after the options were read: sets the limits that they tell, and what caches may hold beside a limit. */
INTERNAL void pressure_start(void);

/* Looks how near the control group is to its limit, for pressure_delay(). Opens files: for the background thread. */
INTERNAL void pressure_look(void);

/* Nobody looks any more: what was seen last counts no longer. */
INTERNAL void pressure_forget(void);

/* The purge delay as it counts now: a tenth of it when memory gets short, 0 when it is all but gone. Looks at words and
 * at what is held. */
INTERNAL uint64_t pressure_delay(uint64_t delay);

/* Gives back what can be had and tells the program: the soft limit was crossed, or the group's comes near.
 * Keeps errno. */
INTERNAL void pressure_follow(void);

/* To be called after each allocation that may have taken units or mappings. */
ALWAYS_INLINE void pressure_poll(void)
{
    if (unlikely(limit_is_passed())) pressure_follow();
}

/* What pressure_follow() calls, never twice at a time; NULL = nothing. */
INTERNAL void pressure_set_callback(void (*call)(size_t held, size_t soft, void *context), void *context);

/* In a forked child: a call that another thread was in will not come to its end. */
INTERNAL void pressure_child(void);

#endif
