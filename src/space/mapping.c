/* mapping.c - see mapping.h.
 *
 * Uses: density, huge, keep, limit, tagmap, record, option, os, aligned.
 * Locks: RANK_LARGE, across no system call that maps or unmaps but for records.
 */
#include "mapping.h"

#include "../base/bits.h"
#include "../diag/option.h"
#include "../os/aligned.h"
#include "density.h"
#include "huge.h"
#include "keep.h"
#include "limit.h"

#define HUGE_SIZE_MIN ((size_t)4 << 20)
#define ROOM_PART ((size_t)8 << 20)

struct lock large_lock = {.rank = RANK_LARGE};

struct mapped mapped;

/* ---- records ---- */

static bool add_records(void)
{
    const size_t bytes = LARGE_RECORDS_PER_BLOCK * sizeof(struct record);
    struct record *block = record_map(bytes);
    if (!block) return false;
    uint32_t number = record_block_add(block);
    if (!number) {
        record_unmap(block, bytes);
        return false;
    }
    for (uint32_t i = 0; i < LARGE_RECORDS_PER_BLOCK; i++) {
        struct large *l = large_at(number + i);
        l->number = number + i;
        l->link.next = (struct list *)(void *)mapped.free_records;
        mapped.free_records = l;
    }
    return true;
}

static struct large *record_take(void)
{
    lock_acquire(&large_lock);
    struct large *l = mapped.free_records || add_records() ? mapped.free_records : NULL;
    if (l) mapped.free_records = (struct large *)(void *)l->link.next;
    lock_release(&large_lock);
    return l;
}

static void record_give_locked(struct large *l)
{
    l->start = 0;
    l->size = 0;
    l->link.next = (struct list *)(void *)mapped.free_records;
    mapped.free_records = l;
}

/* ---- making and freeing ---- */

static void publish(struct large *l, enum tag_kind kind)
{
    tagmap_set(align_down(l->start, UNIT_SIZE), 1, kind, kind == TAG_NONE ? 0 : l->number);
}

/* Before its addresses go: they may be somebody else's at once. In a window others could take the tag meanwhile, and
 * it is needed again should the system refuse: there it stays until they are gone. */
static void unpublish(struct large *l)
{
    publish(l, tagmap.windowed ? TAG_MAPPING_KEPT : TAG_NONE);
}

static void count_mapping(const struct large *l, bool add)
{
    size_t slack = l->map_size - l->size;
    size_t used = large_used_room(l);
    mapped.live_bytes += add ? l->size : 0 - l->size;
    mapped.slack_bytes += add ? slack : 0 - slack;
    store_relaxed(&mapped.used_room, mapped.used_room + (add ? used : 0 - used));
}

/* Under large_lock. */
static void set_used_units(struct large *l, uint32_t units)
{
    count_mapping(l, false);
    l->units = units;
    count_mapping(l, true);
}

static void enter_live(struct large *l)
{
    publish(l, TAG_MAPPING);
    lock_acquire(&large_lock);
    l->kept_tick = mapped.tick;
    l->seen = large_units(l->size);
    list_push_front(&mapped.live, &l->link);
    mapped.count++;
    mapped.mallocs++;
    count_mapping(l, true);
    lock_release(&large_lock);
}

/* What is to be mapped. */
struct shape {
    size_t size;
    size_t room;      /* `size` or more */
    size_t alignment; /* above a page, room == size and not huge */
    bool huge;
    bool grows;       /* it has grown, and is likely to grow on */
};

/* ---- kept ones ---- */

/* Under large_lock, as is the next. */
static void kept_enter(struct large *l)
{
    l->kept_tick = mapped.tick;
    publish(l, TAG_MAPPING_KEPT);
    list_push_front(&mapped.kept, &l->link);
    store_relaxed(&mapped.kept_bytes, mapped.kept_bytes + l->map_size);
    store_relaxed(&mapped.kept_count, mapped.kept_count + 1);
}

static void kept_leave(struct large *l)
{
    list_remove(&l->link);
    store_relaxed(&mapped.kept_bytes, mapped.kept_bytes - l->map_size);
    store_relaxed(&mapped.kept_count, mapped.kept_count - 1);
}

/* Three quarters of it are filled; by a block that grows, one, or what it will: where addresses cost nothing, and
 * memory that it has left for two ticks goes back. */
static bool is_used_by(const struct large *l, const struct shape *shape)
{
    if (l->size < shape->size) return false;
    bool room_goes = l->start == l->map_base && !mapped.room_stays && !limit_is_hard();
    if (shape->room > shape->size && room_goes) return true;
    return l->size - shape->size <= l->size / 4 * (shape->grows ? 3 : 1);
}

/* Picks the smallest kept mapping that the request fills. An aligned one is there when the system did not take it. */
static struct large *kept_take(const struct shape *shape)
{
    struct large *best = NULL;
    if (load_relaxed(&mapped.kept_count) == 0) return NULL;
    lock_acquire(&large_lock);
    for (struct list *i = list_first(&mapped.kept); i != &mapped.kept; i = i->next) {
        struct large *l = container_of(i, struct large, link);
        bool fits = is_used_by(l, shape) && (l->start & (shape->alignment - 1)) == 0;
        if (fits && (!best || l->size < best->size)) best = l;
    }
    if (best) kept_leave(best);
    lock_release(&large_lock);
    return best;
}

/* Maps so that a block can be aligned. The mapping stays whole: splitting can fail. */
static bool map_fresh(struct large *l, const struct shape *shape)
{
    size_t page = os_page_size();
    size_t extra = shape->alignment > page ? shape->alignment - page : 0;
    size_t map_size;
    if (__builtin_add_overflow(shape->room, extra, &map_size)) return false;
    if (!limit_map(map_size)) return false;
    uintptr_t base = shape->huge ? os_aligned(os_map, map_size, SUPERSLAB_SIZE) : 0;
    if (!base) base = (uintptr_t)os_map(map_size);
    if (!base) {
        limit_unmap(map_size);
        return false;
    }
    l->map_base = base;
    l->map_size = map_size;
    l->start = align_up(base, shape->alignment);
    l->size = shape->size;
    limit_mapped(map_size);
    return true;
}

/* A mapping without a record goes back, or counts for good. */
static void give_up_place(void *p, size_t size)
{
    if (os_unmap(p, size)) {
        limit_unmap(size);
        return;
    }
    lock_acquire(&large_lock);
    mapped.slack_bytes += size;
    lock_release(&large_lock);
}

/* In a window the tag of the first unit can be taken: another place is tried while this one is held. */
static bool map_tagged(struct large *l, const struct shape *shape, unsigned tries)
{
    if (!map_fresh(l, shape)) return false;
    if (tagmap_claim(align_down(l->start, UNIT_SIZE), UNIT_SIZE)) return true;
    void *held = (void *)l->map_base;
    size_t held_size = l->map_size;
    bool done = tries > 0 && map_tagged(l, shape, tries - 1);
    give_up_place(held, held_size);
    return done;
}

static struct large *map_new(const struct shape *shape)
{
    uint64_t now_ms = os_now_ms();
    struct large *l = record_take();
    bool done = l && map_tagged(l, shape, 3);
    if (!l) return NULL;
    lock_acquire(&large_lock);
    if (done)
        keep_missed(shape->size, now_ms);
    else
        record_give_locked(l);
    lock_release(&large_lock);
    return done ? l : NULL;
}

/* What lies behind `from` will be filled. The first SuperSlab there is filled at once; when that was quick, the whole
 * mapping may have huge pages, else none: in two minds it would not be one mapping. */
static void mapping_be_dense(struct large *l, uintptr_t from)
{
    bool allow = option_get(OPTION_thp) == THP_ALWAYS || huge_at_hand();
    uintptr_t first = align_up(from, SUPERSLAB_SIZE);
    if (allow && option_get(OPTION_thp) == THP_AUTO && first + SUPERSLAB_SIZE <= l->map_base + l->map_size)
        allow = huge_fill(first) && huge_at_hand();
    os_allow_huge((void *)l->map_base, l->map_size, allow);
}

/* Shorter ones are not advised. */
static void be_advised(const struct large *l)
{
    if (l->map_size >= SUPERSLAB_SIZE)
        os_allow_huge((void *)l->map_base, l->map_size, option_get(OPTION_thp) == THP_ALWAYS);
}

static void *mapping_make(const struct shape *shape, bool zeroed)
{
    struct large *l = kept_take(shape);
    bool fresh = !l;
    if (fresh)
        l = map_new(shape);
    else if (zeroed && !os_purge((void *)l->start, l->size))
        __builtin_memset((void *)l->start, 0, l->size);
    if (!l) return NULL;
    l->units = fresh || l->zeroed || l->start != l->map_base ? 0 : large_units(l->map_size);
    if (shape->grows) l->size = shape->size; /* what lies behind is room */
    if (shape->huge && fresh)
        mapping_be_dense(l, l->start);
    else if (fresh)
        be_advised(l);
    enter_live(l);
    return (void *)l->start;
}

void *mapping_alloc(size_t size, size_t alignment, bool zeroed)
{
    size = align_up(size, os_page_size());
    bool huge = alignment <= os_page_size() && size >= HUGE_SIZE_MIN && density_expected();
    return mapping_make(&(struct shape){.size = size, .room = size, .alignment = alignment, .huge = huge}, zeroed);
}

/* For the next times that a block grows; not where addresses count against a limit. */
static size_t room_for(size_t size)
{
    return os_memory_is_charged() ? size : align_up(size + size / 8, SUPERSLAB_SIZE);
}

void *mapping_alloc_growing(size_t size, bool dense)
{
    struct shape shape = {.size = size, .room = room_for(size), .alignment = 1, .grows = true};
    shape.huge = dense && size >= HUGE_SIZE_MIN;
    void *p = mapping_make(&shape, false);
    if (p || shape.room == size) return p;
    shape.room = size;
    return mapping_make(&shape, false);
}

/* The memory alone, if it has not gone before. Returns bytes. */
static size_t mapping_empty(struct large *l)
{
    if (l->zeroed || !os_purge((void *)l->map_base, l->map_size)) return 0;
    l->zeroed = true;
    return l->map_size;
}

/* The addresses go back, or when the system refuses that, only the memory, and the mapping stays kept, as the latest:
 * so all others come before it is tried again. Returns bytes. */
static size_t mapping_release(struct large *l)
{
    size_t bytes = l->map_size;
    unpublish(l);
    bool gone = os_unmap((void *)l->map_base, l->map_size);
    if (gone && tagmap.windowed) publish(l, TAG_NONE);
    if (gone) limit_unmap(bytes);
    if (!gone) bytes = mapping_empty(l);
    lock_acquire(&large_lock);
    if (gone) record_give_locked(l);
    if (!gone) kept_enter(l);
    lock_release(&large_lock);
    return bytes;
}

static bool worth_keeping(const struct large *l, uint64_t now_ms)
{
    if (l->map_size != l->size) return false; /* aligned ones are rare */
    return keep_is_wise(l->map_size, mapped.kept_count, mapped.kept_bytes + mapped.used_room, now_ms);
}

void mapping_free(struct large *l)
{
    uint64_t now_ms = os_now_ms();
    lock_acquire(&large_lock);
    list_remove(&l->link);
    mapped.count--;
    mapped.frees++;
    count_mapping(l, false);
    if (l->start == l->map_base) l->size = l->map_size;
    l->zeroed = false;
    bool keep = worth_keeping(l, now_ms);
    if (keep) kept_enter(l);
    lock_release(&large_lock);
    if (!keep) (void)mapping_release(l);
}

static struct large *kept_pop_idle(bool all)
{
    struct large *l = NULL;
    lock_acquire(&large_lock);
    if (!list_is_empty(&mapped.kept)) {
        l = container_of(mapped.kept.prev, struct large, link);
        if (all || mapped.tick - l->kept_tick >= 2)
            kept_leave(l);
        else
            l = NULL;
    }
    lock_release(&large_lock);
    return l;
}

/* A block that fills an eighth of its used room from one tick to the next will soon need the rest. Under large_lock. */
static void look_at_rooms(void)
{
    if (mapped.used_room == 0) return;
    for (struct list *i = list_first(&mapped.live); i != &mapped.live; i = i->next) {
        struct large *l = container_of(i, struct large, link);
        uint32_t units = large_units(l->size);
        size_t grown = units > l->seen ? (units - l->seen) * (size_t)UNIT_SIZE : 0;
        if (grown >= large_used_room(l) / 8) l->kept_tick = mapped.tick;
        l->seen = units;
    }
}

/* The last part of a room that is idle, never a page of the block. The owner waits meanwhile, should it want the room:
 * so it is a part. Returns bytes. */
static size_t purge_room(bool all)
{
    size_t bytes = 0;
    if (load_relaxed(&mapped.used_room) == 0) return 0;
    lock_acquire(&large_lock);
    for (struct list *i = list_first(&mapped.live); bytes == 0 && i != &mapped.live; i = i->next) {
        struct large *l = container_of(i, struct large, link);
        size_t used = mapped.room_stays ? 0 : large_used_room(l);
        if (used == 0 || (!all && mapped.tick - l->kept_tick < 2)) continue;
        size_t left = used > ROOM_PART ? align_up(l->size + used - ROOM_PART, UNIT_SIZE) : l->size;
        size_t part = l->size + used - left;
        bytes = os_purge((void *)(l->start + left), part) ? part : 0;
        if (bytes > 0) set_used_units(l, (uint32_t)(left / UNIT_SIZE));
        store_relaxed(&mapped.room_stays, bytes == 0);
    }
    lock_release(&large_lock);
    return bytes;
}

size_t large_purge(bool all)
{
    size_t bytes = 0;
    lock_acquire(&large_lock);
    mapped.tick++;
    look_at_rooms();
    unsigned left = mapped.kept_count; /* a mapping that cannot be unmapped comes back: once round */
    lock_release(&large_lock);
    for (struct large *l; left > 0 && (l = kept_pop_idle(all)); left--) bytes += mapping_release(l);
    for (size_t part; (part = purge_room(all)) > 0;) bytes += part;
    return bytes;
}

size_t large_purge_left(uint64_t now_ms)
{
    lock_acquire(&large_lock);
    bool left = keep_is_left(mapped.kept_bytes + mapped.used_room, now_ms);
    lock_release(&large_lock);
    return left ? large_purge(true) : 0;
}

/* ---- resizing ---- */

static void mapping_set(struct large *l, uintptr_t base, size_t size, size_t map_size)
{
    lock_acquire(&large_lock);
    count_mapping(l, false);
    uint32_t end = (uint32_t)(l->map_size / UNIT_SIZE);
    if (map_size > l->map_size && l->units > end) l->units = end; /* behind it all is new */
    l->start = l->map_base = base;
    l->size = size;
    l->map_size = map_size;
    count_mapping(l, true);
    lock_release(&large_lock);
}

/* A tagged reservation. 0 = refused. */
static uintptr_t place_to_grow(size_t room, size_t alignment)
{
    uintptr_t to = os_aligned(os_reserve, room, alignment);
    if (!to) return 0;
    if (tagmap_claim(align_down(to, UNIT_SIZE), UNIT_SIZE)) return to;
    (void)os_unmap((void *)to, room);
    return 0;
}

/* Moves the pages, not the bytes; huge ones whole, where both places begin with one. The new place is tagged before
 * anything moves, so that every failure leaves the block as it was. */
static bool mapping_move(struct large *l, size_t size, size_t room)
{
    bool spare = size >= HUGE_SIZE_MIN && room > size; /* addresses are not short */
    uintptr_t to = place_to_grow(room, spare ? SUPERSLAB_SIZE : os_page_size());
    if (!to) return false;
    lock_acquire(&large_lock);
    uint32_t used_units = l->units;
    list_remove(&l->link); /* it has no tag for a while: who walks the list must not meet it */
    set_used_units(l, 0);
    lock_release(&large_lock);
    uintptr_t from = l->start;
    unpublish(l);
    bool moved = os_remap_to((void *)l->map_base, l->map_size, room, (void *)to);
    if (moved) mapping_set(l, to, size, room);
    publish(l, TAG_MAPPING);
    lock_acquire(&large_lock);
    if (!moved) set_used_units(l, used_units);
    list_push_front(&mapped.live, &l->link);
    lock_release(&large_lock);
    if (tagmap.windowed) tagmap_set(align_down(moved ? from : to, UNIT_SIZE), 1, TAG_NONE, 0); /* still ours */
    return moved;
}

static bool mapping_grow(struct large *l, size_t size, size_t room)
{
    size_t more = room - l->map_size;
    if (!limit_map(more)) return false;
    enum remap_result result = os_remap((void *)l->map_base, l->map_size, room);
    bool done = result == REMAP_DONE;
    if (done)
        mapping_set(l, l->map_base, size, room);
    else
        done = result == REMAP_NO_ROOM && mapping_move(l, size, room);
    if (done)
        limit_mapped(more);
    else
        limit_unmap(more);
    return done;
}

/* Others may get the addresses at once: so they are not ours before they go. */
static bool mapping_shrink(struct large *l, size_t size)
{
    size_t old_size = l->size, old_map_size = l->map_size;
    uint32_t used_units = l->units;
    mapping_set(l, l->map_base, size, size);
    bool done = os_remap((void *)l->map_base, old_map_size, size) == REMAP_DONE;
    if (done) {
        limit_unmap(old_map_size - size);
        return true;
    }
    mapping_set(l, l->map_base, old_size, old_map_size);
    lock_acquire(&large_lock);
    set_used_units(l, used_units);
    lock_release(&large_lock);
    return false;
}

void *mapping_resize(struct large *l, size_t size, bool insist)
{
    if (l->start != l->map_base) return NULL;
    if (size <= SUPERSLAB_SIZE && !insist) return NULL; /* a run will do */
    if (size < l->size) return mapping_shrink(l, size) ? (void *)l->start : NULL;
    if (size <= l->map_size) {
        mapping_set(l, l->map_base, size, l->map_size);
        return (void *)l->start;
    }
    bool dense = size >= HUGE_SIZE_MIN && density_is_high(l->start, l->size);
    size_t room = room_for(size);
    size_t old_size = l->map_size;
    if (!mapping_grow(l, size, room) && (room == size || !mapping_grow(l, size, size))) return NULL;
    if (dense)
        mapping_be_dense(l, l->start + old_size);
    else if (old_size < SUPERSLAB_SIZE)
        be_advised(l);
    return (void *)l->start;
}
