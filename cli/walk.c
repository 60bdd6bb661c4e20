/* walk.c - see walk.h. The arithmetic is that of src/service/stats.c. */
#include "walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../src/space/chunk.h"
#include "../src/space/freemap.h"

enum { TRIES = 4, LEFT_MASK = (1 << BIN_LEFT_BITS) - 1, LEFT_MOST = 0xc000, SPARSE_SHARE = 4 };

/* ---- heaps ---- */

static void add_book(struct snapshot *s, const void *base, size_t size)
{
    s->books = grow_memory(s->books, (s->book_count + 1) * sizeof(*s->books));
    s->books[s->book_count++] = (struct range){(uintptr_t)base, align_up(size, 4096)};
}

/* What bin_account() would do now. */
static void add_heap_class(struct snapshot *s, struct heap_view *view, const struct heap *heap, unsigned class)
{
    const struct heap_class *c = &heap->class[class];
    struct class_view *sum = &s->class[class];
    uint64_t budget = heap->front.bin[class].budget;
    uint32_t left = (uint32_t)(budget & LEFT_MASK);
    uint32_t room = (uint32_t)(budget >> BIN_LEFT_BITS);
    int32_t frees = (int32_t)(c->room_set - room);
    int32_t mallocs = (int32_t)(c->left_set + (uint32_t)frees - left);
    if (left > LEFT_MOST) { /* a call is on its way to a visit */
        left = 0;
        s->torn++;
    }
    sum->mallocs += c->mallocs + (uint64_t)(int64_t)mallocs;
    sum->frees += c->frees + (uint64_t)(int64_t)frees + c->remote_frees;
    sum->cached += left;
    sum->on_way = (int64_t)((uint64_t)sum->on_way + c->remote_frees + c->returned - c->arrived); /* may wrap: torn */
    view->cached += left * (uint64_t)class_stride(class);
}

static void add_heap(struct snapshot *s, const struct heap *heap, uint32_t id)
{
    struct heap_view *view = &s->heaps[s->heap_count++];
    *view = (struct heap_view){.id = id, .state = heap->state};
    for (unsigned c = 0; c < CLASS_COUNT; c++) add_heap_class(s, view, heap, c);
    uint32_t units = heap->reserve_count <= RESERVE_MAX ? heap->reserve_count : 0;
    if (heap->kept_units <= KEPT_UNITS) units += heap->kept_units;
    view->reserve = units * (uint64_t)UNIT_SIZE;
    s->reserve += view->reserve;
    s->kept_runs.live += heap->runs.live;
    s->kept_runs.slack += heap->runs.slack;
    s->kept_runs.mallocs += heap->runs.mallocs;
    s->kept_runs.frees += heap->runs.frees;
    s->total.threads += id != HEAP_COMMON && heap->state == HEAP_LIVE;
    s->parked_heaps += heap->state == HEAP_PARKED;
}

static bool walk_heaps(const struct target *t, struct snapshot *s)
{
    uint32_t count;
    const struct heap *block = NULL;
    if (!target_read(t, t->block.heap_count, &count, sizeof(count))) return false;
    if (count > OWNER_MAX) count = OWNER_MAX;
    s->heaps = take_memory((count + 1) * sizeof(*s->heaps));
    struct heap *heap = take_memory(sizeof(*heap));
    bool good = true;
    for (uint32_t id = HEAP_COMMON; good && id <= count; id++) {
        bool next_block = id == HEAP_COMMON || id % HEAPS_PER_BLOCK == 0;
        if (next_block) good = target_read(t, &t->block.heap_block[id / HEAPS_PER_BLOCK], &block, sizeof(block));
        if (good) good = target_read(t, block + id % HEAPS_PER_BLOCK, heap, sizeof(*heap));
        if (good) add_heap(s, heap, id);
        if (good && next_block) add_book(s, block, HEAPS_PER_BLOCK * sizeof(*heap));
    }
    free(heap);
    return good;
}

/* ---- units ---- */

/* Where a walk over a chunk is. */
struct place {
    const struct target *target;
    struct snapshot *snapshot;
    struct tagmap tags;
    struct record *const *blocks;        /* of records: a copy of the table */
    uint32_t block_count;
    struct large run;                    /* the last large block met */
};

static bool read_record(const struct place *p, uint32_t number, void *to)
{
    uint32_t block = number >> RECORD_INDEX_BITS;
    if (block == 0 || block > p->block_count || !p->blocks[block]) return false;
    const struct record *record = p->blocks[block] + number % RECORDS_PER_BLOCK;
    return target_read(p->target, record->bytes, to, sizeof(record->bytes));
}

static bool read_tags(const struct place *p, uintptr_t base, uint64_t *tags, size_t count)
{
    size_t index = tagmap_index(&p->tags, base);
    size_t to_end = tagmap_count(&p->tags) - index;
    size_t first = to_end < count ? to_end : count;
    return target_read(p->target, p->tags.entries + index, tags, first * sizeof(*tags)) &&
           target_read(p->target, p->tags.entries, tags + first, (count - first) * sizeof(*tags));
}

static bool makes_sense(const struct slab *s, uint32_t number, uintptr_t base, unsigned class, unsigned units_left)
{
    if (s->number != number || s->class != class || class >= CLASS_COUNT) return false;
    if (s->units != class_units(class) || s->units > units_left) return false;
    if (s->base != base + class_first(class) || s->capacity != class_capacity(class)) return false;
    return s->used <= s->carved && s->carved <= s->capacity;
}

static void add_slab(struct snapshot *s, const struct slab *slab, uint32_t owner)
{
    struct class_view *c = &s->class[slab->class];
    c->slabs++;
    c->blocks += slab->capacity;
    c->carved += slab->carved;
    c->used += slab->used;
    size_t absent = bit_count(slab->absent) * slab_granule_size(slab);
    s->absent += absent;
    c->absent += absent;
    if (slab->used > 0 && slab->used * SPARSE_SHARE < slab->carved) {
        uint64_t free_bytes = (slab->carved - slab->used) * (uint64_t)slab->stride;
        c->sparse++;
        c->sparse_free_bytes += free_bytes > absent ? free_bytes - absent : 0;
    }
    if (owner > 0 && owner <= s->heap_count) s->heaps[owner - 1].slabs++;
}

/* The first unit of a slab: all its units get its figures. */
static void view_slab(struct place *p, struct superslab_view *view, unsigned i, const struct slab *slab, struct tag tag)
{
    uint32_t owner = tag_owner(tag);
    unsigned class = class_of_offset(tag_offset(tag));
    uintptr_t base = view->base + i * (uintptr_t)UNIT_SIZE;
    if (!makes_sense(slab, tag.record, base, class, SUPERSLAB_UNITS - i)) {
        p->snapshot->torn++;
        return;
    }
    for (unsigned j = 0; j < slab->units; j++)
        view->unit[i + j] = (struct unit_view){.kind = UNIT_SLAB, .class = slab->class, .owner = owner,
                                               .used = slab->used, .carved = slab->carved};
    view->unit[i].units = slab->units;
    add_slab(p->snapshot, slab, owner);
}

static void view_run(struct place *p, struct unit_view *unit, uint32_t number, uintptr_t base)
{
    if (p->run.number != number && !read_record(p, number, &p->run)) p->run = (struct large){.number = 0};
    const struct large *l = &p->run;
    if (l->number != number || base - l->start >= l->units * (uintptr_t)UNIT_SIZE) {
        p->snapshot->torn++;
        return;
    }
    if (l->size == 0) { /* a heap keeps it */
        unit->kind = UNIT_RESERVE;
        return;
    }
    size_t offset = base - l->start;
    size_t live = l->size > offset ? l->size - offset : 0;
    *unit = (struct unit_view){.kind = UNIT_RUN, .run_live = live < UNIT_SIZE ? (uint32_t)live : UNIT_SIZE};
}

static void view_unit(struct place *p, struct superslab_view *view, unsigned i, uint64_t entry,
                      const struct record *book, uint32_t number)
{
    struct tag tag = {.word = (uint32_t)entry & ~TAG_WINDOWED, .record = (uint32_t)(entry >> 32)};
    struct unit_view *unit = &view->unit[i];
    if (unit->kind == UNIT_SLAB) return; /* its first unit came by */
    if (!(view->occupied >> i & 1))
        unit->kind = UNIT_FREE;
    else if (tag_offset(tag) >= BIN_OFFSET && tag.record == number)
        view_slab(p, view, i, (const struct slab *)(const void *)book, tag);
    else if (tag_offset(tag) == TAG_RUN)
        view_run(p, unit, tag.record, view->base + i * (uintptr_t)UNIT_SIZE);
    else if (tag_offset(tag) == TAG_FREE)
        unit->kind = UNIT_RESERVE;
    else
        p->snapshot->torn++;
}

static bool walk_superslab(struct place *p, const struct superslab *superslab, size_t length)
{
    uint64_t tags[SUPERSLAB_UNITS];
    struct record books[SUPERSLAB_UNITS];
    struct record *block = p->blocks[superslab->record >> RECORD_INDEX_BITS];
    unsigned units = (unsigned)(length / UNIT_SIZE);
    struct superslab_view *view = &p->snapshot->superslabs[p->snapshot->superslab_count++];
    *view = (struct superslab_view){
        .base = superslab->base, .occupied = superslab->occupied, .dirty = superslab->dirty};
    if (!read_tags(p, superslab->base, tags, units)) return false;
    if (!target_read(p->target, block + (superslab->record & (RECORDS_PER_BLOCK - 1)), books, units * sizeof(*books)))
        return false;
    for (unsigned i = 0; i < SUPERSLAB_UNITS; i++) view->unit[i].kind = i < units ? UNIT_TORN : UNIT_MISSING;
    for (unsigned i = 0; i < units; i++) view_unit(p, view, i, tags[i], &books[i], superslab->record + i);
    return true;
}

/* ---- chunks and mappings ---- */

static bool walk_chunk(struct place *p, const struct chunk *at, uint32_t block)
{
    struct chunk c;
    if (!target_read(p->target, at, &c, sizeof(c))) return false;
    if (c.used > c.total || c.total > RECORDS_PER_BLOCK / SUPERSLAB_UNITS || c.record != block << RECORD_INDEX_BITS)
        return false;
    struct snapshot *s = p->snapshot;
    size_t superslabs_most = (c.capacity + SUPERSLAB_UNITS - 1) / SUPERSLAB_UNITS;
    size_t books = c.capacity * sizeof(struct record) + superslabs_most * sizeof(struct superslab);
    size_t maps = freemap_rests(c.capacity);
    add_book(s, (const char *)(const void *)p->blocks[block] - maps, maps + books + sizeof(c));
    s->superslabs = grow_memory(s->superslabs, (s->superslab_count + c.used + 1) * sizeof(*s->superslabs));
    struct superslab *superslabs = take_memory(c.used * sizeof(*superslabs));
    bool good = target_read(p->target, c.superslabs, superslabs, c.used * sizeof(*superslabs));
    for (uint32_t i = 0; good && i < c.used; i++) {
        size_t rest = c.size - i * (size_t)SUPERSLAB_SIZE;
        good = superslabs[i].record == c.record + i * SUPERSLAB_UNITS &&
               walk_superslab(p, &superslabs[i], rest < SUPERSLAB_SIZE ? rest : SUPERSLAB_SIZE);
    }
    free(superslabs);
    return good;
}

static void add_mapping(struct place *p, const struct large *l)
{
    uint64_t entry;
    struct snapshot *s = p->snapshot;
    if (l->start == 0 || l->size == 0 || l->map_size == 0) return;
    if (!read_tags(p, align_down(l->start, UNIT_SIZE), &entry, 1)) return;
    uint32_t kind = entry & TAG_OFFSET_MASK;
    if (entry >> 32 != l->number || (kind != TAG_MAPPING && kind != TAG_MAPPING_KEPT)) return;
    if (l->start < l->map_base || l->start + l->size > l->map_base + l->map_size) return;
    s->mappings = grow_memory(s->mappings, (s->mapping_count + 1) * sizeof(*s->mappings));
    s->mappings[s->mapping_count++] = (struct mapping_view){
        .start = l->start, .base = l->map_base, .size = l->size, .map_size = l->map_size,
        .kept = kind == TAG_MAPPING_KEPT};
}

static bool walk_large_records(struct place *p, uint32_t block)
{
    size_t size = LARGE_RECORDS_PER_BLOCK * sizeof(struct record);
    struct record *books = take_memory(size);
    bool good = target_read(p->target, p->blocks[block], books, size);
    for (unsigned i = 0; good && i < LARGE_RECORDS_PER_BLOCK; i++)
        add_mapping(p, (const struct large *)(const void *)books[i].bytes);
    free(books);
    if (good) add_book(p->snapshot, p->blocks[block], size);
    return good;
}

static bool walk_records(const struct target *t, struct snapshot *s)
{
    struct records sum;
    struct place p = {.target = t, .snapshot = s};
    if (!target_read(t, t->block.records, &sum, sizeof(sum))) return false;
    if (!target_read(t, t->block.tagmap, &p.tags, sizeof(p.tags))) return false;
    s->total.records = sum.bytes;
    if (p.tags.mask > 0) s->tags = (struct range){(uintptr_t)p.tags.entries, tagmap_count(&p.tags) * sizeof(uint64_t)};
    p.block_count = sum.blocks < RECORD_BLOCKS ? sum.blocks : RECORD_BLOCKS - 1;
    size_t size = (p.block_count + 1) * sizeof(void *);
    struct record **blocks = take_memory(size);
    struct chunk **chunks = take_memory(size);
    p.blocks = blocks;
    bool good = target_read(t, t->block.record_block, blocks, size) &&
                target_read(t, t->block.chunk_of_block, chunks, size);
    for (uint32_t block = 1; good && block <= p.block_count; block++) {
        if (!blocks[block]) continue;
        good = chunks[block] ? walk_chunk(&p, chunks[block], block) : walk_large_records(&p, block);
    }
    free(blocks);
    free(chunks);
    return good;
}

/* ---- sums ---- */

static void sum_classes(struct snapshot *s)
{
    struct hak_stats *total = &s->total;
    size_t used = 0;
    size_t slab_bytes = 0;
    for (unsigned i = 0; i < CLASS_COUNT; i++) {
        struct class_view *c = &s->class[i];
        if (c->on_way < 0) c->on_way = 0; /* posted and arrived between two looks */
        if (c->cached + (uint64_t)c->on_way > c->used) {
            s->torn++;
            c->on_way = 0;
            if (c->cached > c->used) c->cached = c->used;
        }
        s->mail += (uint64_t)c->on_way * class_stride(i);
        total->cached += (c->cached + (uint64_t)c->on_way) * class_stride(i);
        used += c->used * class_stride(i);
        slab_bytes += c->slabs * class_units(i) * UNIT_SIZE;
        total->mallocs += c->mallocs;
        total->frees += c->frees;
    }
    total->live += used - total->cached;
    total->free_in_slabs += slab_bytes - used - s->absent;
}

static bool add_counters(const struct target *t, struct snapshot *s)
{
    struct mapped maps;
    struct arena units;
    if (!target_read(t, t->block.mapped, &maps, sizeof(maps))) return false;
    if (!target_read(t, t->block.arena, &units, sizeof(units))) return false;
    struct hak_stats *total = &s->total;
    s->run_slack = units.runs.slack + s->kept_runs.slack;
    s->mapping_slack = maps.slack_bytes;
    s->kept = maps.kept_bytes;
    s->arena_units = units.units;
    s->arena_free_units = units.free_units;
    s->arena_dirty_units = units.dirty_units;
    total->live = units.runs.live + s->kept_runs.live + maps.live_bytes;
    total->free_in_slabs = s->run_slack + maps.slack_bytes;
    if ((ssize_t)(units.runs.live + s->kept_runs.live) < 0 || (ssize_t)s->run_slack < 0) {
        s->torn++; /* one changed hands between two looks */
        total->live = maps.live_bytes;
        total->free_in_slabs = maps.slack_bytes;
    }
    total->mallocs = units.runs.mallocs + s->kept_runs.mallocs + maps.mallocs;
    total->frees = units.runs.frees + s->kept_runs.frees + maps.frees;
    total->dirty = units.dirty_units * (size_t)UNIT_SIZE + s->reserve + s->kept;
    total->purged = (units.free_units - units.dirty_units) * (size_t)UNIT_SIZE + s->absent;
    sum_classes(s);
    total->mapped = total->live + total->cached + total->free_in_slabs + total->dirty + total->purged;
    return true;
}

static bool snapshot_try(const struct target *target, struct snapshot *snapshot)
{
    memset(snapshot, 0, sizeof(*snapshot));
    return target_read(target, target->block.option_value, snapshot->option, sizeof(snapshot->option)) &&
           target_read(target, target->block.lock_waits, snapshot->waits, sizeof(snapshot->waits)) &&
           walk_heaps(target, snapshot) && walk_records(target, snapshot) && add_counters(target, snapshot);
}

bool snapshot_take(const struct target *target, struct snapshot *snapshot)
{
    bool good = false;
    for (unsigned tries = TRIES; tries > 0; tries--) {
        good = snapshot_try(target, snapshot);
        if (good && (snapshot->torn == 0 || tries == 1)) return true;
        snapshot_free(snapshot);
    }
    return good;
}

void snapshot_must(struct target *target, struct snapshot *snapshot)
{
    if (snapshot_take(target, snapshot)) return;
    target_reopen(target);
    if (snapshot_take(target, snapshot)) return;
    fail(STATUS_FAILED, "the heap of process %d (%s) makes no sense: something has written over hakmem's books",
         (int)target->pid, target->name);
}

void snapshot_free(struct snapshot *snapshot)
{
    free(snapshot->heaps);
    free(snapshot->superslabs);
    free(snapshot->mappings);
    free(snapshot->books);
    snapshot->heaps = NULL;
    snapshot->superslabs = NULL;
    snapshot->mappings = NULL;
    snapshot->books = NULL;
}

const char *const lock_title[LOCK_RANKS] = {
    [RANK_REGISTRY] = "registry", [RANK_SPARSE] = "sparse", [RANK_HEAP] = "heaps",   [RANK_COMMON] = "orphans",
    [RANK_PURGE] = "purge",       [RANK_LARGE] = "large",   [RANK_ARENA] = "arena", [RANK_TAGMAP] = "tags",
    [RANK_RECORD] = "records",
};

const char *heap_title(const struct heap_view *heap)
{
    static char text[32];
    if (heap->id == HEAP_COMMON) return "common";
    static const char *const states[] = {"free", "heap", "parked", "gone"};
    snprintf(text, sizeof(text), "%s %u", states[heap->state < 4 ? heap->state : 0], heap->id);
    return text;
}
