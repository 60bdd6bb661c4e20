/* arena.c - see arena.h: buckets, taking and giving. chunk.c makes SuperSlabs, purge.c returns memory.
 *
 * Uses: tagmap, record, chunk, density, huge, limit, option, os. Locks: RANK_ARENA.
 */
#include "arena.h"

#include "../base/bits.h"
#include "../diag/option.h"
#include "chunk.h"
#include "density.h"
#include "huge.h"
#include "limit.h"

enum {
    BUCKETS = SUPERSLAB_UNITS + 1,
    LOOKS_PER_BUCKET = 8,
    HUGE_AFTER = 8 * SUPERSLAB_UNITS, /* dense units before the next are expected */
    HUGE_SUPERSLABS_MAX = 1 << 13,
    RUN_FORGET = 8,
};

struct lock arena_lock = {.rank = RANK_ARENA};
struct lock purge_lock = {.rank = RANK_PURGE};
struct arena arena;

static struct list bucket[2][BUCKETS]; /* [has dirty units][free units] */
static uint64_t bucket_used[2];        /* bit per bucket that is not empty; may be stale set */

static unsigned free_units(const struct superslab *s)
{
    return SUPERSLAB_UNITS - bit_count(s->occupied);
}

static void bucket_add(unsigned dirty, unsigned count, struct superslab *s)
{
    struct list *head = &bucket[dirty][count];
    list_push_front(head, &s->bucket_link);
    bucket_used[dirty] |= UINT64_C(1) << count;
}

/* Call before and after every change of occupied or dirty. */
static void superslab_unlink(struct superslab *s)
{
    counter_add(&arena.free_units, 0 - (size_t)free_units(s));
    counter_add(&arena.dirty_units, 0 - (size_t)bit_count(s->dirty));
    if (s->occupied == 0) chunk_count_empty(s, false);
    if (s->in_bucket) list_remove(&s->bucket_link);
    s->in_bucket = false;
}

static void superslab_link(struct superslab *s)
{
    unsigned count = free_units(s);
    s->stale &= s->dirty;
    s->zero &= s->dirty;
    arena.dense_units -= bit_count(s->dense & ~s->occupied);
    s->dense &= s->occupied;
    counter_add(&arena.free_units, count);
    counter_add(&arena.dirty_units, (size_t)bit_count(s->dirty));
    if (s->occupied == 0) chunk_count_empty(s, true);
    if (count > 0) bucket_add(s->dirty != 0, count, s);
    s->in_bucket = count > 0;
    if ((s->dirty != 0) == s->in_dirty_list) return;
    if (s->dirty)
        list_push_back(&arena.dirty_list, &s->dirty_link);
    else
        list_remove(&s->dirty_link);
    s->in_dirty_list = s->dirty != 0;
}

void superslab_change(struct superslab *s, uint32_t occupied, uint32_t dirty)
{
    superslab_unlink(s);
    s->occupied = occupied;
    s->dirty = dirty;
    superslab_link(s);
}

void superslab_leave(struct superslab *s)
{
    counter_add(&arena.units, 0 - (size_t)free_units(s));
    (void)superslab_forget_huge(s);
    superslab_unlink(s);
    if (s->in_dirty_list) list_remove(&s->dirty_link);
    *s = (struct superslab){0};
}

bool superslab_forget_huge(struct superslab *s)
{
    bool was = s->huge;
    s->huge = false;
    s->collapsed = false;
    if (was) sub_relaxed(&arena.huge_superslabs, 1);
    return was;
}

/* First unit of a free run, or -1. One unit: a dirty one first, since its memory is there already. */
static int find_run(const struct superslab *s, unsigned count)
{
    uint32_t wanted = count == 1 && s->dirty ? s->dirty : ~s->occupied;
    uint32_t starts = bit_run_starts(wanted, count);
    return starts ? (int)lowest_bit(starts) : -1;
}

static struct superslab *search_bucket(struct list *head, unsigned count)
{
    unsigned looks = LOOKS_PER_BUCKET;
    for (struct list *l = list_first(head); l != head && looks > 0; l = l->next, looks--) {
        struct superslab *s = container_of(l, struct superslab, bucket_link);
        if (find_run(s, count) >= 0) return s;
    }
    return NULL;
}

static struct superslab *search(unsigned dirty, unsigned count)
{
    uint64_t candidates = bucket_used[dirty] >> count << count;
    while (candidates) {
        unsigned i = lowest_bit(candidates);
        struct list *head = &bucket[dirty][i];
        candidates &= candidates - 1;
        if (list_is_empty(head)) {
            bucket_used[dirty] &= ~(UINT64_C(1) << i);
            continue;
        }
        struct superslab *s = search_bucket(head, count);
        if (s) return s;
    }
    return NULL;
}

static void superslab_enter(struct superslab *s)
{
    counter_add(&arena.units, free_units(s));
    superslab_link(s);
}

static struct superslab *find_superslab(unsigned count)
{
    struct superslab *s = search(1, count);
    if (!s) s = search(0, count);
    for (int tries = 0; !s && tries < 2; tries++) {
        s = chunk_next_superslab();
        if (!s) return NULL;
        superslab_enter(s);
        if (find_run(s, count) < 0) s = NULL;
    }
    return s;
}

/* `dirty` of them have memory from earlier; a huge page that was just filled is none. */
static void count_taken(unsigned count, unsigned dirty)
{
    size_t run = load_relaxed(&arena.run_units);
    store_relaxed(&arena.run_units, run > RUN_FORGET * count ? run - RUN_FORGET * count : 0);
    arena.clean_units += count - dirty;
}

static void hand_out(struct superslab *s, uint32_t run, bool dense)
{
    count_taken(bit_count(run), bit_count(run & s->dirty & ~s->zero));
    superslab_change(s, s->occupied | run, s->dirty & ~run);
    if (!dense) return;
    s->dense |= run;
    arena.dense_units += bit_count(run);
}

/* true = with these units the process would hold more than it may. Dirty ones it holds already. */
static bool over_limit(const struct superslab *s, uint32_t units)
{
    return unlikely(limit_is_set()) && !limit_allows(bit_count(units & ~s->dirty) * (size_t)UNIT_SIZE);
}

/* true = the SuperSlab has no memory, and will soon be full. */
static bool deserves_huge(const struct superslab *s)
{
    if (s->occupied != 0 || s->dirty != 0 || s->base % SUPERSLAB_SIZE != 0) return false;
    if (option_get(OPTION_thp) != THP_AUTO) return false;
    if (arena.dense_units < HUGE_AFTER || 2 * arena.dense_units < arena.units - arena.free_units) return false;
    return limit_has_room(SUPERSLAB_SIZE) && huge_at_hand();
}

/* Fills a SuperSlab of which `run` is handed out, without the lock: what is free counts as occupied meanwhile. false =
 * the system refuses. */
static bool fill_huge(struct superslab *s, uint32_t run)
{
    superslab_change(s, ~UINT32_C(0), 0);
    lock_release(&arena_lock);
    bool done = huge_fill(s->base);
    lock_acquire(&arena_lock);
    superslab_change(s, run, done ? ~run : 0);
    s->zero = s->dirty;
    s->collapsed = done;
    return done;
}

bool arena_take(unsigned count, bool dense, struct span *span)
{
    bool forbid = false;
    lock_acquire(&arena_lock);
    struct superslab *s = find_superslab(count);
    unsigned first = s ? (unsigned)find_run(s, count) : 0;
    uint32_t run = bit_run(first, count);
    if (s && over_limit(s, run)) s = NULL;
    if (s) {
        span->base = s->base + first * (uintptr_t)UNIT_SIZE;
        span->record = s->record + first;
        span->dirty = (s->dirty & ~s->zero & run) >> first;
        span->present = (run & ~s->dirty) == 0;
        span->untouched = (run & s->dirty) == 0;
        bool fill = dense && deserves_huge(s);
        forbid = superslab_forget_huge(s) && !fill;
        hand_out(s, run, dense);
        if (fill) span->present = fill_huge(s, run);
    }
    lock_release(&arena_lock);
    if (forbid) os_allow_huge((void *)s->base, SUPERSLAB_SIZE, false);
    return s != NULL;
}

/* The part of a run that lies in one SuperSlab. */
struct part {
    struct superslab *superslab;
    uint32_t units;
    unsigned count;
};

/* The first part of the run of `count` units from `record` on. */
static struct part part_of(uint32_t record, unsigned count)
{
    struct superslab *s = chunk_superslab_of(record);
    unsigned first = record - s->record;
    if (count > SUPERSLAB_UNITS - first) count = SUPERSLAB_UNITS - first;
    return (struct part){.superslab = s, .units = bit_run(first, count), .count = count};
}

/* ---- long runs ---- */

/* Of the SuperSlabs that a run has entirely and that have no memory, fills the first with a huge page, and when that
 * was quick, allows them in the others, with one call for neighbours; or has the last one watched. Who has unit 0 of a
 * SuperSlab owns its `huge`. */
static void expect(bool dense, struct superslab *s, const uint32_t *dirty, unsigned whole)
{
    unsigned neighbours = 0;
    bool tried = false;
    if (option_get(OPTION_thp) == THP_ALWAYS) return; /* they are allowed everywhere */
    for (unsigned i = 0; i <= whole; i++) {
        bool take = i < whole && dirty[i] == 0 && !s[i].huge && s[i].base % SUPERSLAB_SIZE == 0;
        if (take && dense && !tried) {
            tried = true;
            dense = huge_at_hand() && huge_fill(s[i].base) && huge_at_hand();
            continue;
        }
        if (take && !dense) density_watch(s[i].base);
        take &= dense && load_relaxed(&arena.huge_superslabs) < HUGE_SUPERSLABS_MAX;
        if (take) {
            add_relaxed(&arena.huge_superslabs, 1);
            store_relaxed(&s[i].huge, true);
            neighbours++;
        } else if (neighbours > 0) {
            os_allow_huge((void *)s[i - neighbours].base, neighbours * (size_t)SUPERSLAB_SIZE, true);
            neighbours = 0;
        }
    }
}

/* Units without memory of a free run. */
static size_t clean_units(uint32_t record, unsigned count)
{
    size_t clean = 0;
    while (count > 0) {
        struct part part = part_of(record, count);
        clean += bit_count(part.units & ~part.superslab->dirty);
        record += part.count;
        count -= part.count;
    }
    return clean;
}

bool arena_take_long(unsigned count, bool dense, bool grow, struct span *span, uint32_t dirty[LONG_SUPERSLABS_MAX])
{
    struct stretch stretch;
    unsigned superslabs = (count + SUPERSLAB_UNITS - 1) / SUPERSLAB_UNITS;
    lock_acquire(&arena_lock);
    bool done = chunk_find_long(count, grow, &stretch);
    for (unsigned i = superslabs - stretch.unused; done && i < superslabs; i++) superslab_enter(stretch.first + i);
    if (done && limit_is_set()) done = limit_allows(clean_units(stretch.first->record, count) * UNIT_SIZE);
    if (done) {
        *span = (struct span){.base = stretch.first->base, .record = stretch.first->record};
        for (unsigned i = 0; i < superslabs; i++) {
            struct superslab *s = stretch.first + i;
            struct part part = part_of(s->record, count - i * SUPERSLAB_UNITS);
            dirty[i] = s->dirty & part.units & ~s->zero;
            count_taken(part.count, bit_count(dirty[i]));
            superslab_change(s, s->occupied | part.units, s->dirty & ~part.units);
        }
    }
    lock_release(&arena_lock);
    if (done) expect(dense, stretch.first, dirty, count / SUPERSLAB_UNITS);
    return done;
}

void arena_give(uintptr_t base, uint32_t record, unsigned count)
{
    tagmap_set(base, count, TAG_FREE, record);
    lock_acquire(&arena_lock);
    store_relaxed(&arena.run_units, load_relaxed(&arena.run_units) + count);
    while (count > 0) {
        struct part part = part_of(record, count);
        struct superslab *s = part.superslab;
        superslab_change(s, s->occupied & ~part.units, s->dirty | part.units);
        record += part.count;
        count -= part.count;
    }
    lock_release(&arena_lock);
}

static bool units_are_free(uint32_t record, unsigned count)
{
    while (count > 0) {
        if (!chunk_has(record)) return false;
        struct part part = part_of(record, count);
        if (part.superslab->occupied & part.units) return false;
        record += part.count;
        count -= part.count;
    }
    return true;
}

bool arena_extend(uint32_t record, unsigned count, unsigned more)
{
    lock_acquire(&arena_lock);
    record += count;
    bool done = units_are_free(record, more);
    if (done && limit_is_set()) done = limit_allows(clean_units(record, more) * UNIT_SIZE);
    while (done && more > 0) {
        struct part part = part_of(record, more);
        struct superslab *s = part.superslab;
        superslab_change(s, s->occupied | part.units, s->dirty & ~part.units);
        record += part.count;
        more -= part.count;
    }
    lock_release(&arena_lock);
    return done;
}

size_t arena_release(void)
{
    lock_acquire(&arena_lock);
    size_t bytes = chunk_give_up_free();
    lock_release(&arena_lock);
    return bytes;
}

bool arena_has_dirty(void)
{
    return load_relaxed(&arena.dirty_units) > 0;
}

size_t arena_units(void)
{
    return load_relaxed(&arena.units);
}

void arena_usage(struct arena_usage *usage)
{
    lock_acquire(&arena_lock);
    usage->units = arena.units;
    usage->free_units = arena.free_units;
    usage->dirty_units = arena.dirty_units;
    lock_release(&arena_lock);
}

struct sums {
    size_t free_units;
    size_t dirty_units;
    size_t dense_units;
    size_t in_dirty_list;
    const char *broken;
};

static void verify_superslab(struct superslab *s, void *context)
{
    struct sums *sums = context;
    sums->free_units += free_units(s);
    sums->dirty_units += bit_count(s->dirty);
    sums->dense_units += bit_count(s->dense);
    sums->in_dirty_list += s->in_dirty_list;
    if (s->occupied & s->dirty) sums->broken = "arena I1: a unit is occupied and dirty";
    if (s->stale & ~s->dirty) sums->broken = "arena I1: a unit is stale and not dirty";
    if (s->zero & ~s->dirty) sums->broken = "arena I1: a unit is zero and not dirty";
    if (s->dense & ~s->occupied) sums->broken = "arena I1: a unit is dense and not occupied";
    if (s->in_bucket != (free_units(s) > 0)) sums->broken = "arena I2: bucket membership";
    if (s->in_dirty_list != (s->dirty != 0)) sums->broken = "arena I3: dirty list membership";
}

static size_t length_of(struct list *head)
{
    size_t length = 0;
    for (struct list *l = list_first(head); l != head; l = l->next) length++;
    return length;
}

static bool bucket_is_right(struct list *head, unsigned dirty, unsigned count)
{
    for (struct list *l = list_first(head); l != head; l = l->next) {
        const struct superslab *s = container_of(l, struct superslab, bucket_link);
        if (free_units(s) != count || (s->dirty != 0) != dirty || count == 0) return false;
    }
    return true;
}

COLD const char *arena_verify(void)
{
    for (unsigned dirty = 0; dirty < 2; dirty++)
        for (unsigned count = 0; count < BUCKETS; count++)
            if (!bucket_is_right(&bucket[dirty][count], dirty, count))
                return "arena I2: a SuperSlab is in the wrong bucket";
    struct sums sums = {0};
    chunk_each_superslab(verify_superslab, &sums);
    if (sums.broken) return sums.broken;
    if (sums.in_dirty_list != length_of(&arena.dirty_list)) return "arena I3: length of the dirty list";
    if (sums.free_units != arena.free_units || sums.dirty_units != arena.dirty_units)
        return "arena I4: sums of free and dirty units";
    if (sums.dense_units != arena.dense_units) return "arena I4: sum of dense units";
    if (!chunk_verify()) return "arena I5: SuperSlabs of a chunk";
    return NULL;
}
