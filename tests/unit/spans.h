/* spans.h - runs of units taken from the arena and given back, for tests that work on it alone.
 *
 * Uses: unit.h. Callers: release_test.c, superslabs.h.
 */
#ifndef HAKMEM_TESTS_UNIT_SPANS_H
#define HAKMEM_TESTS_UNIT_SPANS_H

#include "unit.h"

static struct span take(unsigned count)
{
    struct span span;
    bool done = arena_take(count, false, &span);
    require(done, "%u units", count);
    return span;
}

static void give(struct span span, unsigned count)
{
    arena_give(span.base, span.record, count);
}

static void require_whole(void)
{
    const char *broken = arena_verify();
    require(!broken, "%s", broken);
}

#endif
