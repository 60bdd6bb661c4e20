/* realloc.c - resizing: in place where the class, the run or the mapping allows it, else by copying.
 *
 * Uses: large, pressure, foreign, front, watched, error. Callers: api. Locks: none held across steps.
 */
#include <errno.h>

#include "../diag/error.h"
#include "../service/pressure.h"
#include "../space/large.h"
#include "foreign.h"
#include "front.h"
#include "watched.h"

/* A block stays when the new size fits and fills at least half of it. */
static bool stays(size_t usable, size_t size)
{
    if (size > usable) return false;
    if (usable <= 64) return true; /* nothing to win */
    return size > usable / 2;
}

/* Copies the `keep` bytes that both have, and frees p. */
static void *move(void *p, size_t keep, size_t size)
{
    void *q = front_malloc(size);
    if (unlikely(!q)) return NULL;
    __builtin_memcpy(q, p, keep);
    front_free(p);
    return q;
}

/* Shrinking cannot fail. */
static NOINLINE void *move_down(void *p, size_t size)
{
    int saved = errno;
    void *q = move(p, size, size);
    if (q) return q;
    errno = saved;
    return p;
}

/* Where there is no room for a copy it ends earlier. */
static NOINLINE void *large_move_down(void *p, struct tag tag, size_t size)
{
    int saved = errno;
    void *q = move(p, size, size);
    if (q) return q;
    (void)large_resize(p, tag, size, true);
    errno = saved;
    return p;
}

/* When there is no room for a copy beside the block, memory given back meanwhile may do for what it grows by. */
static NOINLINE void *large_move_up(void *p, struct tag tag, size_t usable, size_t size)
{
    int saved = errno;
    void *q = move(p, usable, size);
    if (q) return q;
    q = large_resize(p, tag, size, true);
    if (q) errno = saved;
    return q;
}

static void *large_realloc(void *p, struct tag tag, size_t usable, size_t size)
{
    void *q = large_resize(p, tag, size, false);
    pressure_poll();
    if (q) {
        front_poll_after_resize();
        return q;
    }
    if (stays(usable, size)) return p;
    return usable < size ? large_move_up(p, tag, usable, size) : large_move_down(p, tag, size);
}

/* Not a live block of ours. */
static COLD void *bad_realloc(void *p, size_t size)
{
    enum front_kind kind = front_classify(p);
    if (kind == FRONT_FOREIGN) return foreign_realloc(p, size);
    error_report(kind == FRONT_FREED ? ERROR_double_free : ERROR_invalid_pointer, p, 0);
    errno = ENOMEM;
    return NULL;
}

/* The others: NULL, large blocks, blocks of other heaps, what is no block; and size 0. */
static NOINLINE void *realloc_miss(void *p, size_t size)
{
    if (!p) return front_malloc(size);
    if (size == 0) {
        front_free(p);
        return NULL;
    }
    if (is_watched()) return watched_realloc(p, size);
    size_t usable = front_own_size(p);
    if (unlikely(usable == 0)) return bad_realloc(p, size);
    if (unlikely(size > PTRDIFF_MAX)) {
        errno = ENOMEM;
        return NULL;
    }
    struct tag tag = tagmap_get(p);
    if (tag_offset(tag) < BIN_OFFSET) return large_realloc(p, tag, usable, size);
    if (stays(usable, size)) return p;
    return usable < size ? move(p, usable, size) : move_down(p, size);
}

/* The hit path: a block of this heap. */
void *front_realloc(void *p, size_t size)
{
    struct heap_front *self = load_relaxed(&heap_self);
    uint64_t entry = load_relaxed(tagmap_entry(p));
    if (unlikely((uint32_t)entry >> OWNER_SHIFT != self->owner || size - 1 >= SMALL_SIZE_MAX))
        return realloc_miss(p, size);
    const struct slab *s = slab_at((uint32_t)(entry >> 32));
    if (unlikely(!slab_is_block(s, p))) return realloc_miss(p, size);
    size_t usable = s->stride;
    if (stays(usable, size)) return p;
    return likely(usable < size) ? move(p, usable, size) : move_down(p, size);
}
