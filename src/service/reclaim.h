/* reclaim.h - memory goes back to the system, by date or on demand.
 *
 * Uses: cache, space, option. Callers: front's visits, background, api. No lock may be held.
 */
#ifndef HAK_SERVICE_RECLAIM_H
#define HAK_SERVICE_RECLAIM_H

#include "../base/compiler.h"

/* Anybody asks for reclaim_all() by storing REQUEST_MADE here, also from outside of the process (block.h): the next
 * poll or round follows, stores REQUEST_AT_WORK with its thread's number above, and in the end 0, unless it was asked
 * anew. A round has emptied the bins of threads that slept since the one before. */
enum { REQUEST_MADE = 1, REQUEST_AT_WORK = 2, REQUEST_SHIFT = 2 };
extern uint32_t reclaim_request LINKED_AS("hak_reclaim_request");

/* Called at visits: once per half purge_delay idle memory goes back, units and then pages inside slabs, a step at each
 * call. Returns whether there is more to do: then the next visit should call again. */
INTERNAL bool reclaim_poll(void);

/* The background thread is gone, and with it all other threads: the program may make no further call. Gives back what
 * it leaves, unless the program is known to take it again soon. */
INTERNAL void reclaim_left(void);

/* true = so much may go back that it should, though the program may want it again. */
INTERNAL bool reclaim_has_much(void);

/* true = something may go back, now or when it was idle for long enough. */
INTERNAL bool reclaim_has_work(void);

/* The whole of a tick at once, by a thread that calls it twice in purge_delay; leaves early when *stop is set. Sleeping
 * threads' mail is taken in and what they keep empty is given back. Returns whether there was something to do. */
INTERNAL bool reclaim_round(const uint32_t *stop);

/* true = in that round some thread ran, or was at a visit: what it keeps is still there, and goes when the thread is
 * seen to sleep. Opens a file. */
INTERNAL bool reclaim_awaits_threads(void);

/* Gives back what may serve another call: inboxes are drained, empty slabs and reserves of all heaps retire, dirty
 * units and kept mappings go to the system. Other threads flush their bins at their next visit.
 * Returns bytes given back by now. */
INTERNAL size_t reclaim_units(void);

/* The same, and pages inside slabs, which only the system can use for something else. */
INTERNAL size_t reclaim_all(void);

#endif
