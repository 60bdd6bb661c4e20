/* inbox.h - blocks on their way to the heap that owns them.
 *
 * Uses: heap. Callers: front (remote frees), bin (visits), attach (exit).
 * Locks: an outbox belongs to its thread; posting happens under the sender's heap->lock, so that fork
 *        finds no post half done; an inbox is lock-free for senders, and drained under its heap's lock.
 *
 * A heap collects remote frees by slab. A full or displaced chain is sealed, so that it needs no memory but
 * its blocks, and joins the letter for its owner; a letter is posted with one compare-and-swap.
 *
 *   inbox ---> last block of a chain ---> last block of the next chain ---> NULL
 *              | 16 bits: where the first block is | 48 bits: next chain |
 *              first block: | 16 bits: count | 48 bits: second block | ... ordinary links ... last block
 *
 * The upper 16 bits of the inbox word count the chains in it.
 *
 * I1  a chain holds 1 ... CHAIN_BLOCKS_MAX used blocks of one slab
 * I2  a chain reaches the heap that owns its slab, or is forwarded by its tag; in a closed inbox nothing is left
 */
#ifndef HAK_CACHE_INBOX_H
#define HAK_CACHE_INBOX_H

#include "heap.h"

#define INBOX_CLOSED ((uint64_t)1)
#define INBOX_CHAINS_MAX 512 /* more, and the sender drains for the owner */

ALWAYS_INLINE bool inbox_has_mail(const struct heap *heap)
{
    return load_relaxed(&heap->inbox) > INBOX_CLOSED;
}

/* A block of another heap was freed by `heap`'s thread. No lock is held. */
void outbox_add(struct heap *heap, void *p, struct tag tag);

/* A block from `heap`'s bin goes back to a slab that has another owner by now. Under heap->lock. */
void outbox_return(struct heap *heap, void *p, struct tag tag);

/* Posts everything that waits in the outbox. Under heap->lock. */
void outbox_post_all(struct heap *heap);

/* Posts one letter, and empties it. Under the heap's lock. */
void letter_post(struct letter *letter);

/* A block was freed by a thread without a heap: goes to its owner at once. */
void inbox_post_block(void *p, struct tag tag);

/* Splices what has arrived into the slabs. Under heap->lock. */
void inbox_drain(struct heap *heap);

/* Opens the inbox of a heap that gets a thread; closes it when the thread is gone, forwarding what is in
 * it. Close after the slabs have other owners. Under heap->lock. */
void inbox_open(struct heap *heap);
void inbox_close(struct heap *heap);

/* Blocks by class that wait in a heap's inbox, outbox and letters. Under heap->lock. */
struct mail_count {
    uint64_t blocks[CLASS_COUNT];
};
void mail_count(struct heap *heap, struct mail_count *count);

#endif
