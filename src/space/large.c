/* large.c - see large.h.
 *
 * Uses: arena, mapping, density, tagmap, record. Locks: none of its own.
 */
#include "large.h"

#include "../base/bits.h"
#include "arena.h"
#include "density.h"
#include "mapping.h"

#define LARGE_SIZE_MIN (SMALL_SIZE_MAX + (size_t)1)
#define RUN_SIZE_MAX ((size_t)LONG_UNITS_MAX * UNIT_SIZE)

enum { SPARSE_TURNS = 4 };

static size_t sparse_units; /* in long runs freed since memory went back, while density was low; shared */

/* ---- runs ---- */

/* `dirty` as arena_take_long() gives it. */
static void clear_dirty_units(uintptr_t base, const uint32_t *dirty, size_t size)
{
    for (size_t offset = 0; offset < size; offset += UNIT_SIZE) {
        size_t unit = offset >> UNIT_SHIFT;
        if ((dirty[unit / SUPERSLAB_UNITS] >> unit % SUPERSLAB_UNITS & 1) == 0) continue;
        __builtin_memset((void *)(base + offset), 0, size - offset < UNIT_SIZE ? size - offset : UNIT_SIZE);
    }
}

static bool run_take(unsigned units, size_t size, bool grow, struct span *span, uint32_t dirty[LONG_SUPERSLABS_MAX])
{
    if (units > SUPERSLAB_UNITS) return arena_take_long(units, size, density_expected(), grow, span, dirty);
    if (!arena_take_run(units, size, span)) return false;
    dirty[0] = span->dirty;
    return true;
}

/* `grow` as arena_take_long() wants it. */
static void *run_alloc(size_t size, bool zeroed, bool grow)
{
    struct span span;
    uint32_t dirty[LONG_SUPERSLABS_MAX];
    size = align_up(size, os_page_size());
    unsigned units = large_units(size);
    if (!run_take(units, size, grow, &span, dirty)) return NULL;
    struct large *l = large_at(span.record);
    *l = (struct large){.start = span.base, .size = size, .number = span.record, .units = units, .zeroed = zeroed};
    tagmap_set(span.base, units, TAG_RUN, span.record);
    if (zeroed) clear_dirty_units(span.base, dirty, size);
    return (void *)span.base;
}

/* Blocks of which little is touched leave pages behind wherever they end: after SPARSE_TURNS rounds through the whole
 * arena these are many, and few are met again. */
static void count_sparse(unsigned units)
{
    if (!density_is_low()) return;
    size_t sum = add_relaxed(&sparse_units, units) + units;
    if (sum >= SPARSE_TURNS * arena_units() && !arena_purge_empty()) store_relaxed(&sparse_units, 0);
}

static void run_free(struct large *l)
{
    unsigned units = l->units;
    size_t size = l->size;
    l->size = 0;
    arena_give_run(l->start, l->number, units, size);
    if (units > SUPERSLAB_UNITS) count_sparse(units);
}

static bool run_resize(struct large *l, size_t size)
{
    unsigned units = large_units(size);
    if (units > l->units && !arena_extend(l->number, l->units, units - l->units)) return false;
    if (units > l->units)
        tagmap_set(l->start + l->units * (uintptr_t)UNIT_SIZE, units - l->units, TAG_RUN, l->number);
    unsigned old_units = l->units;
    arena_recount_run(l->size, old_units, size, units);
    l->units = units;
    l->size = size;
    if (units < old_units)
        arena_give(l->start + units * (uintptr_t)UNIT_SIZE, l->number + units, old_units - units);
    return true;
}

/* ---- both ---- */

void *large_alloc(size_t size, size_t alignment, bool zeroed)
{
    void *p = NULL;
    bool run = size <= RUN_SIZE_MAX && alignment <= UNIT_SIZE;
    if (run) p = run_alloc(size, zeroed, false);
    if (!p) p = mapping_alloc(size < LARGE_SIZE_MIN ? LARGE_SIZE_MIN : size, alignment, zeroed);
    if (!p && run && size > SUPERSLAB_SIZE) p = run_alloc(size, zeroed, true); /* there is no better place */
    return p;
}

static struct large *live_block(const void *p, struct tag tag)
{
    uint32_t kind = tag_offset(tag);
    if (kind != TAG_RUN && kind != TAG_MAPPING) return NULL;
    struct large *l = large_at(tag.record);
    return l->start == (uintptr_t)p && l->size > 0 ? l : NULL;
}

bool large_free(void *p, struct tag tag)
{
    struct large *l = live_block(p, tag);
    if (!l) return false;
    if (tag_offset(tag) == TAG_RUN)
        run_free(l);
    else
        mapping_free(l);
    return true;
}

bool large_contains(const void *p, struct tag tag)
{
    const struct large *l = large_at(tag.record);
    bool run = tag_offset(tag) == TAG_RUN;
    uintptr_t base = run ? l->start : l->map_base;
    return (uintptr_t)p - base < (run ? l->units * (size_t)UNIT_SIZE : l->map_size);
}

bool large_is_retired(struct tag tag)
{
    return tag_offset(tag) == TAG_RUN && large_at(tag.record)->size == 0;
}

size_t large_usable_size(const void *p, struct tag tag)
{
    struct large *l = live_block(p, tag);
    return l ? l->size : 0;
}

/* Copies, for the last time in the block's life. */
static void *run_become_mapping(struct large *l, size_t size)
{
    void *to = mapping_alloc_growing(size, density_is_high(l->start, l->size));
    if (!to) return NULL;
    __builtin_memcpy(to, (void *)l->start, l->size);
    run_free(l);
    return to;
}

void *large_resize(void *p, struct tag tag, size_t size, bool insist)
{
    struct large *l = large_at(tag.record);
    if (size < LARGE_SIZE_MIN) {
        if (!insist) return NULL;
        size = LARGE_SIZE_MIN;
    }
    size = align_up(size, os_page_size());
    if (size == l->size) return p;
    if (tag_offset(tag) == TAG_MAPPING) return mapping_resize(l, size, insist);
    if (size <= RUN_SIZE_MAX && run_resize(l, size)) return p;
    return size > l->size && size > SUPERSLAB_SIZE ? run_become_mapping(l, size) : NULL;
}

void large_usage(struct large_usage *usage)
{
    struct arena_usage runs;
    arena_usage(&runs);
    mapping_usage(usage);
    usage->runs = runs.runs;
}

COLD const char *large_verify(void)
{
    return mapping_verify();
}
