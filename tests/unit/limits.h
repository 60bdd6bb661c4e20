/* limits.h - what hakmem holds, computed twice, for tests of its limits.
 *
 * Uses: unit.h. Callers: limit_test.c, pressure_test.c.
 */
#ifndef HAKMEM_TESTS_UNIT_LIMITS_H
#define HAKMEM_TESTS_UNIT_LIMITS_H

#include "unit.h"

static const size_t MIB = (size_t)1 << 20;

/* What limit_held() must say, computed from what statistics walk and count. */
static size_t walked_held(void)
{
    struct hak_stats s;
    require(hak_stats(&s) == 0);
    return s.mapped - s.purged + s.records;
}

#define require_exact() require(limit_held() == walked_held(), "held %zu, walked %zu", limit_held(), walked_held())

/* With all bookkeeping that a few blocks need: it counts, too, but comes in large pieces. */
static void start(void)
{
    do_free(do_malloc(1));
    do_free(malloc_mapping(3 * MIB));
    (void)hak_purge();
}

#endif
