/* narrow.h - the process is about to limit its addresses: those that we only reserve go back.
 *
 * Uses: heap, chunk, tagmap, thread. Callers: api/rlimit.c.
 * Locks: RANK_ARENA, and RANK_TAGMAP within; neither is waited for.
 *
 * The tag map and the ends of chunks are addresses without memory. A limit that is there at the start finds them small
 * (tagmap.h). One that comes later, below what is mapped, would let the system refuse every mapping, and every page by
 * which the stack grows: that is a crash far from malloc.
 */
#ifndef HAK_SERVICE_NARROW_H
#define HAK_SERVICE_NARROW_H

#include "../base/compiler.h"

/* Before the limit is set. Does nothing where the process has other threads: they read the tag map at any moment. A
 * hit that a handler of a signal has interrupted does so, too: the README forbids this call there. */
INTERNAL void narrow_to(size_t limit);

#endif
