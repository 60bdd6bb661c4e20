/* stats_test.c - the figures of the process, and that each counter that lies is found out. */
#include "unit.h"

static const size_t MIB = (size_t)1 << 20;

static struct hak_stats figures(void)
{
    struct hak_stats stats;
    require(hak_stats(&stats) == 0);
    return stats;
}

static void require_identity(void)
{
    struct hak_stats s = figures();
    require(s.mapped == s.live + s.cached + s.free_in_slabs + s.dirty + s.purged, "mapped %zu", s.mapped);
    require(s.records == record_bytes() && s.records > 0);
}

static void live_is_what_the_program_holds(void)
{
    static const size_t sizes[] = {0, 1, 8, 9, 100, 1024, 1025, 4096, 5000, 8192, 9000, 65536, 65537,
                                   300000, 3 << 20, 70 << 20};
    void *p[array_length(sizes)];
    size_t live = 0;
    do_free(do_malloc(1));
    require(figures().live == 0);
    for (unsigned i = 0; i < array_length(sizes); i++) {
        p[i] = do_malloc(sizes[i]);
        live += hak_usable_size(p[i]);
        require(figures().live == live, "size %zu: %zu instead of %zu", sizes[i], figures().live, live);
        require_identity();
    }
    for (unsigned i = 0; i < array_length(sizes); i++) {
        live -= hak_usable_size(p[i]);
        do_free(p[i]);
        require(figures().live == live, "size %zu", sizes[i]);
        require_identity();
    }
    require_sound();
}

static void calls_are_counted_one_by_one(void)
{
    do_free(do_malloc(1));
    struct hak_stats before = figures();
    void *a = do_malloc(10), *b = do_calloc(5, 5), *c = do_aligned(4096, 3);
    void *d = do_malloc(MIB), *e = do_malloc(9 * MIB), *f = do_malloc(90 * MIB);
    require(figures().mallocs == before.mallocs + 6 && figures().frees == before.frees);
    do_free(NULL);
    do_free(a);
    do_free(b);
    do_free(c);
    do_free(d);
    do_free(e);
    do_free(f);
    require(figures().mallocs == before.mallocs + 6 && figures().frees == before.frees + 6);
    require(!do_malloc(SIZE_MAX) && !do_calloc(SIZE_MAX, 2));
    require(figures().mallocs == before.mallocs + 6, "refused calls are counted");
}

static void *remote_free(void *p)
{
    do_free(p);
    return NULL;
}

static void a_posted_block_counts_as_freed_at_once(void)
{
    void *p = do_malloc(100);
    struct hak_stats before = figures();
    in_thread(remote_free, p);
    require(figures().frees == before.frees + 1 && figures().live == before.live - class_stride(class_of(100)));
    require_sound();
}

/* So it looks when they were posted and arrived between the looks at the sender and at the receiver. */
static void blocks_that_arrive_between_two_looks_count_as_none(void)
{
    do_free(do_malloc(100));
    struct hak_stats before = figures();
    struct heap_class *c = &my_heap()->class[class_of(100)];
    c->arrived += 5;
    require(figures().cached == before.cached && figures().live == before.live, "%zu cached", figures().cached);
    require_identity();
    c->arrived -= 5;
    require_sound();
}

/* The owner of posted blocks ends between two looks, and its slabs go to a heap that was read before. */
static void blocks_whose_slab_is_missed_count_as_none(void)
{
    struct stats stats = {.slab_bytes = UNIT_SIZE};
    stats.class[3].used = 5;
    stats.class[3].cached = 2;
    stats.class[3].on_way = 4;
    stats.class[4].used = 7;
    sum_classes(&stats);
    require(stats.total.live == 7 * class_stride(4), "live %zu", stats.total.live);
    require(stats.total.live + stats.total.cached + stats.total.free_in_slabs == UNIT_SIZE);
}

enum { HANDED = 4, HANDED_BYTES = 100000 };

static void *produce(void *blocks)
{
    for (unsigned i = 0; i < HANDED; i++) ((void **)blocks)[i] = do_malloc(HANDED_BYTES);
    return NULL;
}

/* A heap counts what it frees of others' below zero, the arena counts it as theirs, and one is looked at first. */
static void what_passes_between_two_looks_is_bounded(void)
{
    void *p[HANDED];
    struct stats stats = {0};
    do_free(do_malloc(1));
    heap_each(add_posted, &stats);
    heap_each(add_heap, &stats);
    for (unsigned i = 0; i < 300; i++) {
        in_thread(produce, p);
        for (unsigned k = 0; k < HANDED; k++) do_free(p[k]);
    }
    add_large(&stats);
    require(stats.total.live < 8 * MIB, "%zu MiB of none", stats.total.live / MIB);
    require(figures().live == 0);
    require_sound();
}

/* As where it did. */
static void no_figure_wraps_around(void)
{
    struct stats stats = {.arena_bytes = MIB};
    stats.total.live = 3 * MIB;
    stats.mapping_live = MIB / 2;
    require(stats_arena_free(&stats) == 0);
    stats.arena_bytes = 3 * MIB;
    require(stats_arena_free(&stats) == MIB / 2);
}

static void *count_threads(void *out)
{
    do_free(do_malloc(1));
    *(size_t *)out = figures().threads;
    return NULL;
}

static void threads_with_heaps_are_counted(void)
{
    size_t inside = 0;
    require(figures().threads == 0);
    do_free(do_malloc(1));
    require(figures().threads == 1);
    in_thread(count_threads, &inside);
    require(inside == 2 && figures().threads == 1, "%zu", inside);
}

static void free_memory_is_dirty_until_purged(void)
{
    do_free(do_malloc(1));
    (void)hak_purge();
    struct hak_stats before = figures();
    do_free(do_malloc(MIB));
    do_free(do_malloc(4 * MIB)); /* where the first was */
    require(figures().dirty == 4 * MIB, "%zu", figures().dirty);
    do_free(malloc_mapping(5 * MIB));
    require(figures().dirty == 9 * MIB, "%zu", figures().dirty);
    require_identity();
    (void)hak_purge();
    require(figures().dirty == 0 && figures().purged >= before.purged);
    require_identity();
}

static void figures_before_the_first_call_are_zero(void)
{
    struct hak_stats zero;
    memset(&zero, 0, sizeof(zero));
    struct hak_stats now = figures();
    require(memcmp(&zero, &now, sizeof(zero)) == 0);
    require(hak_stats(NULL) == EINVAL);
    require(hak_check());
    require(stats_verify_counters());
    require_only_text("hakmem: counters ok\n");
}

static void random_use_keeps_every_counter(void)
{
    enum { HELD = 500, STEPS = 6000 };
    static void *held[HELD];
    unsigned seed = 99;
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned i = (unsigned)rand_r(&seed) % HELD, kind = (unsigned)rand_r(&seed) % 50;
        size_t size = (size_t)rand_r(&seed) % (kind == 0 ? 6 * MIB : kind < 5 ? 300000 : 3000);
        if (kind % 3 == 0 && size > 0) held[i] = do_realloc(held[i], size);
        else if (held[i]) do_free(held[i]), held[i] = NULL;
        else held[i] = kind % 7 == 0 ? do_aligned((size_t)16 << kind % 9, size) : do_malloc(size);
        if (step % 500 == 0) (void)hak_purge();
        if (step % 50 != 0) continue;
        require_identity();
        bool exact = stats_verify_counters();
        require(exact, "seed 99 step %u: %s", step, fake_take_printed());
        (void)fake_take_printed();
    }
    require_sound();
}

static void the_screen_shows_the_figures(void)
{
    char line[256];
    for (unsigned i = 0; i < 100; i++) require(do_malloc(200) != NULL);
    void *p = do_malloc(40000);
    do_free(p);
    struct stats stats;
    stats_collect(&stats);
    stats_print();
    const char *screen = fake_take_printed();
    sprintf(line, "hakmem %s statistics: 101 mallocs, 1 frees, 1 threads\n", HAK_VERSION);
    require(strncmp(screen, line, strlen(line)) == 0, "%s", screen);
    sprintf(line, "  %-10s %14zu B %9zu MiB  blocks that the program holds; sizes are rounded up to their class\n", "live",
            stats.total.live, stats.total.live >> 20);
    require(strstr(screen, line), "%s", screen);
    sprintf(line, "  %-10s %14zu B %9zu MiB  sum of all above\n", "mapped", stats.total.mapped,
            stats.total.mapped >> 20);
    require(strstr(screen, line), "%s", screen);
    const struct stats_class *c = &stats.class[class_of(200)];
    sprintf(line, "  %7u B %10lu %12u %12lu %8lu%% %14u %14u\n", class_stride(class_of(200)), c->slabs, 100, c->cached,
            100 * 100 / c->blocks, 100, 0);
    require(strstr(screen, line), "wanted %s in %s", line, screen);
    unsigned lines = 0;
    for (const char *s = screen; *s; s++) lines += *s == '\n';
    require(lines == 9 + 2, "%u lines", lines);
}

static void the_end_prints_what_was_asked_for(void)
{
    do_free(do_malloc(1));
    library_end();
    require_only_text("");
    require(option_set(OPTION_counters, 1));
    library_end();
    require_only_text("hakmem: counters ok\n");
    require(option_set(OPTION_show_stats, 1));
    library_end();
    require_text(" statistics: 1 mallocs, 1 frees");
}

/* ---- broken on purpose: heap I4, and the sum of all bytes ---- */

enum { SIZE = 100 };

static struct heap_class *record;
static void *block;

static void start(void)
{
    block = do_malloc(SIZE);
    record = &my_heap()->class[class_of(SIZE)];
    require_sound();
}

static void require_difference(uint64_t counted, uint64_t walked)
{
    char line[256];
    require(!stats_verify_counters());
    sprintf(line, "hakmem: counter differs: live blocks of class %u: counted %lu, walked %lu\n", class_of(SIZE),
            counted, walked);
    require_only_text(line);
}

static void a_wrong_count_of_mallocs_is_found(void)
{
    start();
    record->mallocs++;
    require_difference(2, 1);
    record->mallocs--;
    require_sound();
}

static void a_wrong_count_of_frees_is_found(void)
{
    start();
    record->frees++;
    require_difference(0, 1);
}

static void a_wrong_count_of_returned_blocks_is_found(void)
{
    start();
    record->returned++;
    require_difference(1, 0);
}

static void a_wrong_count_of_used_blocks_is_found(void)
{
    start();
    slab_at(tagmap_get(block).record)->used++;
    require(!stats_verify_counters());
    char line[128];
    sprintf(line, "hakmem: counter differs: live blocks of class %u: counted 1, walked 2\n", class_of(SIZE));
    require_text(line);
}

static void a_block_lost_from_a_bin_is_found(void)
{
    start();
    struct bin *bin = &my_heap()->front.bin[class_of(SIZE)];
    do_free(do_malloc(SIZE)); /* comes with others, as the first of a slab does not */
    require(bin_left(bin) > 0);
    bin->head = link_get(bin->head);
    bin->budget--; /* as if it had been handed out... */
    record->left_set--; /* ... and nobody had counted it */
    require_difference(1, 2);
}

static void a_wrong_sum_of_bytes_is_found(void)
{
    start();
    arena.units++;
    require(!stats_verify_counters());
    require_text("hakmem: counter differs: mapped bytes of class 0: counted ");
    arena.units--;
    require_sound();
    arena.free_units--;
    require(!stats_verify_counters());
    require_text("hakmem: counter differs: mapped bytes of class 0: counted ");
}

static void *verify_beside_a_run_on_its_way(void *heap)
{
    do_free(do_malloc(SIZE));
    counter_add(&((struct heap *)heap)->kept_units, 1);
    bool good = stats_verify_counters();
    counter_add(&((struct heap *)heap)->kept_units, -1);
    return good ? heap : NULL;
}

static void what_a_running_thread_moves_is_no_difference(void)
{
    pthread_t thread;
    void *result;
    start();
    require(pthread_create(&thread, NULL, verify_beside_a_run_on_its_way, my_heap()) == 0);
    require(pthread_join(thread, &result) == 0 && result == my_heap());
    require_only_text("hakmem: counters ok\n");
    require_sound();
}

static void a_unit_that_nobody_holds_is_found(void)
{
    struct span span;
    start();
    require(arena_take(1, false, &span));
    require(!stats_verify_counters());
    require_text("hakmem: counter differs: mapped bytes of class 0: counted ");
}

static void check_names_what_is_broken(void)
{
    start();
    require(hak_check());
    require_only_text("");
    arena.free_units++;
    require(!hak_check());
    require_only_text("hakmem: check failed: arena I4: sums of free and dirty units\n");
    arena.free_units--;
    do_free(do_malloc(5 * MIB));
    mapped.kept_bytes += 4096;
    require(!hak_check());
    require_only_text("hakmem: check failed: large I2: kept bytes\n");
    mapped.kept_bytes -= 4096;
    require_sound();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(live_is_what_the_program_holds),
        TEST(calls_are_counted_one_by_one),
        TEST(a_posted_block_counts_as_freed_at_once),
        TEST(blocks_that_arrive_between_two_looks_count_as_none),
        TEST(blocks_whose_slab_is_missed_count_as_none),
        TEST(what_passes_between_two_looks_is_bounded),
        TEST(no_figure_wraps_around),
        TEST(threads_with_heaps_are_counted),
        TEST(free_memory_is_dirty_until_purged),
        TEST(figures_before_the_first_call_are_zero),
        TEST(random_use_keeps_every_counter),
        TEST(the_screen_shows_the_figures),
        TEST(the_end_prints_what_was_asked_for),
        TEST(a_wrong_count_of_mallocs_is_found),
        TEST(a_wrong_count_of_frees_is_found),
        TEST(a_wrong_count_of_returned_blocks_is_found),
        TEST(a_wrong_count_of_used_blocks_is_found),
        TEST(a_block_lost_from_a_bin_is_found),
        TEST(a_wrong_sum_of_bytes_is_found),
        TEST(what_a_running_thread_moves_is_no_difference),
        TEST(a_unit_that_nobody_holds_is_found),
        TEST(check_names_what_is_broken),
    };
    return run_unit_tests(tests);
}
