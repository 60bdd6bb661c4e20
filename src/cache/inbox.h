/* inbox.h - blocks on their way to the heap that owns them.
 *
 * Uses: heap. Callers: front (remote frees), bin (visits), attach (exit).
 * Locks: an outbox belongs to its thread and needs none; an inbox is lock-free for senders, and drained under its
 *        heap's lock.
 *
 * A heap collects the blocks of others that its thread frees in chains, by class and owner. A full or displaced
 * chain is sealed and joins the letter for its owner; a full letter is posted with one compare-and-swap. The owner
 * puts a chain on top of its bin, where it is going to look next, and touches no block but the last. What would
 * overfill the bin goes home to the slabs, block by block.
 *
 *   inbox ---> last block of a chain ---> last block of the next chain ---> NULL
 *              word 0: | 16 bits: blocks in the chain | 48 bits: next chain |  word 1: first block
 *
 * Blocks of 8 bytes have no second word: their chains have one block. The upper 16 bits of the inbox word say
 * about how many KiB wait.
 *
 * I1  a chain holds used blocks of one class, which had the same owner when they were freed
 * I2  every posted block reaches a bin, or the heap that owns its slab; in a closed inbox nothing is left
 */
#ifndef HAK_CACHE_INBOX_H
#define HAK_CACHE_INBOX_H

#include "heap.h"

#define INBOX_CLOSED ((uint64_t)1)

enum {
    CHAIN_BLOCKS_MAX = 32,
    CHAIN_BYTES_MAX = 32 * 1024,
    LETTER_BLOCKS_MAX = 64,
    LETTER_BYTES_MAX = 64 * 1024,
    INBOX_KIB_MAX = 2048, /* when more waits, the sender drains for the owner */
};

ALWAYS_INLINE bool inbox_has_mail(const struct heap *heap)
{
    return load_relaxed(&heap->inbox) > INBOX_CLOSED;
}

ALWAYS_INLINE struct outbox_slot *outbox_slot_of(struct heap *heap, struct tag tag)
{
    return &heap->outbox[(class_of_offset(tag_offset(tag)) ^ tag_owner(tag) * 5) % OUTBOX_SLOTS];
}

ALWAYS_INLINE void slot_push(struct outbox_slot *slot, void *p)
{
    link_set(p, slot->chain.first);
    slot->chain.first = p;
    slot->chain.count++;
}

/* A block of another heap was freed by `heap`'s thread: it joins a chain that waits. false = there is none for it, or
 * it would be full, or it was the last to join. */
ALWAYS_INLINE bool outbox_join(struct heap *heap, void *p, struct tag tag)
{
    struct outbox_slot *slot = outbox_slot_of(heap, tag);
    if (unlikely(slot->tag != tag.word || slot->chain.first == p)) return false;
    if (unlikely(slot->chain.count + 1 >= slot->limit)) return false;
    slot_push(slot, p);
    counter_add(&heap->class[class_of_offset(tag_offset(tag))].remote_frees, 1);
    return true;
}

/* Then it begins a chain, fills one, which is sent, or is reported. */
INTERNAL void outbox_add(struct heap *heap, void *p, struct tag tag);

/* A block from `heap`'s bin goes back to a slab that has another owner by now. Under heap->lock. */
INTERNAL void outbox_return(struct heap *heap, void *p, struct tag tag);

/* Posts everything that waits in the outbox. By the heap's thread, or when it has none. */
INTERNAL void outbox_post_all(struct heap *heap);

/* A block was freed by a thread without a heap: goes to its owner at once. */
INTERNAL void inbox_post_block(void *p, struct tag tag);

/* Takes in what has arrived: the heap's own thread into bins and slabs, others into slabs. Under heap->lock. */
INTERNAL void inbox_drain(struct heap *heap);

/* Opens the inbox of a heap that gets a thread; closes it when the thread is gone, forwarding what is in
 * it. Close after the slabs have other owners. Under heap->lock. */
INTERNAL void inbox_open(struct heap *heap);
INTERNAL void inbox_close(struct heap *heap);

#endif
