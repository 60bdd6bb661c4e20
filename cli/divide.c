/* divide.c - see divide.h.
 *
 * Slabs: the pages are known, and how many blocks are live, cached, on their way and free, but not which. Where all
 * pages of the carved blocks have memory, but those that were given back, that is enough; else the resident bytes of a
 * class are divided in proportion.
 */
#include "divide.h"

#include <errno.h>
#include <string.h>

enum { UNIT_PAGES = UNIT_SIZE / PAGE_BYTES, SUPERSLAB_PAGES = SUPERSLAB_UNITS * UNIT_PAGES, BEGUN_SHARE = 4 };

const char *const part_id[PART_COUNT] = {
#define PART(id, title, meaning) #id,
    PARTS(PART)
#undef PART
};

const char *const part_title[PART_COUNT] = {
#define PART(id, title, meaning) title,
    PARTS(PART)
#undef PART
};

const char *const part_meaning[PART_COUNT] = {
#define PART(id, title, meaning) meaning,
    PARTS(PART)
#undef PART
};

/* Bytes that two ranges have in common. */
static uint64_t overlap(uintptr_t a, uintptr_t a_end, uintptr_t b, uintptr_t b_end)
{
    uintptr_t from = a > b ? a : b;
    uintptr_t to = a_end < b_end ? a_end : b_end;
    return to > from ? to - from : 0;
}

static bool is_hardly_begun(const struct unit_view *unit)
{
    return unit->kind == UNIT_SLAB && unit->used > 0 && unit->carved * BEGUN_SHARE < class_capacity(unit->class);
}

/* One resident page of a slab; `carved` gathers what lies in carved blocks. */
static void divide_slab_page(struct residence *r, const struct unit_view *unit, uintptr_t slab, uintptr_t page,
                             uint64_t *carved)
{
    uintptr_t first = slab + class_first(unit->class);
    uintptr_t cut = first + unit->carved * (uintptr_t)class_stride(unit->class);
    uintptr_t end = first + class_capacity(unit->class) * (uintptr_t)class_stride(unit->class);
    uint64_t in_blocks = overlap(page, page + PAGE_BYTES, first, cut);
    uint64_t uncut = overlap(page, page + PAGE_BYTES, cut, end);
    carved[unit->class] += in_blocks;
    r->part[PART_free_in_slabs] += uncut;
    if (is_hardly_begun(unit)) r->begun += uncut;
    r->part[PART_rounding] += PAGE_BYTES - in_blocks - uncut;
    r->class[unit->class] += PAGE_BYTES;
}

static void divide_superslab(struct residence *r, struct superslab_view *s, const uint8_t *present, uint64_t *carved)
{
    unsigned slab = 0; /* first unit of the one that we are in */
    for (unsigned i = 0; i < SUPERSLAB_UNITS; i++) {
        struct unit_view *unit = &s->unit[i];
        uintptr_t base = s->base + i * (uintptr_t)UNIT_SIZE;
        if (unit->units > 0) slab = i;
        r->begun_slabs += unit->units > 0 && is_hardly_begun(unit);
        for (unsigned page = 0; page < UNIT_PAGES; page++) {
            if (!present[i * UNIT_PAGES + page]) continue;
            uint32_t offset = page * PAGE_BYTES;
            unit->resident += PAGE_BYTES;
            if (unit->kind == UNIT_SLAB) {
                divide_slab_page(r, unit, s->base + slab * (uintptr_t)UNIT_SIZE, base + offset, carved);
            } else if (unit->kind == UNIT_RUN) {
                uint64_t live = overlap(offset, offset + PAGE_BYTES, 0, unit->run_live);
                r->part[PART_live] += live;
                r->part[PART_rounding] += PAGE_BYTES - live;
            } else {
                bool purged = unit->kind == UNIT_FREE && !(s->dirty >> i & 1);
                r->part[purged ? PART_purged : PART_dirty] += PAGE_BYTES;
            }
        }
    }
}

static uint64_t share_of(uint64_t resident, uint64_t blocks, uint64_t all)
{
    return all ? (uint64_t)((unsigned __int128)resident * blocks / all) : 0;
}

/* What lies in carved blocks of a class. Pages that were given back have no memory, and no used block lies in them:
 * so they do not take part. */
static void divide_class(struct residence *r, const struct class_view *c, uint64_t stride, uint64_t resident)
{
    uint64_t carved = c->carved * stride;
    uint64_t present = carved > c->absent ? carved - c->absent : 0;
    if (present < c->used * stride) present = c->used * stride;
    if (present < resident) present = resident;
    uint64_t cached = share_of(resident, c->cached * stride, present);
    uint64_t mail = share_of(resident, (uint64_t)c->on_way * stride, present);
    uint64_t live = share_of(resident, (c->used - c->cached - (uint64_t)c->on_way) * stride, present);
    r->part[PART_cached] += cached;
    r->part[PART_mail] += mail;
    r->part[PART_live] += live;
    r->part[PART_free_in_slabs] += resident - cached - mail - live;
}

static void divide_mappings(struct residence *r, const struct snapshot *s, struct rss *rss)
{
    for (size_t i = 0; i < s->mapping_count; i++) {
        const struct mapping_view *m = &s->mappings[i];
        size_t head = m->start - m->base;
        size_t tail = m->map_size - head - m->size;
        r->part[m->kept ? PART_dirty : PART_live] += rss_of(rss, m->start, m->size);
        r->part[PART_rounding] += rss_of(rss, m->base, head) + rss_of(rss, m->start + m->size, tail);
    }
}

/* What nobody of us has claimed. */
static void divide_rest(struct residence *r, const struct rss *rss)
{
    for (size_t i = 0; i < rss->count; i++) {
        const struct rss_area *area = &rss->areas[i];
        uint64_t rest = area->rss > area->claimed ? area->rss - area->claimed : 0;
        r->part[PART_not_heap] += rest;
        if (area->has_file) r->files += rest;
        r->swap += area->swap;
    }
}

static void count_huge(struct residence *r, const struct rss *rss)
{
    for (size_t i = 0; i < rss->count; i++)
        if (rss->areas[i].claimed > 0) r->huge += rss->areas[i].huge;
}

void divide(struct snapshot *snapshot, struct rss *rss, struct residence *r)
{
    static uint8_t present[SUPERSLAB_PAGES];
    uint64_t carved[CLASS_COUNT] = {0};
    memset(r, 0, sizeof(*r));
    for (size_t i = 0; i < snapshot->superslab_count; i++) {
        rss_pages(rss, snapshot->superslabs[i].base, SUPERSLAB_PAGES, present);
        divide_superslab(r, &snapshot->superslabs[i], present, carved);
    }
    for (unsigned c = 0; c < CLASS_COUNT; c++)
        divide_class(r, &snapshot->class[c], class_stride(c), carved[c]);
    divide_mappings(r, snapshot, rss);
    count_huge(r, rss); /* before the books: these are small pages */
    for (size_t i = 0; i < snapshot->book_count; i++)
        r->part[PART_records] += rss_of(rss, snapshot->books[i].base, snapshot->books[i].size);
    if (snapshot->tags.size > 0) r->part[PART_records] += rss_of(rss, snapshot->tags.base, snapshot->tags.size);
    divide_rest(r, rss);
    for (int i = 0; i < PART_COUNT; i++) r->rss += r->part[i];
}

/* false = its memory went away meanwhile, and what was seen is not all. */
static bool look_once(struct target *target, struct snapshot *snapshot, struct residence *residence)
{
    struct rss rss;
    snapshot_must(target, snapshot);
    if (!rss_read(&rss, target->pid)) {
        int error = errno;
        if (!target_is_there(target)) return false;
        fail(error == EACCES || error == EPERM ? STATUS_NOT_PERMITTED : STATUS_FAILED,
             "the kernel does not tell of the pages of process %d: %s", (int)target->pid, strerror(error));
    }
    divide(snapshot, &rss, residence);
    bool whole = !rss.cut && target_is_there(target);
    rss_free(&rss);
    return whole;
}

void look_at(struct target *target, struct snapshot *snapshot, struct residence *residence)
{
    if (look_once(target, snapshot, residence)) return;
    snapshot_free(snapshot);
    target_reopen(target);
    if (look_once(target, snapshot, residence)) return;
    fail(STATUS_NO_PROCESS, "the memory of process %d (%s) went away while it was read", (int)target->pid, target->name);
}
