/* dirty.h - how many free units have memory, for tests of giving it back.
 *
 * Uses: unit.h. Callers: background_thread.h, purge_burst_test.c, reclaim_test.c, superslabs.h.
 */
#ifndef HAKMEM_TESTS_UNIT_DIRTY_H
#define HAKMEM_TESTS_UNIT_DIRTY_H

#include "unit.h"

static const size_t MIB = (size_t)1 << 20;

static size_t dirty_units(void)
{
    struct arena_usage usage;
    arena_usage(&usage);
    return usage.dirty_units;
}

#endif
