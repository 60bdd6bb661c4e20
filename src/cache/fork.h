/* fork.h - keeping the allocator whole across fork().
 *
 * Uses: heap, space, pthread_atfork. Callers: attach and inbox, when a thread that is not the first appears: a
 * process of one thread needs none of this.
 *
 * The forking thread takes every lock in rank order. So in the child every slow side is whole. Heaps of threads
 * that did not survive become HEAP_GONE: their slabs are orphans there. What was in their bins and outboxes
 * stays lost in the child, since their hit paths take no lock and may have been anywhere.
 */
#ifndef HAK_CACHE_FORK_H
#define HAK_CACHE_FORK_H

/* Called for each thread that comes: from the second on, fork() is prepared for. No lock may be held. */
void fork_watch(void);

/* The handlers. The first two also stop every slow side for a check of the whole heap. */
void fork_prepare(void);
void fork_parent(void);
void fork_child(void);

#endif
