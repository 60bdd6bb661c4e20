/* emptied_slab_initialised_once - a slab that becomes empty, or an orphan, finds one new owner.
 *
 * What went wrong once: two threads saw the same slab become empty, and both initialised it.
 *
 * Shown: threads that live briefly and threads that stay allocate, free each other's blocks, orphan, adopt,
 * empty and retire the same slabs. A map beside the allocator says for each address whether somebody holds it:
 * no address is handed out twice. At the end each unit is in one slab, and each slab in one heap.
 */
#include <pthread.h>
#include <sys/mman.h>

#include "whitebox.h"

enum { SLOWER = SANITIZED ? 20 : 1 };

enum {
    STAYING = 4,
    BRIEF = 4,            /* at a time */
    BIRTHS = 6000 / SLOWER, /* of brief threads, in each of BRIEF rows */
    BRIEF_OPERATIONS = 150,
    TABLE = 256,          /* blocks that all threads swap */
    GRAIN = 16,
    CELLS_PER_UNIT = UNIT_SIZE / GRAIN,
    BLOCKS_OF_RECORDS = 8, /* record blocks that may be chunks' */
};

static const uint32_t sizes[] = {64, 1024, 3000, 8192, 16384, 65536};

static unsigned char *held;       /* [record][offset / GRAIN], 1 = somebody holds this address */
static void *table[TABLE];        /* shared by exchange */
static uint32_t twice, not_held;  /* shared counters */
static uint32_t stop;
static uint64_t seed;

static unsigned char *cell_of(const void *p)
{
    uint32_t record = tagmap_get(p).record;
    uintptr_t offset = (uintptr_t)p - align_down(slab_at(record)->base, UNIT_SIZE);
    size_t cell = ((size_t)record << UNIT_SHIFT) / GRAIN + offset / GRAIN;
    if (record >> RECORD_INDEX_BITS >= BLOCKS_OF_RECORDS) bail_out("record %u is beyond the map", record);
    return &held[cell];
}

static void *take(struct random *random)
{
    uint32_t size = sizes[random_below(random, array_length(sizes))];
    void *p = call_malloc(size);
    if (!p) bail_out("no memory");
    if (__atomic_exchange_n(cell_of(p), 1, __ATOMIC_RELAXED) != 0) add_relaxed(&twice, 1);
    *(volatile uint64_t *)p = (uintptr_t)p;
    return p;
}

static void give(void *p)
{
    if (!p) return;
    if (*(volatile uint64_t *)p != (uintptr_t)p) add_relaxed(&twice, 1);
    if (__atomic_exchange_n(cell_of(p), 0, __ATOMIC_RELAXED) != 1) add_relaxed(&not_held, 1);
    call_free(p);
}

/* Takes a block or none, and frees what it finds in its place: mostly somebody else's. */
static void swap(struct random *random)
{
    void *mine = random_below(random, 2) ? take(random) : NULL;
    void **place = &table[random_below(random, TABLE)];
    give(__atomic_exchange_n(place, mine, __ATOMIC_ACQ_REL));
}

static void *brief(void *argument)
{
    struct random random = random_stream(seed, (uintptr_t)argument);
    for (int i = 0; i < BRIEF_OPERATIONS; i++) swap(&random);
    return NULL;
}

/* All of a row's threads are born one after the other; heaps are dissolved in between, so slabs are orphaned. */
static void *row_of_brief(void *argument)
{
    uintptr_t row = (uintptr_t)argument;
    for (uintptr_t i = 0; i < BIRTHS; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, brief, (void *)(1000 + row * BIRTHS + i)) != 0) bail_out("no thread");
        if (i % 3 == row % 3) heap_dissolve_parked();
        pthread_join(thread, NULL);
    }
    return NULL;
}

static void *staying(void *argument)
{
    struct random random = random_stream(seed, (uintptr_t)argument);
    for (uint32_t i = 0; !load_relaxed(&stop); i++) {
        swap(&random);
        if (i % 5000 == 0) (void)hak_purge();
    }
    return NULL;
}

static void run_threads(void)
{
    pthread_t stays[STAYING], rows[BRIEF];
    for (uintptr_t i = 0; i < STAYING; i++)
        if (pthread_create(&stays[i], NULL, staying, (void *)i) != 0) bail_out("no thread");
    for (uintptr_t i = 0; i < BRIEF; i++)
        if (pthread_create(&rows[i], NULL, row_of_brief, (void *)i) != 0) bail_out("no thread");
    for (int i = 0; i < BRIEF; i++) pthread_join(rows[i], NULL);
    store_relaxed(&stop, 1);
    for (int i = 0; i < STAYING; i++) pthread_join(stays[i], NULL);
}

/* ---- one owner ---- */

struct owners {
    unsigned char *units; /* by record: how many slabs have this unit */
    uint32_t shared;
};

static void note_slab(struct list *link, struct owners *owners)
{
    const struct slab *s = container_of(link, struct slab, link);
    for (unsigned i = 0; i < s->units; i++) owners->shared += owners->units[s->number + i]++ > 0;
}

static void note_heap(struct heap *heap, void *context)
{
    for (unsigned class = 0; class < CLASS_COUNT; class++)
        for (unsigned place = SLAB_PARTIAL; place < SLAB_PLACES; place++) {
            struct list *head = &heap->class[class].slabs[place];
            for (struct list *i = list_first(head); i != head; i = i->next) note_slab(i, context);
        }
}

static void each_unit_has_one_owner(void)
{
    static unsigned char units[BLOCKS_OF_RECORDS << RECORD_INDEX_BITS];
    struct owners owners = {.units = units};
    heap_each(note_heap, &owners);
    ok(owners.shared == 0, "each_unit_is_in_one_slab_and_each_slab_in_one_heap");
}

int main(void)
{
    size_t cells = (size_t)BLOCKS_OF_RECORDS * RECORDS_PER_BLOCK * CELLS_PER_UNIT;
    held = mmap(NULL, cells, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (held == MAP_FAILED) bail_out("no map beside the allocator");
    seed = random_seed();
    run_threads();
    ok(twice == 0, "no_address_is_handed_out_twice");
    ok(not_held == 0, "what_is_freed_was_held");
    for (int i = 0; i < TABLE; i++) give(table[i]);
    (void)hak_purge();
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        struct census c = census_take(class);
        expect(!c.broken, "class %u: %s", class, c.broken);
        expect(c.used == c.binned + c.mailed && balance_of(class) == 0, "class %u: %lu used, %lu in bins, balance %lu",
               class, c.used, c.binned, balance_of(class));
    }
    claim("all_blocks_came_home");
    each_unit_has_one_owner();
    ok(hak_check(), "all_invariants_hold_at_the_end");
    return done_testing();
}
