/* reclaim.h - memory goes back to the system, by date or on demand.
 *
 * Uses: cache, space, option. Callers: front's visits, api. No lock may be held.
 */
#ifndef HAK_SERVICE_RECLAIM_H
#define HAK_SERVICE_RECLAIM_H

#include "../base/compiler.h"

/* Anybody asks for reclaim_all() by storing 1 here, also from outside of the process (block.h): the next poll
 * follows. */
extern uint32_t reclaim_request;

/* Called at visits: once per half purge_delay idle memory goes back, a step at each call. Returns whether there is
 * more to do: then the next visit should call again. */
bool reclaim_poll(void);

/* Gives back all that can be had: inboxes are drained, empty slabs and reserves of all heaps retire, dirty
 * units and kept mappings go to the system. Other threads flush their bins at their next visit.
 * Returns bytes given back by now. */
size_t reclaim_all(void);

#endif
