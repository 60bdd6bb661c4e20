/* front.h - the hit paths of malloc and free, all of it.
 *
 * Uses: cache (the bins of this thread), tagmap. Callers: api.
 * Locks: none.
 *
 * Whatever is not a hit leaves for miss.c: no heap yet, an empty bin, a bin without room, a block of
 * another heap, a large block, NULL, a foreign pointer.
 */
#ifndef HAK_FRONT_FRONT_H
#define HAK_FRONT_FRONT_H

#include "../cache/heap.h"

void *front_malloc_medium(size_t size) LINKED_AS("hak_front_malloc_medium");
void *front_malloc_miss(size_t size) LINKED_AS("hak_front_malloc_miss");
void front_free_miss(void *p) LINKED_AS("hak_front_free_miss");
void front_free_full(void *p, uint64_t offset) LINKED_AS("hak_front_free_full");
void front_free_sized_miss(void *p, size_t size) LINKED_AS("hak_front_free_sized_miss");
void front_free_sized_full(void *p, uint64_t offset, size_t size) LINKED_AS("hak_front_free_sized_full");

ALWAYS_INLINE struct bin *front_bin(struct heap_front *self, size_t offset)
{
    return (struct bin *)(void *)((char *)self + offset);
}

/* NULL = the bin is empty. */
ALWAYS_INLINE void *front_pop(struct bin *bin)
{
    void *block = bin->head;
    if (unlikely(!block)) return NULL;
    bin->head = link_get(block);
    (void)add_carries(&bin->budget, -1); /* one less left */
    return block;
}

/* false = the bin has no room; the push was counted all the same: see heap_free_visit(). */
ALWAYS_INLINE bool front_push(struct bin *bin, void *p)
{
    if (unlikely(!add_carries(&bin->budget, BIN_PUSH))) return false;
    link_set(p, bin->head);
    bin->head = p;
    return true;
}

ALWAYS_INLINE void *front_malloc(size_t size)
{
    struct heap_front *self = load_relaxed(&heap_self);
    if (unlikely(size > TABLE_SIZE_MAX)) return front_malloc_medium(size);
    void *block = front_pop(front_bin(self, self->bin_of_size[(size + 7) / 8]));
    return likely(block) ? block : front_malloc_miss(size);
}

ALWAYS_INLINE void front_free(void *p)
{
    struct heap_front *self = load_relaxed(&heap_self);
    const uint64_t *entry = tagmap_entry(p);
    size_t offset = entry_offset(entry);
    if (unlikely(entry_owner(entry) != self->owner))
        front_free_miss(p);
    else if (unlikely(!front_push(front_bin(self, offset), p)))
        front_free_full(p, offset);
}

/* As front_free(); the size is looked at with HAKMEM_FAILFAST only: programs get it wrong and run elsewhere. */
ALWAYS_INLINE void front_free_sized(void *p, size_t size)
{
    struct heap_front *self = load_relaxed(&heap_self);
    const uint64_t *entry = tagmap_entry(p);
    size_t offset = entry_offset(entry);
    if (unlikely(entry_owner(entry) != self->owner))
        front_free_sized_miss(p, size);
    else if (unlikely(!front_push(front_bin(self, offset), p)))
        front_free_sized_full(p, offset, size);
}

/* ---- the other calls, in miss.c and realloc.c; as the standard ones of their names ---- */

INTERNAL void *front_calloc(size_t count, size_t size);
void *front_aligned(size_t alignment, size_t size) LINKED_AS("hak_front_aligned"); /* alignment is a power of two */
INTERNAL void *front_realloc(void *p, size_t size);
/* Reports a block of ours that has less than `size` bytes, or another alignment; others have no size. */
INTERNAL void front_check_size(const void *p, size_t alignment, size_t size);
INTERNAL size_t front_usable_size(const void *p);
INTERNAL bool front_owns(const void *p);

/* What a pointer is, as far as its unit tells. */
enum front_kind { FRONT_FOREIGN, FRONT_FREED, FRONT_INTERIOR /* of ours, but no block starts there */, FRONT_LIVE };
INTERNAL enum front_kind front_classify(const void *p);
INTERNAL size_t front_own_size(const void *p); /* usable size of a block of ours; 0 = it is none */

/* ---- for realloc.c ---- */

/* A large block was resized: what it lost may be the last that is freed for long. */
INTERNAL void front_poll_after_resize(void);

/* ---- for watched.c: blocks as they come and go, whoever watches ---- */

INTERNAL void *front_plain_aligned(size_t alignment, size_t size);
INTERNAL void front_plain_free(void *p);
INTERNAL size_t front_plain_size(const void *p);

#endif
