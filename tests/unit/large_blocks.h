/* large_blocks.h - runs and mappings made, freed and looked at, for tests that work on large blocks alone.
 *
 * Uses: unit.h. Callers: large_test.c, large_resize_test.c, keep_test.c.
 */
#ifndef HAKMEM_TESTS_UNIT_LARGE_BLOCKS_H
#define HAKMEM_TESTS_UNIT_LARGE_BLOCKS_H

#include "unit.h"

static const size_t MIB = (size_t)1 << 20;

UNUSED static void *get(size_t size)
{
    void *p = large_alloc(size, 1, false);
    require(p != NULL, "%zu bytes", size);
    return p;
}

/* In a mapping of its own, whatever the size: what a run that is outgrown becomes. */
static void *map_block(size_t size)
{
    void *p = malloc_mapping(size);
    require(p != NULL, "%zu bytes", size);
    return p;
}

static void start(void)
{
    require(tagmap_init());
    keep_attend(true);
}

static void put(void *p)
{
    require(large_free(p, tagmap_get(p)), "%p", p);
}

static enum tag_kind kind_of(const void *p)
{
    return (enum tag_kind)tag_offset(tagmap_get(p));
}

UNUSED static size_t usable(const void *p)
{
    return large_usable_size(p, tagmap_get(p));
}

static void require_whole(void)
{
    const char *broken = large_verify();
    require(!broken, "%s", broken);
    broken = arena_verify();
    require(!broken, "%s", broken);
}

/* A pattern in every KiB. */
UNUSED static void fill(unsigned char *p, size_t size)
{
    for (size_t i = 0; i < size; i += 1024) p[i] = (unsigned char)(i / 1024 * 7 + 3);
    p[size - 1] = 0x77;
}

static struct large_usage usage(void)
{
    struct large_usage u;
    large_usage(&u);
    return u;
}

#endif
