/* limit.h - how much memory the process may hold, asked before it grows.
 *
 * Uses: chunk (the arena's sums), record.
 * Callers: arena, mapping, mapped; service sets the limits and follows a crossing.
 * Locks: RANK_ARENA: so that what is asked for and what is counted cannot drift apart between threads.
 *
 * What is held: units that are handed out or dirty, mappings with their room to grow, live or kept, and bookkeeping as
 * mapped. Units are summed by the arena anyway; mappings are counted here. Bookkeeping is counted and never refused.
 * Where no limit is set, all that a taker of units does is to read one word.
 *
 * The limit of a control group refuses nothing: not all that is held was touched. But who passes it is killed, so what
 * is free goes back at a mark below it. By what is then held the next mark is set, nearer to the limit.
 *
 * I1  mapped == sizes of all mappings that were asked for here and not given back; in the child of a fork those that
 *     another thread was about to enter or give back do not count
 * I2  no request that is granted makes the sum larger than `hard`; bookkeeping asks nobody
 */
#ifndef HAK_SPACE_LIMIT_H
#define HAK_SPACE_LIMIT_H

#include "../base/atomics.h"

struct limits {
    uint32_t is_set;           /* some limit is; written under arena_lock, read by anyone, as is the next */
    size_t hard;               /* bytes; SIZE_MAX = none */
    uint32_t passed;           /* enum crossing: what was crossed, and nobody has followed; shared */
    CACHE_ALIGNED size_t soft; /* bytes; SIZE_MAX = none; under arena_lock, as are the next four */
    size_t mapped;             /* bytes in mappings */
    size_t group;              /* what the control group may have; SIZE_MAX = no limit */
    size_t mark;               /* of `group`: more than this crosses it */
    uint32_t armed;            /* the next crossing of `soft` counts */
};

enum crossing { CROSSED_SOFT = 1, CROSSED_GROUP = 2 };

extern struct limits limits LINKED_AS("hak_limits");

ALWAYS_INLINE bool limit_is_set(void)
{
    return load_relaxed(&limits.is_set);
}

ALWAYS_INLINE bool limit_is_hard(void)
{
    return load_relaxed(&limits.hard) != SIZE_MAX;
}

ALWAYS_INLINE bool limit_is_passed(void)
{
    return load_relaxed(&limits.passed);
}

/* In bytes; 0 = none. What is held already stays. */
INTERNAL void limit_set(size_t soft, size_t hard);

/* In bytes; SIZE_MAX = none. */
INTERNAL void limit_set_group(size_t group);

/* What could be given back was, after CROSSED_GROUP: sets the next mark. */
INTERNAL void limit_follow_group(void);

/* true = `more` bytes may be held, and will be. Under arena_lock. */
INTERNAL bool limit_allows(size_t more);

/* The same and does not count as crossing a limit, for what would only be welcome. Under arena_lock. */
INTERNAL bool limit_has_room(size_t more);

/* Counts `more` bytes that are to be mapped. false = they may not be held, and nothing was counted. */
INTERNAL bool limit_map(size_t more);

/* They are: a limit that they cross is crossed now, since the system could have refused. */
INTERNAL void limit_mapped(size_t more);

INTERNAL void limit_unmap(size_t less);

/* In the child of a fork: so much is mapped. */
INTERNAL void limit_set_mapped(size_t bytes);

/* What is held, in bytes. */
INTERNAL size_t limit_held(void);

/* The same in percent of so many bytes, up to 100; of SIZE_MAX, no limit, 0. */
INTERNAL unsigned limit_percent(size_t of);

#endif
