/* watched.c - see watched.h.
 *
 * Uses: front (miss.c), foreign, memcheck, os. Locks: none.
 */
#include "watched.h"

#include <errno.h>

#include "../os/os.h"
#include "foreign.h"
#include "front.h"

/* Before the program's bytes. Forbidden: it is copied in and out while memcheck looks away. */
struct watched {
    uint64_t size;
    uint32_t check;
    uint32_t offset; /* from the block's start to the program's bytes; for alignments up to 2 GiB */
};

enum {
    ALIGNMENT_MIN = sizeof(struct watched),
    BEHIND = 16,                                          /* forbidden bytes at least */
    WAITING_SMALL = 2048, SMALL_MAX = 8 * 1024,           /* 16 MiB at most */
    WAITING_LARGE = 32, LARGE_MAX = 1024 * 1024,          /* and 32 */
};

/* Freed blocks on their way home: rings. */
static void *waiting_small[WAITING_SMALL];
static void *waiting_large[WAITING_LARGE];
static uint32_t next_small;
static uint32_t next_large;

static uint32_t watched_check(const void *p, uint64_t size)
{
    return (uint32_t)(((uintptr_t)p ^ size ^ 0x77617463) * UINT64_C(0x9e3779b97f4a7c15) >> 32);
}

static struct watched *words_of(const void *p)
{
    return (struct watched *)((uintptr_t)p - sizeof(struct watched));
}

/* Whatever p is. */
static bool read_words(const void *p, struct watched *w)
{
    memcheck_look_away();
    bool done = os_peek(words_of(p), w, sizeof(*w));
    memcheck_look_again();
    return done;
}

static bool is_live(const void *p, struct watched *w)
{
    return read_words(p, w) && w->check == watched_check(p, w->size);
}

void *watched_malloc(size_t size, size_t alignment, bool zeroed)
{
    if (alignment < ALIGNMENT_MIN) alignment = ALIGNMENT_MIN;
    if (size > PTRDIFF_MAX / 2 || alignment > UINT32_MAX) {
        errno = ENOMEM;
        return NULL;
    }
    char *block = front_plain_aligned(alignment, alignment + size + BEHIND);
    if (!block) return NULL;
    char *p = block + alignment;
    size_t usable = front_plain_size(block);
    memcheck_allow(block, usable);
    *words_of(p) = (struct watched){.size = size, .check = watched_check(p, size), .offset = (uint32_t)alignment};
    if (zeroed) __builtin_memset(p, 0, size);
    memcheck_forbid(block, alignment);
    memcheck_forbid(p + size, usable - alignment - size);
    memcheck_take(p, size, zeroed);
    return p;
}

/* Its words still say where it begins. */
static void go_home(void *p)
{
    struct watched w;
    if (!p || !read_words(p, &w)) return;
    void *block = (char *)p - w.offset;
    memcheck_allow(block, front_plain_size(block));
    front_plain_free(block);
}

static void wait_to_go_home(void *p, size_t size)
{
    if (size <= SMALL_MAX)
        p = exchange_acq_rel(&waiting_small[add_relaxed(&next_small, 1) % WAITING_SMALL], p);
    else if (size <= LARGE_MAX)
        p = exchange_acq_rel(&waiting_large[add_relaxed(&next_large, 1) % WAITING_LARGE], p);
    go_home(p);
}

void watched_free(void *p)
{
    struct watched w;
    bool live = is_live(p, &w);
    if (!live && front_classify(p) == FRONT_FOREIGN) {
        foreign_free(p);
        return;
    }
    memcheck_give(p); /* complains, if it is not live */
    if (!live) return;
    memcheck_look_away();
    words_of(p)->check = ~w.check;
    memcheck_look_again();
    wait_to_go_home(p, w.size);
}

/* Always moves, so that who keeps the old address is found. */
void *watched_realloc(void *p, size_t size)
{
    struct watched w;
    if (!is_live(p, &w)) {
        if (front_classify(p) == FRONT_FOREIGN) return foreign_realloc(p, size);
        memcheck_give(p); /* complains */
        errno = ENOMEM;
        return NULL;
    }
    void *q = watched_malloc(size, ALIGNMENT_MIN, false);
    if (!q) return NULL;
    __builtin_memcpy(q, p, size < w.size ? size : w.size);
    watched_free(p);
    return q;
}

size_t watched_size(const void *p)
{
    struct watched w;
    return is_live(p, &w) ? w.size : 0;
}
