/* dense.h - units taken from the arena to be filled, or not, for tests of huge pages.
 *
 * Uses: unit.h. Callers: huge_test.c, huge_large_test.c.
 */
#ifndef HAKMEM_TESTS_UNIT_DENSE_H
#define HAKMEM_TESTS_UNIT_DENSE_H

#include "unit.h"

static const size_t MIB = (size_t)1 << 20;

static void require_whole(void)
{
    const char *broken = arena_verify();
    require(!broken, "%s", broken);
}

static void start(void)
{
    require(tagmap_init());
    fake.huge_count = 0;
}

static struct span take(unsigned count, bool dense)
{
    struct span span;
    bool done = arena_take(count, dense, &span);
    require(done, "%u units", count);
    require_whole();
    return span;
}

static void give(struct span span, unsigned count)
{
    arena_give(span.base, span.record, count);
    require_whole();
}

static struct arena_usage usage(void)
{
    struct arena_usage u;
    arena_usage(&u);
    return u;
}

/* Full SuperSlabs of dense units, so many that the next one is expected to be filled, too. */
static struct span grow_dense(void)
{
    struct span first = take(1, true);
    for (unsigned i = 1; i < HUGE_AFTER; i++) (void)take(1, true);
    return first;
}

#endif
