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
    LOOKS_PER_BUCKET = 8, LOOKS_ALL = INT32_MAX,
    HUGE_AFTER = 8 * SUPERSLAB_UNITS, /* dense units before the next are expected */
    HUGE_SUPERSLABS_MAX = 1 << 13,
    BURST_FORGET = 8,
};

struct lock arena_lock = {.rank = RANK_ARENA};
struct lock purge_lock = {.rank = RANK_PURGE};
struct arena arena;

static struct list bucket[2][BUCKETS]; /* [has dirty units][free units] */
static uint64_t bucket_used[2];        /* bit per bucket that is not empty; may be stale set */

static void bucket_add(unsigned dirty, unsigned count, struct superslab *s)
{
    struct list *head = &bucket[dirty][count];
    list_push_front(head, &s->bucket_link);
    bucket_used[dirty] |= UINT64_C(1) << count;
}

/* It has `count` free units from now on, `dirty` of them with memory: counters and lists follow. */
static void superslab_place(struct superslab *s, unsigned count, unsigned dirty)
{
    unsigned count_before = s->free_count;
    unsigned dirty_before = s->dirty_count;
    bool moves = count != count_before || (dirty > 0) != (dirty_before > 0);
    s->free_count = (uint8_t)count;
    s->dirty_count = (uint8_t)dirty;
    counter_add(&arena.free_units, (size_t)count - count_before);
    counter_add(&arena.dirty_units, (size_t)dirty - dirty_before);
    if (moves && count_before > 0) list_remove(&s->bucket_link);
    if (moves && count > 0) bucket_add(dirty > 0, count, s);
    if (dirty_before == 0 && dirty > 0) list_push_back(&arena.dirty_list, &s->dirty_link);
    if (dirty_before > 0 && dirty == 0) list_remove(&s->dirty_link);
    bool empty = count == SUPERSLAB_UNITS;
    if (empty != (count_before == SUPERSLAB_UNITS)) chunk_count_empty(s, empty);
}

void superslab_change(struct superslab *s, uint32_t occupied, uint32_t dirty)
{
    s->occupied = occupied;
    s->dirty = dirty;
    s->stale &= dirty;
    s->zero &= dirty;
    if (unlikely(s->dense & ~occupied)) {
        arena.dense_units -= bit_count(s->dense & ~occupied);
        s->dense &= occupied;
    }
    superslab_place(s, SUPERSLAB_UNITS - bit_count(occupied), bit_count(dirty));
}

void superslab_leave(struct superslab *s)
{
    counter_add(&arena.units, 0 - (size_t)s->free_count);
    (void)superslab_forget_huge(s);
    superslab_place(s, 0, 0);
    *s = (struct superslab){0};
}

bool superslab_forget_huge(struct superslab *s)
{
    bool was = s->huge;
    s->huge = false;
    if (was) sub_relaxed(&arena.huge_superslabs, 1);
    return was;
}

/* The units of a free run, or none. One unit: a dirty one first, since its memory is there already. */
static uint32_t find_run(const struct superslab *s, unsigned count)
{
    uint32_t wanted = count == 1 && s->dirty ? s->dirty : ~s->occupied;
    uint32_t starts = bit_run_starts(wanted, count);
    return starts ? bit_run(lowest_bit(starts), count) : 0;
}

static struct superslab *search_bucket(struct list *head, unsigned count, unsigned looks, uint32_t *run)
{
    for (struct list *l = list_first(head); l != head && looks > 0; l = l->next, looks--) {
        struct superslab *s = container_of(l, struct superslab, bucket_link);
        if ((*run = find_run(s, count))) return s;
    }
    return NULL;
}

static struct superslab *search(unsigned dirty, unsigned count, unsigned looks, uint32_t *run)
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
        struct superslab *s = search_bucket(head, count, looks, run);
        if (s) return s;
    }
    return NULL;
}

static void superslab_enter(struct superslab *s)
{
    superslab_change(s, s->occupied, 0);
    counter_add(&arena.units, s->free_count);
}

/* A SuperSlab, and `count` units in a row that are free there. */
static struct superslab *find_superslab(unsigned count, uint32_t *run)
{
    struct superslab *s = search(1, count, LOOKS_PER_BUCKET, run);
    if (!s) s = search(0, count, LOOKS_PER_BUCKET, run);
    for (int tries = 0; !s && tries < 2; tries++) {
        s = chunk_next_superslab();
        if (!s) break;
        superslab_enter(s);
        if (!(*run = find_run(s, count))) s = NULL;
    }
    if (unlikely(!s)) s = search(1, count, LOOKS_ALL, run); /* there is no other to be had */
    if (unlikely(!s)) s = search(0, count, LOOKS_ALL, run);
    return s;
}

/* `dirty` of them have memory from earlier; a huge page that was just filled is none. */
static void count_taken(unsigned count, unsigned dirty)
{
    size_t burst = load_relaxed(&arena.burst_units);
    store_relaxed(&arena.burst_units, burst > BURST_FORGET * count ? burst - BURST_FORGET * count : 0);
    arena.clean_units += count - dirty;
}

static void hand_out(struct superslab *s, unsigned count, uint32_t run, bool dense)
{
    count_taken(count, bit_count(run & s->dirty & ~s->zero));
    superslab_change(s, s->occupied | run, s->dirty & ~run);
    if (!dense) return;
    s->dense |= run;
    arena.dense_units += count;
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

/* times: 1 or -1 */
static void count_run(size_t size, unsigned units, int times)
{
    counter_add(&arena.runs.live, (size_t)times * size);
    counter_add(&arena.runs.slack, (size_t)times * (units * (size_t)UNIT_SIZE - size));
}

/* size 0 = they are not for a block. */
ALWAYS_INLINE bool take_counted(unsigned count, bool dense, size_t size, struct span *span)
{
    uint32_t run;
    lock_acquire(&arena_lock);
    struct superslab *s = find_superslab(count, &run);
    if (!s || over_limit(s, run)) {
        lock_release(&arena_lock);
        return false;
    }
    unsigned first = lowest_bit(run);
    span->base = s->base + first * (uintptr_t)UNIT_SIZE;
    span->record = s->record + first;
    span->dirty = (s->dirty & ~s->zero & run) >> first;
    span->present = (run & ~s->dirty) == 0;
    span->untouched = (run & s->dirty) == 0;
    bool fill = dense && deserves_huge(s);
    bool forbid = superslab_forget_huge(s) && !fill;
    hand_out(s, count, run, dense);
    if (fill) span->present = fill_huge(s, run);
    if (size > 0) {
        count_run(size, count, 1);
        counter_add(&arena.runs.mallocs, 1);
    }
    lock_release(&arena_lock);
    if (forbid) os_allow_huge((void *)s->base, SUPERSLAB_SIZE, false);
    return true;
}

bool arena_take(unsigned count, bool dense, struct span *span)
{
    return take_counted(count, dense, 0, span);
}

bool arena_take_run(unsigned count, size_t size, struct span *span)
{
    return take_counted(count, false, size, span);
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

static bool may_be_huge(const struct superslab *s, uint32_t dirty)
{
    return dirty == 0 && !s->huge && s->base % SUPERSLAB_SIZE == 0;
}

/* Of the SuperSlabs that a run has entirely and that have no memory, fills the first with a huge page, and when that
 * was quick, allows them in the others, with one call for neighbours. The last one is watched when it gets small pages,
 * as the others do or for a lesson. Who has unit 0 of a SuperSlab owns its `huge`. */
static void expect(bool dense, struct superslab *s, const uint32_t *dirty, unsigned whole)
{
    unsigned neighbours = 0;
    bool tried = false;
    if (option_get(OPTION_thp) == THP_ALWAYS) return; /* they are allowed everywhere */
    while (whole > 0 && !may_be_huge(&s[whole - 1], dirty[whole - 1])) whole--;
    if (whole == 0) return;
    unsigned end = !dense ? 0 : density_wants_lesson() ? whole - 1 : whole;
    for (unsigned i = 0; i <= end; i++) {
        bool take = i < end && may_be_huge(&s[i], dirty[i]);
        if (take && !tried) {
            tried = true;
            if (!huge_at_hand() || !huge_fill(s[i].base) || !huge_at_hand()) end = i + 1;
            continue;
        }
        if (take && load_relaxed(&arena.huge_superslabs) < HUGE_SUPERSLABS_MAX) {
            add_relaxed(&arena.huge_superslabs, 1);
            store_relaxed(&s[i].huge, true);
            neighbours++;
        } else if (neighbours > 0) {
            os_allow_huge((void *)s[i - neighbours].base, neighbours * (size_t)SUPERSLAB_SIZE, true);
            neighbours = 0;
        }
    }
    if (end < whole) density_watch(s[whole - 1].base);
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

bool arena_take_long(unsigned count, size_t size, bool dense, bool grow, struct span *span,
                     uint32_t dirty[LONG_SUPERSLABS_MAX])
{
    struct stretch stretch = {.unused = 0};
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
        count_run(size, count, 1);
        counter_add(&arena.runs.mallocs, 1);
    }
    lock_release(&arena_lock);
    if (done) expect(dense, stretch.first, dirty, count / SUPERSLAB_UNITS);
    return done;
}

/* size 0 = they were not a block's. */
ALWAYS_INLINE void give_counted(uintptr_t base, uint32_t record, unsigned count, size_t size)
{
    tagmap_set(base, count, TAG_FREE, record);
    lock_acquire(&arena_lock);
    counter_add(&arena.burst_units, count);
    if (size > 0) {
        count_run(size, count, -1);
        counter_add(&arena.runs.frees, 1);
    }
    while (count > 0) {
        struct part part = part_of(record, count);
        struct superslab *s = part.superslab;
        superslab_change(s, s->occupied & ~part.units, s->dirty | part.units);
        record += part.count;
        count -= part.count;
    }
    lock_release(&arena_lock);
}

void arena_give(uintptr_t base, uint32_t record, unsigned count)
{
    give_counted(base, record, count, 0);
}

void arena_give_run(uintptr_t base, uint32_t record, unsigned count, size_t size)
{
    give_counted(base, record, count, size);
}

void arena_recount_run(size_t size, unsigned units, size_t new_size, unsigned new_units)
{
    lock_acquire(&arena_lock);
    count_run(size, units, -1);
    count_run(new_size, new_units, 1);
    lock_release(&arena_lock);
}

void arena_take_counts(struct run_counters *from)
{
    lock_acquire(&arena_lock);
    counter_move(&arena.runs.live, &from->live);
    counter_move(&arena.runs.slack, &from->slack);
    counter_move(&arena.runs.mallocs, &from->mallocs);
    counter_move(&arena.runs.frees, &from->frees);
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
    usage->runs = arena.runs;
    lock_release(&arena_lock);
}

struct sums {
    size_t free_units;
    size_t dirty_units;
    size_t dense_units;
    size_t with_dirty; /* SuperSlabs */
    size_t with_free;
    const char *broken;
};

static void verify_superslab(struct superslab *s, void *context)
{
    struct sums *sums = context;
    sums->free_units += s->free_count;
    sums->dirty_units += s->dirty_count;
    sums->dense_units += bit_count(s->dense);
    sums->with_dirty += s->dirty != 0;
    if (s->free_count != SUPERSLAB_UNITS - bit_count(s->occupied)) sums->broken = "arena I4: free units of a SuperSlab";
    if (s->dirty_count != bit_count(s->dirty)) sums->broken = "arena I4: dirty units of a SuperSlab";
    if (s->occupied & s->dirty) sums->broken = "arena I1: a unit is occupied and dirty";
    if (s->stale & ~s->dirty) sums->broken = "arena I1: a unit is stale and not dirty";
    if (s->zero & ~s->dirty) sums->broken = "arena I1: a unit is zero and not dirty";
    if (s->dense & ~s->occupied) sums->broken = "arena I1: a unit is dense and not occupied";
    sums->with_free += s->free_count > 0;
}

/* SuperSlabs in a bucket; -1 = one does not belong there. */
static long bucket_length(struct list *head, unsigned dirty, unsigned count)
{
    long length = 0;
    for (struct list *l = list_first(head); l != head; l = l->next, length++) {
        const struct superslab *s = container_of(l, struct superslab, bucket_link);
        if (s->free_count != count || (s->dirty_count != 0) != dirty || count == 0) return -1;
    }
    return length;
}

static const char *verify_buckets(const struct sums *sums)
{
    size_t in_buckets = 0;
    for (unsigned dirty = 0; dirty < 2; dirty++)
        for (unsigned count = 0; count < BUCKETS; count++) {
            long length = bucket_length(&bucket[dirty][count], dirty, count);
            if (length < 0) return "arena I2: a SuperSlab is in the wrong bucket";
            in_buckets += (size_t)length;
        }
    return in_buckets == sums->with_free ? NULL : "arena I2: number of SuperSlabs in buckets";
}

static const char *verify_dirty_list(const struct sums *sums)
{
    size_t length = 0;
    for (struct list *l = list_first(&arena.dirty_list); l != &arena.dirty_list; l = l->next, length++) {
        const struct superslab *s = container_of(l, struct superslab, dirty_link);
        if (s->dirty == 0) return "arena I3: the dirty list has a clean one";
    }
    return length == sums->with_dirty ? NULL : "arena I3: length of the dirty list";
}

COLD const char *arena_verify(void)
{
    struct sums sums = {0};
    chunk_each_superslab(verify_superslab, &sums);
    if (sums.broken) return sums.broken;
    const char *broken = verify_buckets(&sums);
    if (!broken) broken = verify_dirty_list(&sums);
    if (broken) return broken;
    if (sums.free_units != arena.free_units || sums.dirty_units != arena.dirty_units)
        return "arena I4: sums of free and dirty units";
    if (sums.dense_units != arena.dense_units) return "arena I4: sum of dense units";
    if (!chunk_verify()) return "arena I5: SuperSlabs of a chunk";
    return NULL;
}
