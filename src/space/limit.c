/* limit.c - see limit.h.
 *
 * Uses: arena, chunk, record. Locks: RANK_ARENA.
 */
#include "limit.h"

#include "arena.h"
#include "chunk.h"

enum { FIRST_PART = 5, LEAST_PART = 64 }; /* of the group: the first mark is so far below, others so far apart */

struct limits limits = {.soft = SIZE_MAX, .hard = SIZE_MAX, .group = SIZE_MAX, .mark = SIZE_MAX, .armed = 1};

/* Under arena_lock. */
static size_t held_bytes(void)
{
    size_t units = arena.units - arena.free_units + arena.dirty_units - arena.purging_units;
    return units * UNIT_SIZE + limits.mapped + record_bytes();
}

void limit_set(size_t soft, size_t hard)
{
    lock_acquire(&arena_lock);
    limits.soft = soft > 0 ? soft : SIZE_MAX;
    store_relaxed(&limits.hard, hard > 0 ? hard : SIZE_MAX);
    limits.armed = 1;
    and_relaxed(&limits.passed, ~(uint32_t)CROSSED_SOFT);
    store_relaxed(&limits.is_set, soft > 0 || hard > 0 || limits.group != SIZE_MAX);
    lock_release(&arena_lock);
}

static size_t first_mark(void)
{
    return limits.group - limits.group / FIRST_PART;
}

/* Half of the way that is left, so that garbage finds room beside what is in use; beyond the limit in small steps. */
static size_t mark_after(size_t held)
{
    size_t half = held < limits.group ? (limits.group - held) / 2 : 0;
    size_t least = limits.group / LEAST_PART;
    size_t mark = held + (half > least ? half : least);
    return mark > first_mark() ? mark : first_mark();
}

void limit_set_group(size_t group)
{
    lock_acquire(&arena_lock);
    if (group != limits.group) {
        limits.group = group;
        limits.mark = group == SIZE_MAX ? SIZE_MAX : first_mark();
        bool other = limits.soft != SIZE_MAX || limits.hard != SIZE_MAX;
        store_relaxed(&limits.is_set, other || group != SIZE_MAX);
    }
    lock_release(&arena_lock);
}

void limit_follow_group(void)
{
    lock_acquire(&arena_lock);
    if (limits.group != SIZE_MAX) limits.mark = mark_after(held_bytes());
    lock_release(&arena_lock);
}

/* A crossing counts again when a sixteenth of the limit was free in between: else who works at the limit would be told
 * at every other call. */
static void look_at_soft(size_t before, size_t after)
{
    if (before <= limits.soft - limits.soft / 16) limits.armed = 1;
    if (after <= limits.soft || !limits.armed) return;
    limits.armed = 0;
    or_relaxed(&limits.passed, CROSSED_SOFT);
}

/* Who follows may never come to set the next mark, as in a forked child: here it is set as if nothing went back. */
static void look_at_mark(size_t before, size_t after)
{
    if (limits.group == SIZE_MAX) return;
    if (before <= first_mark() - first_mark() / 16) limits.mark = first_mark();
    if (after <= limits.mark) return;
    limits.mark = mark_after(after);
    or_relaxed(&limits.passed, CROSSED_GROUP);
}

static void look_at(size_t before, size_t after)
{
    look_at_soft(before, after);
    look_at_mark(before, after);
}

static bool fits(size_t before, size_t more)
{
    return before <= limits.hard && more <= limits.hard - before;
}

bool limit_has_room(size_t more)
{
    return !limit_is_set() || fits(held_bytes(), more);
}

bool limit_allows(size_t more)
{
    if (likely(!limit_is_set()) || more == 0) return true;
    size_t before = held_bytes();
    if (!fits(before, more)) return false;
    look_at(before, before + more);
    return true;
}

bool limit_map(size_t more)
{
    lock_acquire(&arena_lock);
    bool done = limit_has_room(more);
    if (done) limits.mapped += more;
    lock_release(&arena_lock);
    return done;
}

void limit_mapped(size_t more)
{
    if (likely(!limit_is_set())) return;
    lock_acquire(&arena_lock);
    size_t after = held_bytes();
    look_at(after > more ? after - more : 0, after);
    lock_release(&arena_lock);
}

void limit_unmap(size_t less)
{
    lock_acquire(&arena_lock);
    limits.mapped -= less;
    lock_release(&arena_lock);
}

void limit_set_mapped(size_t bytes)
{
    lock_acquire(&arena_lock);
    limits.mapped = bytes;
    lock_release(&arena_lock);
}

size_t limit_held(void)
{
    lock_acquire(&arena_lock);
    size_t bytes = held_bytes();
    lock_release(&arena_lock);
    return bytes;
}

unsigned limit_percent(size_t of)
{
    if (of == SIZE_MAX) return 0;
    size_t bytes = limit_held();
    return bytes >= of ? 100 : (unsigned)(bytes / (of / 100 + 1));
}
