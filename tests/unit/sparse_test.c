/* sparse_test.c - pages inside slabs go back on demand and by date, and come back when their blocks are needed. */
#include "unit.h"

enum { BLOCKS_MAX = 4 * UNIT_SIZE / 8, PAGE = 4096 };

static char *block[BLOCKS_MAX];
static bool kept[BLOCKS_MAX];

static void *class_malloc_of(unsigned class)
{
    uint32_t size = class_size(class);
    return class < SIZE_CLASS_COUNT ? do_malloc(size) : do_aligned(size & ~(size - 1), size);
}

static struct slab *slab_holding(const void *p)
{
    return slab_at(tagmap_get(p).record);
}

static struct hak_stats figures(void)
{
    struct hak_stats stats;
    require(hak_stats(&stats) == 0);
    return stats;
}

static uint64_t slabs_of(unsigned class)
{
    static struct stats stats;
    stats_collect(&stats);
    return stats.class[class].slabs;
}

static size_t absent_bytes(void)
{
    static struct stats stats;
    stats_collect(&stats);
    return stats.absent_bytes;
}

/* Marks of a block: its own index in every word. */
static void fill(unsigned i, unsigned class)
{
    for (uint32_t at = 0; at < class_size(class); at += 8) *(uint64_t *)(void *)(block[i] + at) = i * 1000003u + at;
}

static void require_marks(unsigned i, unsigned class)
{
    for (uint32_t at = 0; at < class_size(class); at += 8)
        require(*(uint64_t *)(void *)(block[i] + at) == i * 1000003u + at, "class %u, block %u, byte %u", class, i, at);
}

/* Three slabs of a class and a bit; keeps every `every`-th block. Returns how many there are. */
static unsigned make_sparse(unsigned class, unsigned every)
{
    unsigned count = 3 * class_capacity(class) + class_capacity(class) / 3;
    for (unsigned i = 0; i < count; i++) {
        block[i] = class_malloc_of(class);
        require(block[i] && class_of_offset(tag_offset(tagmap_get(block[i]))) == class, "class %u", class);
        kept[i] = i % every == every / 2;
        fill(i, class);
    }
    for (unsigned i = 0; i < count; i++)
        if (!kept[i]) do_free(block[i]);
    return count;
}

static unsigned every_of(unsigned class)
{
    unsigned every = class_capacity(class) * 2 / 3;
    return every > 2 ? every : 2;
}

/* ---- on demand ---- */

/* Sets a bit for each granule of the slab that holds a kept block. */
static uint32_t kept_granules(const struct slab *s, unsigned count)
{
    uint32_t granules = 0;
    for (unsigned i = 0; i < count; i++) {
        if (!kept[i] || slab_holding(block[i]) != s) continue;
        uintptr_t offset = (uintptr_t)block[i] - slab_units_base(s);
        for (size_t g = offset / slab_granule_size(s); g <= (offset + s->stride - 1) / slab_granule_size(s); g++)
            granules |= 1u << g;
    }
    return granules;
}

/* Of a slab that is carved to the end: pages without a kept block have no memory, if there are two granules of them. */
static unsigned require_pages_gone(const struct slab *s, unsigned count)
{
    unsigned gone = 0;
    size_t covered = class_first(s->class) + s->capacity * (size_t)s->stride; /* bytes up to the last block's end */
    uint32_t empty = ~kept_granules(s, count) & 0xffff;
    if (s->carved < s->capacity || bit_count(empty) <= 2) return 0;
    for (unsigned g = 0; g < SLAB_GRANULES; g++) {
        size_t size = slab_granule_size(s);
        if (!(empty >> g & 1) || g * size >= covered) continue;
        for (size_t at = g * size; at < (g + 1) * size; at += PAGE)
            require(!os_has_memory((void *)(slab_units_base(s) + at)), "class %u, page at %zu", s->class, at);
        gone++;
    }
    return gone;
}

static void pages_without_used_blocks_go_back(void)
{
    unsigned gone = 0;
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        unsigned count = make_sparse(c, every_of(c));
        size_t bytes = hak_purge();
        for (unsigned i = 0; i < count; i++)
            if (kept[i]) gone += require_pages_gone(slab_holding(block[i]), count);
        require(absent_bytes() > 0 && bytes > 0, "class %u", c);
        for (unsigned i = 0; i < count; i++)
            if (kept[i]) require_marks(i, c);
        require_sound();
        require(hak_purge() == 0, "class %u: given back twice", c);
        for (unsigned i = 0; i < count; i++)
            if (kept[i]) do_free(block[i]);
        (void)hak_purge();
        require(figures().live == 0 && absent_bytes() == 0);
    }
    require(gone > 1000, "%u granules", gone);
}

static void absent_blocks_serve_before_a_slab_is_taken(void)
{
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        unsigned count = make_sparse(c, every_of(c));
        (void)hak_purge();
        uint64_t slabs = slabs_of(c);
        uint64_t room = 0;
        for (unsigned i = 0; i < count; i++) room += kept[i];
        room = slabs * class_capacity(c) - room;
        for (unsigned i = 0; i < count && room > 0; i++) {
            if (kept[i]) continue;
            block[i] = class_malloc_of(c);
            fill(i, c);
            kept[i] = true;
            room--;
        }
        require(slabs_of(c) == slabs, "class %u: %lu slabs became %lu", c, slabs, slabs_of(c));
        for (unsigned i = 0; i < count; i++)
            if (kept[i]) require_marks(i, c); /* so no block was handed out twice */
        require_sound();
        for (unsigned i = 0; i < count; i++)
            if (kept[i]) do_free(block[i]);
        (void)hak_purge();
    }
    require_sound();
}

static void a_call_without_memory_leaves_pages_alone(void)
{
    (void)make_sparse(class_of(64), 700);
    uint64_t calls = fake.calls[FAKE_PURGE];
    require(!do_malloc(PTRDIFF_MAX / 2) && errno == ENOMEM);
    require(absent_bytes() == 0 && fake.calls[FAKE_PURGE] <= calls + 1, "a program may try this often");
}

static void figures_count_them_as_purged(void)
{
    (void)make_sparse(class_of(64), 700);
    struct hak_stats before = figures();
    size_t bytes = hak_purge();
    struct hak_stats after = figures();
    require(after.mapped == after.live + after.cached + after.free_in_slabs + after.dirty + after.purged);
    require(after.mapped == before.mapped && after.live == before.live && after.dirty == 0);
    require(after.free_in_slabs + absent_bytes() == 4 * UNIT_SIZE - after.live, "%zu", after.free_in_slabs);
    require(bytes >= absent_bytes() && absent_bytes() >= 3 * UNIT_SIZE / 2, "%zu of %zu", absent_bytes(), bytes);
}

static void what_the_system_refuses_stays_as_it_was(void)
{
    for (uint64_t every = 1; every <= 3; every++)
        for (unsigned c = 0; c < CLASS_COUNT; c += 5) {
            unsigned count = make_sparse(c, every_of(c));
            fake_fail_every(FAKE_PURGE, every);
            (void)hak_purge();
            if (every == 1) require(absent_bytes() == 0, "class %u", c);
            fake_fail_nothing();
            require_sound();
            for (unsigned i = 0; i < count; i++) {
                if (kept[i]) continue;
                block[i] = class_malloc_of(c);
                fill(i, c);
            }
            for (unsigned i = 0; i < count; i++) require_marks(i, c);
            for (unsigned i = 0; i < count; i++) do_free(block[i]);
            (void)hak_purge();
            require_sound();
        }
}

static void one_granule_is_not_worth_a_call(void)
{
    unsigned count = make_sparse(class_of(64), 64); /* a block on each page */
    uint64_t calls = fake.calls[FAKE_PURGE];
    struct slab *s = slab_holding(block[100]);
    do_free(block[32 + 64 * 3]); /* the only one of its page */
    heap_flush_bins(my_heap());
    lock_acquire(&my_heap()->lock);
    require(heap_purge_slab(my_heap(), slab_holding(block[32 + 64 * 3])) == 0 && count > 0);
    lock_release(&my_heap()->lock);
    require(fake.calls[FAKE_PURGE] == calls && s->absent == 0);
    require_sound();
}

static void a_slab_that_empties_retires_all_the_same(void)
{
    unsigned count = make_sparse(class_of(64), 700);
    (void)hak_purge();
    require(absent_bytes() > 0);
    for (unsigned i = 0; i < count; i++)
        if (kept[i]) do_free(block[i]);
    heap_flush_bins(my_heap());
    require_sound();
    heap_release_empty(my_heap());
    require(slabs_of(class_of(64)) == 0 && absent_bytes() == 0);
    for (unsigned i = 0; i < count; i++) { /* the units serve another class */
        block[i] = do_malloc(300);
        memset(block[i], 0x77, 300);
    }
    require_sound();
}

static void a_double_free_of_an_absent_block_is_noticed(void)
{
    (void)make_sparse(class_of(64), 700);
    (void)hak_purge();
    require(option_set(OPTION_on_error, ON_ERROR_REPORT));
    require(!kept[10] && slab_has_absent(slab_holding(block[10]), slab_index(slab_holding(block[10]), block[10])));
    do_free(block[10]);
    heap_flush_bins(my_heap());
    require_text("double free");
    require(hak_check(), "%s", fake_take_printed());
}

/* ---- order and owners ---- */

/* A heap that no thread has. */
static struct heap *make_heap(void)
{
    struct heap *other = new_heap();
    require(other != NULL);
    other->state = HEAP_LIVE;
    inbox_open(other);
    return other;
}

static void *heap_take_one(struct heap *heap, unsigned class)
{
    struct chain chain = heap_take(heap, class, 1);
    require(chain.count == 1);
    return chain.first;
}

/* A slab of this heap that has nothing to give but absent blocks. */
static struct slab *absent_slab(struct heap *heap, unsigned class)
{
    static void *p[UNIT_SIZE / 8];
    unsigned capacity = class_capacity(class);
    for (unsigned i = 0; i < capacity; i++) p[i] = heap_take_one(heap, class);
    struct slab *s = slab_holding(p[0]);
    for (unsigned i = 0; i + 1 < capacity; i++) heap_give(heap, s, slab_index(s, p[i]));
    require(heap_purge_slab(heap, s) > 0, "class %u", class);
    while (s->place == SLAB_PARTIAL) require(slab_holding(heap_take_one(heap, class)) == s); /* beside the last */
    require(s->place == SLAB_ABSENT && slab_free_count(s) == 0, "class %u", class);
    return s;
}

static const char *broken_of(struct heap *heap)
{
    const char *broken = heap_verify_slabs(heap);
    return broken ? broken : heap_verify_slabs(heap_common);
}

static void start(void)
{
    do_free(do_malloc(1));
    heap_flush_bins(my_heap());
    heap_release_empty(my_heap());
}

static void orphans_keep_their_absent_blocks(void)
{
    start();
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        if (class_capacity(c) < 12) continue;
        struct heap *other = make_heap();
        struct slab *s = absent_slab(other, c);
        heap_orphan_slabs(other);
        require(s->place == SLAB_ABSENT && (adoptable_absent >> c & 1) && !(adoptable >> c & 1), "class %u", c);
        require(!broken_of(other), "%s", broken_of(other));
        void *p = heap_take_one(my_heap(), c);
        require(slab_holding(p) == s, "class %u: a new slab was taken", c);
        require(tag_owner(tagmap_get(p)) == my_heap()->front.id && !(adoptable_absent >> c & 1));
        require(!broken_of(my_heap()), "%s", broken_of(my_heap()));
    }
}

static void what_has_memory_comes_first(void)
{
    start();
    unsigned class = class_of(500);
    struct heap *mine = my_heap(), *other = make_heap(), *third = make_heap();
    struct slab *own = absent_slab(mine, class), *absent_orphan = absent_slab(other, class);
    struct slab *orphan_uncarved = slab_holding(heap_take_one(third, class));
    heap_orphan_slabs(other);
    heap_orphan_slabs(third);
    for (unsigned i = 1; i < class_capacity(class); i++)
        require(slab_holding(heap_take_one(mine, class)) == orphan_uncarved, "%u", i);
    while (own->place != SLAB_FULL) require(slab_holding(heap_take_one(mine, class)) == own);
    require(own->absent == 0 && absent_orphan->place == SLAB_ABSENT);
    while (absent_orphan->place != SLAB_FULL) require(slab_holding(heap_take_one(mine, class)) == absent_orphan);
    require(slab_holding(heap_take_one(mine, class)) != own);
    require(!broken_of(mine), "%s", broken_of(mine));
}

static void the_common_heap_is_purged_and_revived(void)
{
    static void *p[2000];
    do_free(do_malloc(1));
    for (unsigned i = 0; i < 2000; i++) p[i] = heap_common_malloc(class_of(200));
    for (unsigned i = 0; i < 2000; i++)
        if (i % 250 != 100) do_free(p[i]);
    require(hak_purge() > 0 && absent_bytes() > 0);
    require(my_heap()->class[class_of(200)].slabs[SLAB_ABSENT].next == NULL);
    uint64_t slabs = slabs_of(class_of(200));
    for (unsigned i = 0; i < 1500; i++) memset(heap_common_malloc(class_of(200)), 1, 200);
    require(slabs_of(class_of(200)) == slabs && hak_check(), "%s", fake_take_printed());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pages_without_used_blocks_go_back),
        TEST(absent_blocks_serve_before_a_slab_is_taken),
        TEST(a_call_without_memory_leaves_pages_alone),
        TEST(figures_count_them_as_purged),
        TEST(what_the_system_refuses_stays_as_it_was),
        TEST(one_granule_is_not_worth_a_call),
        TEST(a_slab_that_empties_retires_all_the_same),
        TEST(a_double_free_of_an_absent_block_is_noticed),
        TEST(orphans_keep_their_absent_blocks),
        TEST(what_has_memory_comes_first),
        TEST(the_common_heap_is_purged_and_revived),
    };
    return run_unit_tests(tests);
}
