/* bin.h - what the visits of a heap (bin.c) and the ways out of its bins (flush.c) ask of each other.
 *
 * Uses: heap. Callers: bin.c, flush.c only. Locks: under heap->lock, at a visit of its thread or while that sleeps.
 */
#ifndef HAK_CACHE_BIN_H
#define HAK_CACHE_BIN_H

#include "heap.h"

enum { OVERFLOW_EVERY = 32 }; /* frees until a bin that holds more than it may visits again */

/* ---- bin.c ---- */

/* Gives the bin its budget for the time to the next visit. One that holds more than it may visits soon again, and its
 * surplus goes bit by bit. Call bin_account() first. */
INTERNAL void bin_set(struct heap *heap, unsigned class, void *head, uint32_t left);

/* ---- flush.c ---- */

/* Keeps the first `keep` blocks, the warm ones. Call bin_account() first; as before the next. */
INTERNAL void bin_flush(struct heap *heap, unsigned class, uint32_t keep);

/* A list that ends before or after its count was written to, or holds a block twice: nothing in it can be
 * trusted, so all of it is left alone. */
INTERNAL void bin_distrust(struct heap *heap, unsigned class);

/* What a bin holds is not trusted any more, from `where` on. */
INTERNAL void bin_drop(struct heap *heap, unsigned class, const void *where);

/* Where a list of `count` blocks ends too soon, runs on or leads elsewhere; only without a fault `*whole`. */
INTERNAL const void *bin_list_fault(unsigned class, const void *list, uint32_t count, bool *whole);

/* HAKMEM_LOG: one line for a step that moved so many blocks. Under the heap's lock. */
INTERNAL void bin_log(const struct heap *heap, unsigned class, const char *step, uint32_t blocks);

/* Gives back what was not used since the last trim. */
INTERNAL void heap_follow_trim(struct heap *heap);

/* Blocks that the bin of a class holds before it has shown that it needs more. */
INTERNAL uint16_t bin_first_capacity(unsigned class);

/* The bin holds what it may. The blocks on top stay for the next few mallocs; those below them, freed lately and still
 * in the cache, are flushed; and what has lain there longest stays untouched. Few at once: the slabs' records may have
 * left the cache, and no free shall wait for many of them. */
INTERNAL void bin_overflow(struct heap *heap, unsigned class, bool only_frees);

/* What a long burst frees is given back, and the program may fall silent after it. One larger block keeps a slab of up
 * to half a MiB; small ones keep as much only together. */
ALWAYS_INLINE bool class_may_be_torn_down(unsigned class)
{
    return class_stride(class) > DENSE_STRIDE_MAX;
}

/* All goes, of other classes as well, and what is freed next, until a malloc wants a class again. Few classes at once,
 * so that no free takes long. */
INTERNAL void heap_tear_down(struct heap *heap, unsigned class);

#endif
