/* chunk.c - see chunk.h.
 *
 * Uses: tagmap, record, os. Locks: none; the caller holds RANK_ARENA.
 */
#include "chunk.h"

#include "../base/bits.h"
#include "arena.h"

#define CHUNK_SIZE_MAX (UINT64_C(1) << 30)
#define COMMIT_MAX (UINT64_C(64) << 20)

struct chunk {
    uintptr_t base;
    size_t size;
    size_t committed;             /* writable bytes from base on */
    uint32_t used;                /* SuperSlabs handed to the arena */
    uint32_t record;              /* number of the first unit's record */
    struct superslab *superslabs; /* one for each 2 MiB; the last may be short */
};

static struct chunk *chunk_of_block[RECORD_BLOCKS]; /* by record block; NULL = the block is not a chunk's */
static struct chunk *current;                       /* where new SuperSlabs come from */
static uint32_t last_block;                         /* highest record block that is a chunk's */

/* Reserves `size` bytes aligned to `alignment`. What sticks out is unmapped; if that fails it only costs
 * addresses. */
static uintptr_t reserve_aligned(size_t size, size_t alignment)
{
    size_t slack = alignment - os_page_size();
    uintptr_t start = (uintptr_t)os_reserve(size + slack);
    if (!start) return 0;
    uintptr_t base = align_up(start, alignment);
    if (base > start) (void)os_unmap((void *)start, base - start);
    if (start + slack > base) (void)os_unmap((void *)(base + size), start + slack - base);
    return base;
}

/* A reservation whose tags can be written. In a window a place can be taken: then the next is tried
 * while this one is still held. */
static uintptr_t reserve_tagged(size_t size, size_t alignment, unsigned tries)
{
    uintptr_t base = reserve_aligned(size, alignment);
    if (!base || tagmap_claim(base, size)) return base;
    uintptr_t other = tries > 0 ? reserve_tagged(size, alignment, tries - 1) : 0;
    (void)os_unmap((void *)base, size);
    return other;
}

static struct chunk *chunk_make(uintptr_t base, size_t size)
{
    size_t units = size / UNIT_SIZE;
    size_t superslabs = (units + SUPERSLAB_UNITS - 1) / SUPERSLAB_UNITS;
    size_t books = units * sizeof(struct record) + sizeof(struct chunk);
    char *memory = record_map(books + superslabs * sizeof(struct superslab));
    if (!memory) return NULL;
    uint32_t record = record_block_add((struct record *)(void *)memory);
    if (!record) return NULL; /* 16,384 chunks exist: 16 TiB */
    struct chunk *c = (struct chunk *)(void *)(memory + units * sizeof(struct record));
    *c = (struct chunk){.base = base, .size = size, .record = record};
    c->superslabs = (struct superslab *)(void *)(memory + books);
    return c;
}

COLD static bool chunk_try(size_t size)
{
    size_t alignment = size >= 8 * (size_t)SUPERSLAB_SIZE ? SUPERSLAB_SIZE : UNIT_SIZE;
    uintptr_t base = reserve_tagged(size, alignment, 3);
    if (!base) return false;
    struct chunk *c = chunk_make(base, size);
    if (!c) {
        if (tagmap.windowed) tagmap_set(base, size / UNIT_SIZE, TAG_NONE, 0);
        (void)os_unmap((void *)base, size);
        return false;
    }
    store_release(&chunk_of_block[c->record >> RECORD_INDEX_BITS], c);
    store_relaxed(&last_block, c->record >> RECORD_INDEX_BITS);
    current = c;
    return true;
}

/* A sixteenth of a limited address space at a time; smaller when the system refuses. */
COLD static bool chunk_add(void)
{
    size_t limit = os_address_limit();
    size_t size = CHUNK_SIZE_MAX;
    while (size > limit / 16 && size > SUPERSLAB_SIZE) size /= 2;
    for (; size >= UNIT_SIZE; size /= 2)
        if (chunk_try(size)) return true;
    return false;
}

/* Makes the first `size` bytes of the chunk writable, and as much again as is worth one call. */
static bool chunk_commit(struct chunk *c, size_t size)
{
    if (size <= c->committed) return true;
    size_t step = align_up(c->committed / 4, SUPERSLAB_SIZE);
    if (step > COMMIT_MAX) step = COMMIT_MAX;
    size_t generous = c->committed + step > size ? c->committed + step : size;
    if (generous > c->size) generous = c->size;
    void *from = (void *)(c->base + c->committed);
    if (os_commit(from, generous - c->committed)) {
        c->committed = generous;
        return true;
    }
    if (!os_commit(from, size - c->committed)) return false;
    c->committed = size;
    return true;
}

static uint32_t missing_units(size_t bytes)
{
    unsigned units = (unsigned)(bytes / UNIT_SIZE);
    return units >= SUPERSLAB_UNITS ? 0 : ~bit_run(0, units);
}

struct superslab *chunk_next_superslab(void)
{
    if (!current || (size_t)current->used * SUPERSLAB_SIZE >= current->size) {
        if (!chunk_add()) return NULL;
    }
    struct chunk *c = current;
    size_t offset = (size_t)c->used * SUPERSLAB_SIZE;
    size_t length = c->size - offset < SUPERSLAB_SIZE ? c->size - offset : SUPERSLAB_SIZE;
    if (!chunk_commit(c, offset + length)) return NULL;
    struct superslab *s = &c->superslabs[c->used];
    s->base = c->base + offset;
    s->record = c->record + c->used * SUPERSLAB_UNITS;
    s->occupied = missing_units(length);
    store_release(&c->used, c->used + 1);
    return s;
}

struct superslab *chunk_superslab_of(uint32_t record)
{
    struct chunk *c = chunk_of_block[record >> RECORD_INDEX_BITS];
    return &c->superslabs[(record - c->record) / SUPERSLAB_UNITS];
}

void chunk_each_superslab(void (*visit)(struct superslab *s, void *context), void *context)
{
    for (uint32_t block = 1; block <= load_relaxed(&last_block); block++) {
        struct chunk *c = load_acquire(&chunk_of_block[block]);
        if (!c) continue;
        uint32_t used = load_acquire(&c->used);
        for (uint32_t i = 0; i < used; i++) visit(&c->superslabs[i], context);
    }
}

COLD bool arena_contains(const void *p)
{
    for (uint32_t block = 1; block <= load_relaxed(&last_block); block++) {
        struct chunk *c = load_acquire(&chunk_of_block[block]);
        if (c && (uintptr_t)p - c->base < load_relaxed(&c->used) * (uintptr_t)SUPERSLAB_SIZE) return true;
    }
    return false;
}

struct unit_visit {
    void (*visit)(uint32_t record, uintptr_t base, void *context);
    void *context;
};

static void visit_units(struct superslab *s, void *context)
{
    struct unit_visit *v = context;
    uint32_t occupied = load_relaxed(&s->occupied);
    for (unsigned i = 0; i < SUPERSLAB_UNITS; i++)
        if (occupied >> i & 1) v->visit(s->record + i, s->base + i * (uintptr_t)UNIT_SIZE, v->context);
}

void arena_each_unit(void (*visit)(uint32_t record, uintptr_t base, void *context), void *context)
{
    struct unit_visit v = {.visit = visit, .context = context};
    chunk_each_superslab(visit_units, &v);
}
