/* limit.h - how much memory the process may hold, asked before it grows.
 *
 * Uses: chunk (the arena's sums), record. Callers: arena, mapping; service sets the limits and follows a crossing.
 * Locks: RANK_ARENA: so that what is asked for and what is counted cannot drift apart between threads.
 *
 * What is held: units that are handed out or dirty, mappings with their room to grow, live or kept, and bookkeeping as
 * mapped. Units are summed by the arena anyway; mappings are counted here. Bookkeeping is counted and never refused.
 * Where no limit is set, all that a taker of units does is to read one word.
 *
 * I1  mapped == sizes of all mappings that were asked for here and not given back
 * I2  no request that is granted makes the sum larger than `hard`; bookkeeping asks nobody
 */
#ifndef HAK_SPACE_LIMIT_H
#define HAK_SPACE_LIMIT_H

#include "../base/atomics.h"

struct limits {
    uint32_t is_set;           /* some limit is; written under arena_lock, read by anyone, as is the next */
    size_t hard;               /* bytes; SIZE_MAX = none */
    uint32_t passed;           /* `soft` was crossed, and nobody has followed; shared */
    CACHE_ALIGNED size_t soft; /* bytes; SIZE_MAX = none; under arena_lock, as are the next two */
    size_t mapped;             /* bytes in mappings */
    uint32_t armed;            /* the next crossing of `soft` counts */
};

extern struct limits limits;

ALWAYS_INLINE bool limit_is_set(void)
{
    return load_relaxed(&limits.is_set);
}

ALWAYS_INLINE bool limit_is_passed(void)
{
    return load_relaxed(&limits.passed);
}

/* In bytes; 0 = none. What is held already stays. */
void limit_set(size_t soft, size_t hard);

/* true = `more` bytes may be held. Under arena_lock. */
bool limit_allows(size_t more);

/* The same and does not count as crossing the soft limit, for what would only be welcome. Under arena_lock. */
bool limit_has_room(size_t more);

/* Counts `more` bytes of mappings. false = they may not be held, and nothing was counted. */
bool limit_map(size_t more);
void limit_unmap(size_t less);

/* What is held, in bytes. */
size_t limit_held(void);

/* The same in percent of so many bytes, up to 100; of SIZE_MAX, no limit, 0. */
unsigned limit_percent(size_t of);

#endif
