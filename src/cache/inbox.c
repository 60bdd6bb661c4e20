/* inbox.c - see inbox.h.
 *
 * Uses: heap, tagmap. Locks: as inbox.h says; takes the common heap's to free into orphans.
 */
#include "inbox.h"

#include "../diag/error.h"
#include "../diag/message.h"

enum { POINTER_BITS = 48, FIRST_IS_LAST = 0xffff, CHAIN_BYTES_MAX = 64 * 1024 };
#define POINTER_MASK ((UINT64_C(1) << POINTER_BITS) - 1)

/* ---- a sealed chain ---- */

static uint64_t word_get(const void *block)
{
    return *(const uint64_t *)block;
}

static void word_set(void *block, uint64_t upper, const void *pointer)
{
    *(uint64_t *)block = upper << POINTER_BITS | (uintptr_t)pointer;
}

static void *word_pointer(uint64_t word)
{
    return (void *)(word & POINTER_MASK);
}

/* Where a block is in its slab, in 15 bits. */
static unsigned position_shift(const struct slab *s)
{
    return s->units == 1 ? 3 : 4;
}

/* Writes count and first block into the chain's own blocks. */
static void chain_seal(const struct slab *s, const struct chain *chain)
{
    if (chain->count == 1) {
        word_set(chain->last, FIRST_IS_LAST, NULL);
        return;
    }
    word_set(chain->first, chain->count, link_get(chain->first));
    word_set(chain->last, ((uintptr_t)chain->first - s->base) >> position_shift(s), NULL);
}

static struct chain chain_unseal(const struct slab *s, void *last)
{
    uint64_t upper = word_get(last) >> POINTER_BITS;
    if (upper == FIRST_IS_LAST) return (struct chain){.first = last, .last = last, .count = 1};
    void *first = (void *)(s->base + (upper << position_shift(s)));
    uint64_t word = word_get(first);
    link_set(first, word_pointer(word));
    return (struct chain){.first = first, .last = last, .count = (uint32_t)(word >> POINTER_BITS)};
}

static void *chain_next(const void *last)
{
    return word_pointer(word_get(last));
}

static void chain_set_next(void *last, const void *next)
{
    word_set(last, word_get(last) >> POINTER_BITS, next);
}

/* ---- delivery ---- */

/* Splices a chain that has reached its owner. Under the owner's lock. */
static void deliver(struct heap *owner, struct tag tag, void *last)
{
    struct slab *s = slab_at(tag.record);
    heap_give(owner, s, chain_unseal(s, last));
}

/* false = the slab has found another owner since. */
static bool deliver_to_common(void *last)
{
    lock_acquire(&heap_common->lock);
    struct tag tag = tagmap_get(last);
    bool mine = tag_owner(tag) == HEAP_COMMON;
    if (mine) deliver(heap_common, tag, last);
    lock_release(&heap_common->lock);
    return mine;
}

/* Pushes linked chains; false = the inbox is closed, and the list ends at `last` as before. */
static bool push(struct heap *to, void *first, void *last, uint64_t chains)
{
    uint64_t inbox = load_relaxed(&to->inbox);
    uint64_t word;
    do {
        if (inbox == INBOX_CLOSED) {
            chain_set_next(last, NULL); /* an earlier try may have linked it to what was there */
            return false;
        }
        uint64_t count = (inbox >> POINTER_BITS) + chains;
        if (count > 0xffff) count = 0xffff;
        chain_set_next(last, word_pointer(inbox));
        word = count << POINTER_BITS | (uintptr_t)first;
    } while (!swap_if_release(&to->inbox, &inbox, word)); /* pairs with inbox_drain() */
    return true;
}

/* Brings one chain to whoever owns its slab now. */
static void forward(void *last)
{
    for (;;) {
        struct tag tag = tagmap_get(last);
        if (tag_offset(tag) < BIN_OFFSET) {
            error_report(ERROR_double_free, last, 0); /* its slab was retired: it had come home before */
            return;
        }
        if (tag_owner(tag) == HEAP_COMMON) {
            if (deliver_to_common(last)) return;
        } else if (push(heap_at(tag_owner(tag)), last, last, 1)) {
            return;
        }
    }
}

static void forward_all(void *last)
{
    while (last) {
        void *next = chain_next(last);
        forward(last);
        last = next;
    }
}

/* An owner who does not visit must not hoard: the sender drains for it. */
static void relieve(struct heap *owner)
{
    if (load_relaxed(&owner->inbox) >> POINTER_BITS <= INBOX_CHAINS_MAX) return;
    if (!lock_try_peer(&owner->lock)) return;
    inbox_drain(owner);
    lock_release_peer(&owner->lock);
}

void letter_post(struct letter *letter)
{
    struct heap *owner = heap_at(letter->owner);
    if (letter->owner == 0) return;
    if (letter->owner != HEAP_COMMON && push(owner, letter->first, letter->last, letter->chains))
        relieve(owner);
    else
        forward_all(letter->first);
    *letter = (struct letter){.owner = 0};
}

/* ---- outbox ---- */

static void letter_add(struct heap *heap, const struct chain *chain, uint32_t owner)
{
    struct letter *letter = &heap->letter[owner % LETTERS];
    if (letter->owner != owner) {
        letter_post(letter);
        *letter = (struct letter){.owner = owner, .last = chain->last};
    }
    chain_set_next(chain->last, letter->first);
    letter->first = chain->last;
    letter->blocks += chain->count;
    letter->chains++;
}

static void slot_seal(struct heap *heap, struct outbox_slot *slot)
{
    if (slot->slab == 0) return;
    struct slab *s = slab_at(slot->slab);
    chain_seal(s, &slot->chain);
    letter_add(heap, &slot->chain, tag_owner(tagmap_get(slot->chain.last)));
    store_relaxed(&slot->slab, 0);
}

static bool letter_is_due(const struct letter *letter, const struct slab *s)
{
    return letter->blocks >= CHAIN_BLOCKS_MAX || letter->blocks * (size_t)s->stride >= CHAIN_BYTES_MAX;
}

/* Seals what is in the slot, and posts the letter when it is worth a locked instruction. */
static void slot_send(struct heap *heap, struct outbox_slot *slot)
{
    struct slab *s = slab_at(slot->slab);
    uint32_t owner = tag_owner(tagmap_get(slot->chain.last));
    slot_seal(heap, slot);
    if (letter_is_due(&heap->letter[owner % LETTERS], s)) letter_post(&heap->letter[owner % LETTERS]);
}

static void slot_send_locking(struct heap *heap, struct outbox_slot *slot)
{
    lock_acquire(&heap->lock);
    slot_send(heap, slot);
    lock_release(&heap->lock);
}

static uint32_t chain_limit(const struct slab *s)
{
    uint32_t blocks = CHAIN_BYTES_MAX / s->stride;
    return blocks < CHAIN_BLOCKS_MAX ? blocks : CHAIN_BLOCKS_MAX;
}

static struct outbox_slot *slot_for(struct heap *heap, uint32_t slab)
{
    return &heap->outbox[slab % OUTBOX_SLOTS];
}

static bool slot_is_taken(const struct outbox_slot *slot, uint32_t slab)
{
    return slot->slab != 0 && slot->slab != slab;
}

/* true = the slot should be sent now. */
static bool slot_put(struct outbox_slot *slot, void *p, uint32_t slab)
{
    if (slot->slab == slab) {
        link_set(p, slot->chain.first);
        slot->chain.first = p;
        store_relaxed(&slot->chain.count, slot->chain.count + 1);
    } else {
        store_relaxed(&slot->slab, slab);
        slot->chain.first = slot->chain.last = p;
        store_relaxed(&slot->chain.count, 1);
    }
    return slot->chain.count >= chain_limit(slab_at(slab));
}

void outbox_add(struct heap *heap, void *p, struct tag tag)
{
    struct outbox_slot *slot = slot_for(heap, tag.record);
    counter_add(&heap->class[slab_at(tag.record)->class].remote_frees, 1);
    if (slot_is_taken(slot, tag.record)) slot_send_locking(heap, slot);
    if (slot_put(slot, p, tag.record)) slot_send_locking(heap, slot);
}

void outbox_return(struct heap *heap, void *p, struct tag tag)
{
    struct outbox_slot *slot = slot_for(heap, tag.record);
    if (slot_is_taken(slot, tag.record)) slot_send(heap, slot);
    if (slot_put(slot, p, tag.record)) slot_send(heap, slot);
}

void outbox_post_all(struct heap *heap)
{
    for (unsigned i = 0; i < OUTBOX_SLOTS; i++) slot_seal(heap, &heap->outbox[i]);
    for (unsigned i = 0; i < LETTERS; i++) letter_post(&heap->letter[i]);
}

void inbox_post_block(void *p, struct tag tag)
{
    struct slab *s = slab_at(tag.record);
    struct chain chain = {.first = p, .last = p, .count = 1};
    add_relaxed(&heap_common->class[s->class].remote_frees, 1);
    chain_seal(s, &chain);
    forward(p);
    relieve(heap_at(tag_owner(tag))); /* the common heap's inbox is always empty */
}

/* ---- inbox ---- */

void inbox_drain(struct heap *heap)
{
    if (!inbox_has_mail(heap)) return;
    uint64_t inbox = exchange_acquire(&heap->inbox, 0); /* pairs with push() */
    for (void *last = word_pointer(inbox), *next; last; last = next) {
        struct tag tag = tagmap_get(last);
        next = chain_next(last);
        if (tag_owner(tag) == heap->front.id && tag_offset(tag) >= BIN_OFFSET)
            deliver(heap, tag, last);
        else
            forward(last);
    }
}

void inbox_open(struct heap *heap)
{
    store_release(&heap->inbox, 0);
}

void inbox_close(struct heap *heap)
{
    uint64_t inbox = exchange_acq_rel(&heap->inbox, INBOX_CLOSED);
    if (inbox > INBOX_CLOSED) forward_all(word_pointer(inbox));
}

/* ---- counting ---- */

static void count_sealed(struct mail_count *count, void *last)
{
    for (; last; last = chain_next(last)) {
        struct slab *s = slab_at(tagmap_get(last).record);
        uint64_t upper = word_get(last) >> POINTER_BITS;
        void *first = (void *)(s->base + (upper << position_shift(s)));
        count->blocks[s->class] += upper == FIRST_IS_LAST ? 1 : word_get(first) >> POINTER_BITS;
    }
}

COLD void mail_count(struct heap *heap, struct mail_count *count)
{
    *count = (struct mail_count){.blocks = {0}};
    uint64_t inbox = load_acquire(&heap->inbox);
    if (inbox > INBOX_CLOSED) count_sealed(count, word_pointer(inbox));
    for (unsigned i = 0; i < LETTERS; i++)
        if (heap->letter[i].owner) count_sealed(count, heap->letter[i].first);
    for (unsigned i = 0; i < OUTBOX_SLOTS; i++) {
        uint32_t slab = load_relaxed(&heap->outbox[i].slab);
        if (slab) count->blocks[slab_at(slab)->class] += load_relaxed(&heap->outbox[i].chain.count);
    }
}
