/* chunk.c - see chunk.h.
 *
 * Uses: tagmap, record, freemap, option, os, aligned. Locks: none; the caller holds RANK_ARENA.
 */
#include "chunk.h"

#include "../base/bits.h"
#include "../diag/option.h"
#include "../os/aligned.h"
#include "arena.h"
#include "freemap.h"

#define CHUNK_SIZE_MAX (UINT64_C(1) << 30)
#define COMMIT_MAX (UINT64_C(64) << 20)
#define GUARD_SIZE ((size_t)SUPERSLAB_SIZE) /* before a chunk of full size, never accessible: who writes there faults */
enum { CHUNK_SHARE = 16 }; /* a chunk has at most this part of a limited address space */

struct chunk *chunk_of_block[RECORD_BLOCKS];
static uint32_t room_block; /* chunks below it have no unused SuperSlab */
uint32_t chunk_last_block;

static size_t guard_before(size_t size)
{
    return size == CHUNK_SIZE_MAX ? GUARD_SIZE : 0;
}

static bool unreserve(uintptr_t base, size_t size)
{
    return os_unmap((void *)(base - guard_before(size)), guard_before(size) + size);
}

/* A reservation whose tags can be written. In a window a place can be taken: then the next is tried
 * while this one is still held. */
static uintptr_t reserve_tagged(size_t size, size_t alignment, unsigned tries)
{
    uintptr_t start = os_aligned(os_reserve, guard_before(size) + size, alignment);
    if (!start) return 0;
    uintptr_t base = start + guard_before(size);
    if (tagmap_claim(base, size)) return base;
    uintptr_t other = tries > 0 ? reserve_tagged(size, alignment, tries - 1) : 0;
    (void)unreserve(base, size);
    return other;
}

static size_t superslabs_of(size_t units)
{
    return (units + SUPERSLAB_UNITS - 1) / SUPERSLAB_UNITS;
}

/* The smallest of those given up that has books for so many units. */
static struct chunk *chunk_again(size_t units)
{
    struct chunk *best = NULL;
    for (uint32_t block = 1; block <= chunk_last_block; block++) {
        struct chunk *c = chunk_of_block[block];
        if (!c || c->size > 0 || c->capacity < units) continue;
        if (!best || c->capacity < best->capacity) best = c;
    }
    return best;
}

static struct chunk *chunk_make(size_t units)
{
    size_t superslabs = superslabs_of(units);
    size_t before = units * sizeof(struct record) + sizeof(struct chunk);
    size_t books = before + superslabs * sizeof(struct superslab);
    char *memory = freemap_map(units, books);
    if (!memory) return NULL;
    uint32_t record = record_block_add((struct record *)(void *)memory);
    if (!record) { /* 16,384 chunks exist: 16 TiB */
        freemap_unmap(memory, units, books);
        return NULL;
    }
    struct chunk *c = (struct chunk *)(void *)(memory + units * sizeof(struct record));
    *c = (struct chunk){.capacity = (uint32_t)units, .record = record};
    c->superslabs = (struct superslab *)(void *)(memory + before);
    return c;
}

/* It has unused SuperSlabs now. */
static void note_room(const struct chunk *c)
{
    uint32_t block = c->record >> RECORD_INDEX_BITS;
    if (block < room_block) room_block = block;
}

/* By default not; where one pays, arena.c asks for it. */
static void allow_huge_by_option(const struct chunk *c)
{
    os_allow_huge((void *)c->base, c->size, option_get(OPTION_thp) == THP_ALWAYS);
}

COLD void arena_start(void)
{
    if (option_get(OPTION_thp) != THP_ALWAYS) return;
    lock_acquire(&arena_lock);
    for (uint32_t block = 1; block <= chunk_last_block; block++)
        if (chunk_of_block[block]) allow_huge_by_option(chunk_of_block[block]);
    lock_release(&arena_lock);
}

COLD static bool chunk_try(size_t size)
{
    size_t alignment = size >= 8 * (size_t)SUPERSLAB_SIZE ? SUPERSLAB_SIZE : UNIT_SIZE;
    uintptr_t base = reserve_tagged(size, alignment, 3);
    if (!base) return false;
    struct chunk *c = chunk_again(size / UNIT_SIZE);
    if (!c) c = chunk_make(size / UNIT_SIZE);
    if (!c) {
        if (tagmap.windowed) tagmap_set(base, size / UNIT_SIZE, TAG_NONE, 0);
        (void)unreserve(base, size);
        return false;
    }
    store_relaxed(&c->base, base);
    c->size = size;
    c->total = (uint32_t)superslabs_of(size / UNIT_SIZE);
    allow_huge_by_option(c);
    uint32_t block = c->record >> RECORD_INDEX_BITS;
    store_release(&chunk_of_block[block], c);
    if (block > chunk_last_block) store_relaxed(&chunk_last_block, block);
    note_room(c);
    return true;
}

/* A sixteenth of a limited address space at a time; smaller when the system refuses. */
COLD bool chunk_add(size_t size_min)
{
    size_t limit = os_address_limit();
    size_t size = CHUNK_SIZE_MAX;
    while (size > limit / CHUNK_SHARE && size > SUPERSLAB_SIZE) size /= 2;
    for (; size >= size_min; size /= 2)
        if (chunk_try(size)) return true;
    return false;
}

/* Of maps from this unit on the rests are charged no more, where the system lets them go. */
COLD static void cut_maps(struct chunk *c, uint32_t units)
{
    if (units >= c->mapped) return;
    if (freemap_uncommit(c->record, c->mapped, units))
        c->mapped = units;
    else
        freemap_purge(c->record + units, c->mapped - units);
}

/* Those of a part are a mapping between two reservations; all together are one with what is behind them, for a process
 * that may have no mapping more. They stay writable: who comes with a wrong pointer may read them. */
static bool commit_records(struct chunk *c, uint32_t units)
{
    if (units <= c->recorded) return true;
    if (!record_commit(c->record, c->recorded, units)) {
        units = c->capacity;
        if (!record_commit(c->record, c->recorded, units)) return false;
    }
    c->recorded = units;
    return true;
}

static bool commit_maps(struct chunk *c, uint32_t units)
{
    if (units <= c->mapped) return true;
    if (!freemap_commit(c->record, c->mapped, units)) return false;
    c->mapped = units;
    return true;
}

/* Makes bytes behind what is committed writable, up to `size`, and the books of their units. */
static bool commit_to(struct chunk *c, size_t size)
{
    uint32_t units = (uint32_t)(size / UNIT_SIZE);
    if (!commit_records(c, units) || !commit_maps(c, units)) return false;
    if (!os_commit((void *)(c->base + c->committed), size - c->committed)) {
        cut_maps(c, (uint32_t)(c->committed / UNIT_SIZE));
        return false;
    }
    c->committed = size;
    return true;
}

/* As freemap_map() does, where the process may have no mapping more. */
COLD static bool commit_all(struct chunk *c)
{
    return c->committed == 0 && !os_memory_is_charged() && commit_to(c, c->size);
}

/* Makes the first `size` bytes of the chunk writable, and as much again as is worth one call. */
static bool chunk_commit(struct chunk *c, size_t size)
{
    if (size <= c->committed) return true;
    size_t step = align_up(c->committed / 4, SUPERSLAB_SIZE);
    if (step > COMMIT_MAX) step = COMMIT_MAX;
    size_t generous = c->committed + step > size ? c->committed + step : size;
    if (generous > c->size) generous = c->size;
    if (generous > size && commit_to(c, generous)) return true;
    return commit_to(c, size) || commit_all(c);
}

static uint32_t missing_units(size_t bytes)
{
    unsigned units = (unsigned)(bytes / UNIT_SIZE);
    return units >= SUPERSLAB_UNITS ? 0 : ~bit_run(0, units);
}

size_t chunk_superslab_length(const struct chunk *c, uint32_t index)
{
    size_t rest = c->size - index * (size_t)SUPERSLAB_SIZE;
    return rest < SUPERSLAB_SIZE ? rest : SUPERSLAB_SIZE;
}

/* Of the first `count` SuperSlabs. */
static size_t bytes_of(const struct chunk *c, uint32_t count)
{
    return count > 0 ? (count - 1) * (size_t)SUPERSLAB_SIZE + chunk_superslab_length(c, count - 1) : 0;
}

bool chunk_use(struct chunk *c, unsigned count)
{
    uint32_t last = c->used + count - 1;
    if (!chunk_commit(c, bytes_of(c, last + 1))) return false;
    for (uint32_t i = c->used; i <= last; i++) {
        struct superslab *s = &c->superslabs[i];
        s->base = c->base + i * (uintptr_t)SUPERSLAB_SIZE;
        s->record = c->record + i * SUPERSLAB_UNITS;
        s->occupied = missing_units(chunk_superslab_length(c, i));
        s->whole = s->occupied == 0;
    }
    store_release(&c->used, last + 1);
    return true;
}

static struct chunk *chunk_with_room(void)
{
    for (; room_block <= chunk_last_block; room_block++) {
        struct chunk *c = chunk_of_block[room_block];
        if (c && c->used < c->total) return c;
    }
    return NULL;
}

/* For what it has left nothing is asked of the system. */
COLD static struct chunk *chunk_with_rest(void)
{
    for (uint32_t block = room_block; block <= chunk_last_block; block++) {
        struct chunk *c = chunk_of_block[block];
        if (c && c->used < c->total && c->committed >= bytes_of(c, c->used + 1)) return c;
    }
    return NULL;
}

struct superslab *chunk_next_superslab(void)
{
    struct chunk *c = chunk_with_room();
    if (!c && chunk_add(UNIT_SIZE)) c = chunk_with_room();
    if (c && !chunk_use(c, 1)) {
        c = chunk_with_rest();
        if (c && !chunk_use(c, 1)) return NULL;
    }
    return c ? &c->superslabs[c->used - 1] : NULL;
}

/* ---- giving up ---- */

/* SuperSlabs up to the last one of which something is handed out. */
static uint32_t superslabs_in_use(const struct chunk *c)
{
    uint32_t count = c->used;
    for (; count > 0; count--) {
        uint32_t missing = missing_units(chunk_superslab_length(c, count - 1));
        if (c->superslabs[count - 1].occupied != missing) break;
    }
    return count;
}

static void forget_superslabs(struct chunk *c, uint32_t count)
{
    for (uint32_t i = count; i < c->used; i++) superslab_leave(&c->superslabs[i]);
    store_relaxed(&c->used, count);
}

/* The tags go first: when the addresses are somebody else's, they must not be ours. Where the system refuses, and in a
 * window another has taken their place meanwhile, the addresses are lost. Returns bytes. */
COLD static size_t give_up(struct chunk *c)
{
    size_t bytes = c->size;
    tagmap_set(c->base, bytes / UNIT_SIZE, TAG_NONE, 0);
    if (!unreserve(c->base, bytes)) {
        if (tagmap_claim(c->base, bytes)) {
            tagmap_set(c->base, bytes / UNIT_SIZE, TAG_FREE, 0);
            return 0;
        }
        bytes = 0;
    }
    forget_superslabs(c, 0);
    cut_maps(c, 0);
    store_relaxed(&c->base, 0);
    c->size = 0;
    c->committed = 0;
    c->total = 0;
    return bytes;
}

/* The addresses stay, and their tags, which say that they are free. Returns bytes. */
COLD static size_t cut_end(struct chunk *c, uint32_t count)
{
    size_t keep = bytes_of(c, count);
    size_t bytes = c->committed - keep;
    if (bytes == 0 || !os_uncommit((void *)(c->base + keep), bytes)) return 0;
    os_allow_huge((void *)(c->base + keep), bytes, option_get(OPTION_thp) == THP_ALWAYS);
    forget_superslabs(c, count);
    cut_maps(c, (uint32_t)(keep / UNIT_SIZE));
    c->committed = keep;
    note_room(c);
    return bytes;
}

COLD size_t chunk_give_up_free(void)
{
    size_t bytes = 0;
    bool charged = os_memory_is_charged();
    for (uint32_t block = 1; block <= chunk_last_block; block++) {
        struct chunk *c = chunk_of_block[block];
        if (!c || c->size == 0) continue;
        uint32_t count = superslabs_in_use(c);
        size_t end = charged ? cut_end(c, count) : 0; /* refused to who has more than a limit that came later allows: */
        bool again = !charged || c->committed == 0;   /* nor would such a process have the addresses again */
        bytes += count == 0 && again ? give_up(c) : end;
    }
    return bytes;
}

/* What is reserved behind the committed part goes. */
COLD static void cut_reserve(struct chunk *c)
{
    size_t guard = guard_before(c->size);
    uintptr_t end = c->base + c->committed;
    size_t rest = c->size - c->committed;
    if (rest == 0 || c->committed % SUPERSLAB_SIZE != 0 || !os_unmap((void *)end, rest)) return;
    tagmap_set(end, rest / UNIT_SIZE, TAG_NONE, 0);
    if (guard > 0) (void)os_unmap((void *)(c->base - guard), guard);
    c->size = c->committed;
    c->total = (uint32_t)superslabs_of(c->size / UNIT_SIZE);
}

/* In a window every unit of ours has a tag. */
COLD static void tag_unused(const struct chunk *c)
{
    for (uintptr_t unit = c->base; unit < c->base + c->size; unit += UNIT_SIZE)
        if (tag_offset(tagmap_get((void *)unit)) == TAG_NONE) tagmap_set(unit, 1, TAG_FREE, 0);
}

COLD void chunk_narrow(size_t limit)
{
    for (uint32_t block = 1; block <= chunk_last_block; block++) {
        struct chunk *c = chunk_of_block[block];
        if (!c || c->size == 0) continue;
        if (c->committed == 0) {
            (void)give_up(c);
        } else {
            if (c->size > limit / CHUNK_SHARE) cut_reserve(c);
            tag_unused(c);
        }
    }
}

static struct chunk *chunk_of(uint32_t record)
{
    return chunk_of_block[record >> RECORD_INDEX_BITS];
}

struct superslab *chunk_superslab_of(uint32_t record)
{
    struct chunk *c = chunk_of(record);
    return &c->superslabs[(record - c->record) / SUPERSLAB_UNITS];
}

bool chunk_has(uint32_t record)
{
    const struct chunk *c = chunk_of(record);
    return c && record - c->record < c->used * SUPERSLAB_UNITS;
}

void chunk_count_empty(const struct superslab *s, bool empty)
{
    chunk_of(s->record)->empty += empty ? 1 : 0 - 1u;
}

bool chunk_verify(void)
{
    for (uint32_t block = 1; block <= chunk_last_block; block++) {
        const struct chunk *c = chunk_of_block[block];
        uint32_t empty = 0;
        for (uint32_t i = 0; c && i < c->used; i++) empty += c->superslabs[i].occupied == 0;
        if (c && empty != c->empty) return false;
        if (c && c->committed < bytes_of(c, c->used)) return false;
        if (c && (c->mapped < c->committed / UNIT_SIZE || c->recorded < c->mapped)) return false;
    }
    return true;
}

/* ---- all SuperSlabs ---- */

void chunk_each_superslab(void (*visit)(struct superslab *s, void *context), void *context)
{
    for (uint32_t block = 1; block <= chunk_last_block; block++) {
        struct chunk *c = chunk_of_block[block];
        for (uint32_t i = 0; c && i < c->used; i++) visit(&c->superslabs[i], context);
    }
}

void arena_note_map(uint32_t record)
{
    struct superslab *s = chunk_superslab_of(record);
    if (!load_relaxed(&s->has_maps)) store_relaxed(&s->has_maps, true);
}

COLD bool arena_contains(const void *p)
{
    for (uint32_t block = 1; block <= load_relaxed(&chunk_last_block); block++) {
        struct chunk *c = load_acquire(&chunk_of_block[block]);
        if (!c) continue;
        uintptr_t offset = (uintptr_t)p - load_relaxed(&c->base);
        if (offset < load_relaxed(&c->used) * (uintptr_t)SUPERSLAB_SIZE) return true;
    }
    return false;
}
