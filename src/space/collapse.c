/* collapse.c - SuperSlabs that are in use to the last page get one huge page instead of 512 small ones.
 *
 * Uses: chunk, huge, option, os. Callers: through arena_collapse(), by the background thread: it takes half a
 *       millisecond, while others that fault must wait.
 * Locks: RANK_ARENA to choose, not while the system works: what is freed meanwhile is free in a huge page, and purging
 *        part of it splits it again.
 *
 * It costs no memory: a SuperSlab with one page missing is left alone. Each is tried once, until part of it was purged.
 */
#include "../diag/option.h"
#include "arena.h"
#include "chunk.h"
#include "huge.h"

enum { COLLAPSE_LOOKS = 64, COLLAPSE_MAX = 4 /* of the looks of one round */ };

struct collapse {
    uint32_t from;                              /* SuperSlabs to pass before the first look */
    uint32_t seen;
    unsigned count;
    struct superslab *candidate[COLLAPSE_MAX];
};

static uint32_t collapse_cursor; /* background thread only */

/* Under RANK_ARENA. */
static void consider(struct superslab *s, void *context)
{
    struct collapse *c = context;
    uint32_t index = c->seen++;
    if (index < c->from || index >= c->from + COLLAPSE_LOOKS || c->count == COLLAPSE_MAX) return;
    collapse_cursor = index + 1;
    if (~s->occupied || s->collapsed || load_relaxed(&s->huge)) return;
    if (!s->whole || s->base % SUPERSLAB_SIZE) return; /* no huge page has room: what lies behind may be others' */
    s->collapsed = true;
    c->candidate[c->count++] = s;
}

unsigned arena_collapse(void)
{
    struct collapse c = {.from = collapse_cursor};
    unsigned done = 0;
    if (option_get(OPTION_thp) != THP_AUTO) return 0;
    lock_acquire(&arena_lock);
    chunk_each_superslab(consider, &c);
    lock_release(&arena_lock);
    if (collapse_cursor >= c.seen) collapse_cursor = 0;
    if (c.count > 0 && os_forbids_huge()) return 0;
    for (unsigned i = 0; i < c.count; i++)
        if (huge_at_hand() && huge_collapse(c.candidate[i]->base)) done++;
    return done;
}
