/* inbox.c - see inbox.h.
 *
 * Uses: heap, tagmap, option, error. Locks: as inbox.h says; takes the common heap's to free into orphans.
 */
#include "inbox.h"

#include "../diag/error.h"
#include "../diag/message.h"
#include "bin.h"

enum { POINTER_BITS = 48, ARRIVAL_BYTES_MAX = 2048 * 1024, ARRIVAL_BLOCKS_MAX = 0x6000 };
#define POINTER_MASK ((UINT64_C(1) << POINTER_BITS) - 1)

static unsigned tag_class(struct tag tag)
{
    return class_of_offset(tag_offset(tag));
}

/* ---- a sealed chain, known by its last block ---- */

static uint32_t sealed_count(const void *last)
{
    return (uint32_t)(*(const uint64_t *)last >> POINTER_BITS);
}

static void *sealed_next(const void *last)
{
    return (void *)(*(const uint64_t *)last & POINTER_MASK);
}

static void *sealed_first(void *last)
{
    return sealed_count(last) > 1 ? ((void **)last)[1] : last;
}

static void sealed_set(void *last, uint64_t count, const void *next)
{
    *(uint64_t *)last = count << POINTER_BITS | (uintptr_t)next;
}

static void chain_seal(const struct chain *chain)
{
    sealed_set(chain->last, chain->count, NULL);
    if (chain->count > 1) ((void **)chain->last)[1] = chain->first;
}

/* Blocks of a full chain. */
static uint32_t chain_limit(unsigned class)
{
    uint32_t stride = class_stride(class);
    if (stride < 2 * sizeof(void *)) return 1;
    uint32_t blocks = (CHAIN_BYTES_MAX + stride - 1) / stride;
    return blocks < CHAIN_BLOCKS_MAX ? blocks : CHAIN_BLOCKS_MAX;
}

/* A chain that was sealed. */
struct opened {
    struct chain chain;
    unsigned class;
    void *next; /* last block of the next chain */
};

/* Breaks the seal, so that a chain that is met twice is noticed. false = its words were overwritten and may lead
 * anywhere: the tag map can be asked about any address. */
static bool chain_open(void *last, struct opened *o)
{
    struct tag tag = tagmap_get(last);
    if (tag_offset(tag) < BIN_OFFSET) return false;
    uint32_t count = sealed_count(last);
    o->class = tag_class(tag);
    if (count == 0 || count > chain_limit(o->class)) return false;
    o->chain = (struct chain){.first = sealed_first(last), .last = last, .count = count};
    o->next = sealed_next(last);
    link_set(last, NULL);
    return tag_offset(tagmap_get(o->chain.first)) == tag_offset(tag);
}

/* ---- arrival ---- */

/* Blocks that a bin may hold when some arrive. More than it keeps of its own thread's: a thread that did not run for
 * a while finds many, and takes them from there sooner than from slabs. A bin that nobody has used takes none. */
static uint32_t arrival_limit(const struct heap_class *c, unsigned class)
{
    if (c->capacity == 0) return 0;
    uint32_t blocks = ARRIVAL_BYTES_MAX / class_stride(class);
    if (blocks > ARRIVAL_BLOCKS_MAX) blocks = ARRIVAL_BLOCKS_MAX;
    return blocks > 2u * c->capacity ? blocks : 2u * c->capacity;
}

/* false = no room, or not this thread's bin. What is put there counts neither as malloc nor as free. */
static bool arrive_in_bin(struct heap *heap, unsigned class, const struct chain *chain)
{
    struct bin *bin = &heap->front.bin[class];
    struct heap_class *c = &heap->class[class];
    if (!heap_is_own(heap) || bin_left(bin) + chain->count > arrival_limit(c, class)) return false;
    if (unlikely(option_get(OPTION_failfast))) return false; /* there it is looked for in its slab */
    link_set(chain->last, bin->head);
    bin->head = chain->first;
    store_relaxed(&bin->budget, bin->budget + chain->count);
    c->left_set += chain->count;
    counter_add(&c->arrived, chain->count);
    return true;
}

static void arrive_in_slab(struct heap *owner, struct tag tag, void *p)
{
    struct slab *s = slab_at(tag.record);
    uint32_t index = slab_index(s, p);
    if (unlikely(index == NO_BLOCK)) {
        error_report(ERROR_double_free, p, 0); /* it had come home before, and other blocks are cut there now */
        return;
    }
    counter_add(&owner->class[tag_class(tag)].arrived, 1);
    heap_give_one(owner, s, index);
}

/* false = the slab has found another owner since. */
static bool arrive_at_common(void *p)
{
    lock_acquire(&heap_common->lock);
    struct tag tag = tagmap_get(p);
    bool mine = tag_owner(tag) == HEAP_COMMON;
    if (mine) arrive_in_slab(heap_common, tag, p);
    lock_release(&heap_common->lock);
    return mine;
}

/* Pushes linked chains; false = the inbox is closed, and the list ends at `last` as before. */
static bool push(struct heap *to, void *first, void *last, uint32_t bytes)
{
    uint64_t inbox = load_relaxed(&to->inbox);
    uint64_t word;
    do {
        if (inbox == INBOX_CLOSED) {
            sealed_set(last, sealed_count(last), NULL); /* an earlier try may have linked it to what was there */
            return false;
        }
        uint64_t kib = (inbox >> POINTER_BITS) + bytes / 1024 + 1;
        if (kib > 0xffff) kib = 0xffff;
        sealed_set(last, sealed_count(last), (void *)(inbox & POINTER_MASK));
        word = kib << POINTER_BITS | (uintptr_t)first;
    } while (!swap_if_release(&to->inbox, &inbox, word)); /* pairs with inbox_drain() */
    return true;
}

/* Brings one block to whoever owns its slab now. */
static void forward(void *p)
{
    sealed_set(p, 1, NULL);
    for (;;) {
        struct tag tag = tagmap_get(p);
        if (tag_offset(tag) < BIN_OFFSET) {
            error_report(ERROR_double_free, p, 0); /* its slab was retired: it had come home before */
            return;
        }
        if (tag_owner(tag) == HEAP_COMMON) {
            if (arrive_at_common(p)) return;
        } else if (push(heap_at(tag_owner(tag)), p, p, class_stride(tag_class(tag)))) {
            return;
        }
    }
}

/* Block by block: to slabs of `heap`, or to where else its slab belongs. */
static void bring_home(struct heap *heap, const struct chain *chain)
{
    void *p = chain->first;
    for (uint32_t i = 0; i < chain->count; i++) {
        struct tag tag = tagmap_get(p);
        if (tag_offset(tag) < BIN_OFFSET || !slab_is_block(slab_at(tag.record), p)) {
            error_report(ERROR_corrupted_list, p, 0);
            return;
        }
        void *next = link_get(p);
        if (heap && tag_owner(tag) == heap->front.id)
            arrive_in_slab(heap, tag, p);
        else
            forward(p);
        p = next;
    }
}

/* All chains of a list, for `heap`; without a heap, for whoever owns their slabs. */
static void take_in(struct heap *heap, void *last)
{
    for (struct opened o; last; last = o.next) {
        if (!chain_open(last, &o)) {
            error_report(ERROR_corrupted_list, last, 0);
            return;
        }
        if (heap && unlikely(option_get(OPTION_log))) bin_log(heap, o.class, "drained", o.chain.count);
        if (!heap || !arrive_in_bin(heap, o.class, &o.chain)) bring_home(heap, &o.chain);
    }
}

/* ---- posting ---- */

/* An owner who does not visit must not hoard: the sender drains for it. */
static void relieve(struct heap *owner)
{
    if (load_relaxed(&owner->inbox) >> POINTER_BITS <= INBOX_KIB_MAX) return;
    if (!lock_try_peer(&owner->lock)) return;
    inbox_drain(owner);
    lock_release_peer(&owner->lock);
}

static void letter_post(struct letter *letter)
{
    struct letter sent = *letter;
    *letter = (struct letter){.owner = 0};
    if (sent.owner == 0) return;
    struct heap *owner = heap_at(sent.owner);
    if (sent.owner != HEAP_COMMON && push(owner, sent.first, sent.last, sent.bytes))
        relieve(owner);
    else
        take_in(NULL, sent.first);
}

/* Seals what is in the slot, and posts the letter when it is worth a locked instruction. */
static void slot_send(struct heap *heap, struct outbox_slot *slot)
{
    struct tag tag = {.word = slot->tag};
    struct letter *letter = &heap->letter[tag_owner(tag) % LETTERS];
    struct chain *chain = &slot->chain;
    if (letter->owner != tag_owner(tag)) {
        letter_post(letter);
        *letter = (struct letter){.owner = tag_owner(tag), .last = chain->last};
    }
    chain_seal(chain);
    sealed_set(chain->last, chain->count, letter->first);
    letter->first = chain->last;
    letter->blocks += chain->count;
    letter->bytes += chain->count * class_stride(tag_class(tag));
    slot->tag = 0;
    if (letter->blocks >= LETTER_BLOCKS_MAX || letter->bytes >= LETTER_BYTES_MAX) letter_post(letter);
}

/* false = it was the last that was added, too: it was freed twice. */
static bool slot_add(struct heap *heap, void *p, struct tag tag)
{
    struct outbox_slot *slot = outbox_slot_of(heap, tag);
    if (slot->tag != tag.word) {
        if (slot->tag != 0) slot_send(heap, slot);
        slot->tag = tag.word;
        slot->limit = chain_limit(tag_class(tag));
        slot->chain = (struct chain){.first = p, .last = p, .count = 1};
    } else if (unlikely(slot->chain.first == p)) {
        return false;
    } else {
        slot_push(slot, p);
    }
    if (slot->chain.count >= slot->limit) slot_send(heap, slot);
    return true;
}

void outbox_add(struct heap *heap, void *p, struct tag tag)
{
    struct heap_class *c = &heap->class[tag_class(tag)];
    counter_add(&c->remote_frees, 1);
    if (likely(slot_add(heap, p, tag))) return;
    counter_add(&c->remote_frees, (uint64_t)-1);
    error_report(ERROR_double_free, p, class_stride(tag_class(tag)));
}

void outbox_return(struct heap *heap, void *p, struct tag tag)
{
    struct heap_class *c = &heap->class[tag_class(tag)];
    counter_add(&c->returned, 1);
    if (likely(slot_add(heap, p, tag))) return;
    counter_add(&c->returned, (uint64_t)-1);
    error_report(ERROR_double_free, p, class_stride(tag_class(tag)));
}

void outbox_post_all(struct heap *heap)
{
    for (unsigned i = 0; i < OUTBOX_SLOTS; i++)
        if (heap->outbox[i].tag != 0) slot_send(heap, &heap->outbox[i]);
    for (unsigned i = 0; i < LETTERS; i++) letter_post(&heap->letter[i]);
}

/* At once, if nobody is at work there: so a block that is freed twice is seen in its slab. false = it is to be
 * posted. */
static bool arrive_at_owner(void *p, struct heap *owner)
{
    if (heap_is_common(owner) || !lock_try_peer(&owner->lock)) return false;
    struct tag tag = tagmap_get(p);
    bool mine = tag_offset(tag) >= BIN_OFFSET && tag_owner(tag) == owner->front.id;
    if (mine) arrive_in_slab(owner, tag, p);
    lock_release_peer(&owner->lock);
    return mine;
}

void inbox_post_block(void *p, struct tag tag)
{
    add_relaxed(&heap_common->class[tag_class(tag)].remote_frees, 1);
    if (arrive_at_owner(p, heap_at(tag_owner(tag)))) return;
    forward(p);
    relieve(heap_at(tag_owner(tag))); /* the common heap's inbox is always empty */
}

/* ---- inbox ---- */

void inbox_drain(struct heap *heap)
{
    if (!inbox_has_mail(heap)) return;
    uint64_t inbox = exchange_acquire(&heap->inbox, 0); /* pairs with push() */
    take_in(heap, (void *)(inbox & POINTER_MASK));
}

void inbox_open(struct heap *heap)
{
    store_release(&heap->inbox, 0);
}

void inbox_close(struct heap *heap)
{
    uint64_t inbox = exchange_acq_rel(&heap->inbox, INBOX_CLOSED);
    if (inbox > INBOX_CLOSED) take_in(NULL, (void *)(inbox & POINTER_MASK));
}
