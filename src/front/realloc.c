/* realloc.c - resizing: in place where the class, the run or the mapping allows it, else by copying.
 *
 * Uses: large, foreign, front. Callers: api. Locks: none held across steps.
 */
#include <errno.h>

#include "../diag/error.h"
#include "../space/large.h"
#include "foreign.h"
#include "front.h"

/* A block stays when the new size fits and fills at least half of it. */
static bool stays(size_t usable, size_t size)
{
    if (size > usable) return false;
    if (usable <= 64) return true; /* nothing to win */
    return size > usable / 2;
}

static void *move(void *p, size_t usable, size_t size)
{
    int saved = errno;
    void *q = front_malloc(size);
    if (!q && usable >= size) { /* shrinking cannot fail */
        errno = saved;
        return p;
    }
    if (!q) return NULL;
    __builtin_memcpy(q, p, usable < size ? usable : size);
    front_free(p);
    return q;
}

static void *large_realloc(void *p, struct tag tag, size_t usable, size_t size)
{
    void *q = size > SMALL_SIZE_MAX ? large_resize(p, tag, size) : NULL;
    if (q) return q;
    if (stays(usable, size)) return p;
    return move(p, usable, size);
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

void *front_realloc(void *p, size_t size)
{
    if (!p) return front_malloc(size);
    if (size == 0) {
        front_free(p);
        return NULL;
    }
    size_t usable = front_own_size(p);
    if (unlikely(usable == 0)) return bad_realloc(p, size);
    if (unlikely(size > PTRDIFF_MAX)) {
        errno = ENOMEM;
        return NULL;
    }
    struct tag tag = tagmap_get(p);
    if (tag_offset(tag) < BIN_OFFSET) return large_realloc(p, tag, usable, size);
    return stays(usable, size) ? p : move(p, usable, size);
}
