/* fork.h - keeping the allocator whole across fork().
 *
 * Uses: heap, space. Callers: api, which has libc's fork() call these once the library is loaded; and stats,
 * which stops every slow side for a check of the whole heap.
 *
 * The forking thread takes every lock in rank order. So in the child every slow side is whole. Heaps of threads
 * that did not survive become HEAP_GONE: their slabs are orphans there. What was in their bins and outboxes
 * stays lost in the child, since these are used without a lock and may have been anywhere. A mapping is counted before
 * the system call that makes it, or after the one that ends it, without a lock: in the child all are counted anew.
 *
 * The three calls nest: a check may run inside another library's handler.
 *
 * A handler of a signal that has interrupted malloc or free may fork, too. In a process of one thread all is as
 * otherwise. Beside other threads, these may hold locks at the fork, which stay locked in the child.
 */
#ifndef HAK_CACHE_FORK_H
#define HAK_CACHE_FORK_H

#include "../base/compiler.h"

INTERNAL void fork_prepare(void);
INTERNAL void fork_parent(void);
INTERNAL void fork_child(void);

#endif
