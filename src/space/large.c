/* large.c - see large.h.
 *
 * Uses: arena, tagmap, record, os. Locks: RANK_LARGE, never across a system call that maps or unmaps.
 */
#include "large.h"

#include "../base/bits.h"
#include "arena.h"

#define RUN_SIZE_MAX ((size_t)LONG_UNITS_MAX * UNIT_SIZE)
#define KEPT_BYTES_MAX ((size_t)64 << 20)
enum { KEPT_MAX = 64, LARGE_RECORDS_PER_BLOCK = 1024 };

struct lock large_lock = {.rank = RANK_LARGE};

/* Under large_lock. */
static struct {
    struct list live;
    struct list kept; /* latest first */
    struct large *free_records;
    unsigned kept_count;
    size_t kept_bytes;
    size_t mapping_live, mapping_slack, mapping_count;
    uint32_t tick;
    size_t run_live, run_slack, mallocs, frees; /* shared counters, without the lock */
} large;

static struct large *large_at(uint32_t number)
{
    return (struct large *)(void *)record_at(number);
}

/* ---- records of mappings ---- */

static bool add_records(void)
{
    struct record *block = record_map(LARGE_RECORDS_PER_BLOCK * sizeof(struct record));
    if (!block) return false;
    uint32_t number = record_block_add(block);
    if (!number) return false;
    for (uint32_t i = 0; i < LARGE_RECORDS_PER_BLOCK; i++) {
        struct large *l = large_at(number + i);
        l->number = number + i;
        l->link.next = (struct list *)(void *)large.free_records;
        large.free_records = l;
    }
    return true;
}

static struct large *record_take(void)
{
    lock_acquire(&large_lock);
    struct large *l = large.free_records || add_records() ? large.free_records : NULL;
    if (l) large.free_records = (struct large *)(void *)l->link.next;
    lock_release(&large_lock);
    return l;
}

static void record_give_locked(struct large *l)
{
    l->start = 0;
    l->size = 0;
    l->link.next = (struct list *)(void *)large.free_records;
    large.free_records = l;
}

/* ---- mappings ---- */

static void publish(struct large *l, enum tag_kind kind)
{
    tagmap_set(align_down(l->start, UNIT_SIZE), 1, kind, kind == TAG_NONE ? 0 : l->number);
}

static void count_mapping(const struct large *l, bool add)
{
    size_t slack = l->map_size - l->size;
    large.mapping_live += add ? l->size : 0 - l->size;
    large.mapping_slack += add ? slack : 0 - slack;
}

static void enter_live(struct large *l)
{
    publish(l, TAG_MAPPING);
    lock_acquire(&large_lock);
    list_push_front(&large.live, &l->link);
    large.mapping_count++;
    count_mapping(l, true);
    lock_release(&large_lock);
}

/* Picks the smallest kept mapping that the request fills to three quarters. */
static struct large *kept_take(size_t size)
{
    struct large *best = NULL;
    if (load_relaxed(&large.kept_count) == 0) return NULL;
    lock_acquire(&large_lock);
    for (struct list *i = list_first(&large.kept); i != &large.kept; i = i->next) {
        struct large *l = container_of(i, struct large, link);
        bool fits = l->size >= size && l->size - size <= l->size / 4;
        if (fits && (!best || l->size < best->size)) best = l;
    }
    if (best) {
        list_remove(&best->link);
        large.kept_bytes -= best->map_size;
        store_relaxed(&large.kept_count, large.kept_count - 1);
    }
    lock_release(&large_lock);
    return best;
}

/* Maps so that a block of `size` can be aligned. The mapping stays whole: splitting can fail. */
static bool map_fresh(struct large *l, size_t size, size_t alignment)
{
    size_t page = os_page_size();
    size_t extra = alignment > page ? alignment - page : 0;
    size_t map_size;
    if (__builtin_add_overflow(size, extra, &map_size)) return false;
    void *base = os_map(map_size);
    if (!base) return false;
    l->map_base = (uintptr_t)base;
    l->map_size = map_size;
    l->start = align_up(l->map_base, alignment);
    l->size = size;
    return true;
}

/* In a window the tag of the first unit can be taken: another place is tried while this one is held. */
static bool map_tagged(struct large *l, size_t size, size_t alignment, unsigned tries)
{
    if (!map_fresh(l, size, alignment)) return false;
    if (tagmap_claim(align_down(l->start, UNIT_SIZE), UNIT_SIZE)) return true;
    void *held = (void *)l->map_base;
    size_t held_size = l->map_size;
    bool done = tries > 0 && map_tagged(l, size, alignment, tries - 1);
    (void)os_unmap(held, held_size);
    return done;
}

static void *mapping_alloc(size_t size, size_t alignment, bool zeroed)
{
    size = align_up(size, os_page_size());
    struct large *l = alignment <= os_page_size() ? kept_take(size) : NULL;
    if (l) {
        if (zeroed && !os_purge((void *)l->start, l->size)) __builtin_memset((void *)l->start, 0, l->size);
    } else {
        l = record_take();
        if (!l) return NULL;
        if (!map_tagged(l, size, alignment, 3)) {
            lock_acquire(&large_lock);
            record_give_locked(l);
            lock_release(&large_lock);
            return NULL;
        }
    }
    enter_live(l);
    return (void *)l->start;
}

/* The addresses go back, or when the system refuses that, only the memory, and the mapping stays kept. */
static size_t mapping_release(struct large *l)
{
    size_t bytes = l->map_size;
    publish(l, TAG_NONE);
    bool gone = os_unmap((void *)l->map_base, l->map_size);
    if (!gone) {
        (void)os_purge((void *)l->map_base, l->map_size);
        publish(l, TAG_MAPPING_KEPT);
    }
    lock_acquire(&large_lock);
    if (gone) {
        record_give_locked(l);
    } else {
        list_push_back(&large.kept, &l->link);
        large.kept_bytes += l->map_size;
        store_relaxed(&large.kept_count, large.kept_count + 1);
    }
    lock_release(&large_lock);
    return bytes;
}

static bool worth_keeping(const struct large *l)
{
    if (l->map_size != l->size) return false;                            /* aligned ones are rare */
    if (large.kept_count >= KEPT_MAX) return false;
    if (large.kept_bytes + l->map_size > KEPT_BYTES_MAX) return false;
    return true;
}

static void mapping_free(struct large *l)
{
    lock_acquire(&large_lock);
    list_remove(&l->link);
    large.mapping_count--;
    count_mapping(l, false);
    bool keep = worth_keeping(l);
    if (keep) {
        l->kept_tick = large.tick;
        publish(l, TAG_MAPPING_KEPT);
        list_push_front(&large.kept, &l->link);
        large.kept_bytes += l->map_size;
        store_relaxed(&large.kept_count, large.kept_count + 1);
    }
    lock_release(&large_lock);
    if (!keep) (void)mapping_release(l);
}

static struct large *kept_pop_idle(bool all)
{
    struct large *l = NULL;
    lock_acquire(&large_lock);
    if (!list_is_empty(&large.kept)) {
        l = container_of(large.kept.prev, struct large, link);
        if (all || large.tick - l->kept_tick >= 2) {
            list_remove(&l->link);
            large.kept_bytes -= l->map_size;
            store_relaxed(&large.kept_count, large.kept_count - 1);
        } else {
            l = NULL;
        }
    }
    lock_release(&large_lock);
    return l;
}

size_t large_purge(bool all)
{
    size_t bytes = 0;
    lock_acquire(&large_lock);
    uint32_t tick = ++large.tick;
    unsigned left = large.kept_count; /* a mapping that cannot be unmapped comes back: once round */
    lock_release(&large_lock);
    for (struct large *l; left > 0 && (l = kept_pop_idle(all)); left--) {
        l->kept_tick = tick;
        bytes += mapping_release(l);
    }
    return bytes;
}

/* ---- runs ---- */

static unsigned units_for(size_t size)
{
    return (unsigned)((size + UNIT_SIZE - 1) >> UNIT_SHIFT);
}

static void count_run(const struct large *l, bool add)
{
    size_t slack = l->units * (size_t)UNIT_SIZE - l->size;
    add_relaxed(&large.run_live, add ? l->size : 0 - l->size);
    add_relaxed(&large.run_slack, add ? slack : 0 - slack);
}

/* `dirty` as arena_take_long() gives it. */
static void clear_dirty_units(uintptr_t base, const uint32_t *dirty, size_t size)
{
    for (size_t offset = 0; offset < size; offset += UNIT_SIZE) {
        size_t unit = offset >> UNIT_SHIFT;
        if ((dirty[unit / SUPERSLAB_UNITS] >> unit % SUPERSLAB_UNITS & 1) == 0) continue;
        __builtin_memset((void *)(base + offset), 0, size - offset < UNIT_SIZE ? size - offset : UNIT_SIZE);
    }
}

static bool run_take(unsigned units, struct span *span, uint32_t dirty[LONG_SUPERSLABS_MAX])
{
    if (units > SUPERSLAB_UNITS) return arena_take_long(units, span, dirty);
    if (!arena_take(units, span)) return false;
    dirty[0] = span->dirty;
    return true;
}

static void *run_alloc(size_t size, bool zeroed)
{
    struct span span;
    uint32_t dirty[LONG_SUPERSLABS_MAX];
    size = align_up(size, os_page_size());
    unsigned units = units_for(size);
    if (!run_take(units, &span, dirty)) return NULL;
    struct large *l = large_at(span.record);
    *l = (struct large){.start = span.base, .size = size, .number = span.record, .units = units};
    tagmap_set(span.base, units, TAG_RUN, span.record);
    count_run(l, true);
    if (zeroed) clear_dirty_units(span.base, dirty, size);
    return (void *)span.base;
}

static void run_free(struct large *l)
{
    count_run(l, false);
    l->size = 0;
    arena_give(l->start, l->number, l->units);
}

static bool run_resize(struct large *l, size_t size)
{
    unsigned units = units_for(size);
    if (units > l->units && !arena_extend(l->number, l->units, units - l->units)) return false;
    if (units > l->units)
        tagmap_set(l->start + l->units * (uintptr_t)UNIT_SIZE, units - l->units, TAG_RUN, l->number);
    count_run(l, false);
    unsigned old_units = l->units;
    l->units = units;
    l->size = size;
    count_run(l, true);
    if (units < old_units)
        arena_give(l->start + units * (uintptr_t)UNIT_SIZE, l->number + units, old_units - units);
    return true;
}

/* ---- both ---- */

void *large_alloc(size_t size, size_t alignment, bool zeroed)
{
    void *p = NULL;
    if (size <= RUN_SIZE_MAX && alignment <= UNIT_SIZE) p = run_alloc(size, zeroed);
    if (!p) p = mapping_alloc(size < UNIT_SIZE + 1 ? UNIT_SIZE + 1 : size, alignment, zeroed);
    if (p) add_relaxed(&large.mallocs, 1);
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
    add_relaxed(&large.frees, 1);
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

static bool list_holds(struct list *head, const void *p)
{
    for (struct list *i = list_first(head); i != head; i = i->next) {
        const struct large *l = container_of(i, struct large, link);
        if ((uintptr_t)p - l->map_base < l->map_size) return true;
    }
    return false;
}

COLD bool large_holds(const void *p)
{
    lock_acquire(&large_lock);
    bool held = list_holds(&large.live, p) || list_holds(&large.kept, p);
    lock_release(&large_lock);
    return held;
}

size_t large_usable_size(const void *p, struct tag tag)
{
    struct large *l = live_block(p, tag);
    return l ? l->size : 0;
}

static void mapping_moved(struct large *l, uintptr_t base, size_t size)
{
    lock_acquire(&large_lock);
    count_mapping(l, false);
    l->start = l->map_base = base;
    l->size = l->map_size = size;
    count_mapping(l, true);
    lock_release(&large_lock);
}

/* Moves the pages, not the bytes. The new place is tagged before anything moves, so that every failure
 * leaves the block as it was. */
static void *mapping_move(struct large *l, size_t size)
{
    void *to = os_reserve(size);
    if (!to) return NULL;
    if (!tagmap_claim((uintptr_t)to & ~(uintptr_t)(UNIT_SIZE - 1), UNIT_SIZE)) {
        (void)os_unmap(to, size);
        return NULL;
    }
    lock_acquire(&large_lock);
    list_remove(&l->link); /* it has no tag for a while: who walks the list must not meet it */
    lock_release(&large_lock);
    publish(l, TAG_NONE);
    bool moved = os_remap_to((void *)l->map_base, l->map_size, size, to);
    if (moved) mapping_moved(l, (uintptr_t)to, size);
    publish(l, TAG_MAPPING);
    lock_acquire(&large_lock);
    list_push_front(&large.live, &l->link);
    lock_release(&large_lock);
    return moved ? to : NULL; /* refused: what became of the reservation is unknown, so it is left */
}

static void *mapping_resize(struct large *l, size_t size)
{
    if (l->start != l->map_base || size <= SUPERSLAB_SIZE) return NULL; /* so little: a run will do */
    if (os_remap((void *)l->map_base, l->map_size, size)) {
        mapping_moved(l, l->map_base, size);
        return (void *)l->start;
    }
    return size > l->size ? mapping_move(l, size) : NULL;
}

/* Copies, for the last time in the block's life. */
static void *run_become_mapping(struct large *l, size_t size)
{
    void *to = mapping_alloc(size, 1, false);
    if (!to) return NULL;
    __builtin_memcpy(to, (void *)l->start, l->size);
    run_free(l);
    return to;
}

void *large_resize(void *p, struct tag tag, size_t size)
{
    struct large *l = large_at(tag.record);
    size = align_up(size, os_page_size());
    if (size == l->size) return p;
    if (tag_offset(tag) == TAG_MAPPING) return mapping_resize(l, size);
    if (size <= SMALL_SIZE_MAX) return NULL;
    if (size <= RUN_SIZE_MAX && run_resize(l, size)) return p;
    return size > l->size && size > SUPERSLAB_SIZE ? run_become_mapping(l, size) : NULL;
}

bool large_has_kept(void)
{
    return load_relaxed(&large.kept_count) > 0;
}

void large_usage(struct large_usage *usage)
{
    lock_acquire(&large_lock);
    usage->mapping_live = large.mapping_live;
    usage->mapping_slack = large.mapping_slack;
    usage->mapping_count = large.mapping_count;
    usage->kept = large.kept_bytes;
    lock_release(&large_lock);
    usage->run_live = load_relaxed(&large.run_live);
    usage->run_slack = load_relaxed(&large.run_slack);
    usage->mallocs = load_relaxed(&large.mallocs);
    usage->frees = load_relaxed(&large.frees);
}

static const char *verify_mapping(const struct large *l, uint32_t kind)
{
    struct tag tag = tagmap_get((void *)l->start);
    if (tag_offset(tag) != kind || tag.record != l->number) return "large I1: tag of a mapping";
    if (l->start < l->map_base || l->start + l->size > l->map_base + l->map_size)
        return "large I1: block outside its mapping";
    return NULL;
}

COLD const char *large_verify(void)
{
    const char *broken = NULL;
    size_t kept = 0;
    lock_acquire(&large_lock);
    for (struct list *i = list_first(&large.live); !broken && i != &large.live; i = i->next)
        broken = verify_mapping(container_of(i, struct large, link), TAG_MAPPING);
    for (struct list *i = list_first(&large.kept); !broken && i != &large.kept; i = i->next) {
        struct large *l = container_of(i, struct large, link);
        broken = verify_mapping(l, TAG_MAPPING_KEPT);
        kept += l->map_size;
    }
    if (!broken && kept != large.kept_bytes) broken = "large I2: kept bytes";
    lock_release(&large_lock);
    return broken;
}
