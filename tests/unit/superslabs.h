/* superslabs.h - SuperSlabs filled unit by unit, for tests that free some of the units again.
 *
 * Uses: dirty.h, spans.h. Callers: arena_test.c, purge_test.c.
 */
#ifndef HAKMEM_TESTS_UNIT_SUPERSLABS_H
#define HAKMEM_TESTS_UNIT_SUPERSLABS_H

#include "dirty.h"
#include "spans.h"

static void start(void)
{
    require(tagmap_init());
}

static struct superslab *superslab_of(struct span span)
{
    return chunk_superslab_of(span.record);
}

static void dirty_fill(struct span span, unsigned count)
{
    memset((void *)span.base, 0xdd, count * (size_t)UNIT_SIZE);
}

enum { SLABS = 3 };

/* SLABS SuperSlabs, every unit taken. unit[s][i] is unit i of SuperSlab s. */
static struct span unit[SLABS][SUPERSLAB_UNITS];

static void take_everything(void)
{
    start();
    for (unsigned s = 0; s < SLABS; s++)
        for (unsigned i = 0; i < SUPERSLAB_UNITS; i++) {
            unit[s][i] = take(1);
            require(superslab_of(unit[s][i])->base == unit[s][0].base, "SuperSlab %u unit %u", s, i);
        }
}

static void free_some(unsigned superslab, unsigned from, unsigned count)
{
    for (unsigned i = from; i < from + count; i++) give(unit[superslab][i], 1);
}

#endif
