/* bin_test.c - bins: exact accounting, refill, and lists that were written to. */
#include "bins.h"

enum { LEFT_MASK = (1 << BIN_LEFT_BITS) - 1 };

/* ---- accounting ---- */

static uint64_t mallocs[CLASS_COUNT], frees[CLASS_COUNT];

static void require_exact(unsigned seed, unsigned step)
{
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        bin_account(my_heap(), c);
        require(class_record(c)->mallocs == mallocs[c], "seed %u step %u class %u: %lu mallocs, not %lu", seed, step, c,
                class_record(c)->mallocs, mallocs[c]);
        require(class_record(c)->frees == frees[c], "seed %u step %u class %u: %lu frees, not %lu", seed, step, c,
                class_record(c)->frees, frees[c]);
        require(bin_left(bin_of(c)) == list_length(bin_of(c)), "seed %u step %u class %u", seed, step, c);
    }
}

static void random_calls(unsigned seed, size_t size_max, unsigned steps)
{
    unsigned random = seed;
    unsigned bias = 50;
    for (unsigned step = 0; step < steps; step++) {
        unsigned i = (unsigned)rand_r(&random) % HELD;
        if (step % 512 == 0) bias = (unsigned)rand_r(&random) % 100; /* more mallocs for a while, or more frees */
        if (!held[i] && (unsigned)rand_r(&random) % 100 < bias) {
            size_t size = (size_t)rand_r(&random) % size_max;
            held[i] = do_malloc(size);
            require(held[i] != NULL);
            mallocs[class_of(size)]++;
        } else if (held[i]) {
            frees[slab_at(tagmap_get(held[i]).record)->class]++;
            do_free(held[i]);
            held[i] = NULL;
        }
        if (step % 97 == 0) require_exact(seed, step);
    }
    require_exact(seed, steps);
    require_sound();
}

static void counts_are_exact_after_any_calls(void)
{
    (void)start();
    mallocs[0] = frees[0] = 1;
    random_calls(1, 65, 60000);
    random_calls(2, 1025, 30000);
    random_calls(3, SMALL_SIZE_MAX + 1, 5000);
}

static void counts_are_exact_with_refills_of_one(void)
{
    (void)start();
    mallocs[0] = frees[0] = 1;
    require(option_set(OPTION_batch_refill, 0));
    random_calls(4, 300, 10000);
}

static void counts_are_exact_when_memory_runs_out(void)
{
    (void)start();
    mallocs[0] = frees[0] = 1;
    fake_fail(FAKE_RESERVE, 1, FAKE_FOR_GOOD);
    fake_fail(FAKE_COMMIT, 1, FAKE_FOR_GOOD);
    unsigned class = class_of(4000);
    void *last = NULL;
    for (void *p; (p = do_malloc(4000)); last = p) {
        *(void **)p = last;
        mallocs[class]++;
    }
    require_exact(0, 0);
    for (void *next; last; last = next) {
        next = *(void **)last;
        do_free(last);
        frees[class]++;
    }
    require_exact(0, 1);
    require_sound();
}

static void *look(void *argument)
{
    struct hak_stats *stats = argument;
    require(hak_stats(stats) == 0);
    return NULL;
}

static void another_thread_reads_exact_counts(void)
{
    struct hak_stats before, after;
    (void)start();
    in_thread(look, &before);
    for (unsigned i = 0; i < 1000; i++) {
        held[i] = do_malloc(i);
        if (i % 3 == 0) {
            do_free(held[i]);
            held[i] = NULL;
        }
        if (i % 50 != 0) continue;
        in_thread(look, &after);
        require(after.mallocs - before.mallocs == i + 1, "%zu of %u", after.mallocs - before.mallocs, i + 1);
        require(after.frees - before.frees == i / 3 + 1, "%zu of %u", after.frees - before.frees, i / 3 + 1);
    }
    require_sound();
}

/* What front_free() leaves between its failed push and the visit. */
static void a_failed_push_seen_by_a_reader_is_counted_once(void)
{
    (void)start();
    void *p = do_malloc(100);
    unsigned class = class_of(100);
    bin_account(my_heap(), class);
    bin_of(class)->budget &= LEFT_MASK;
    class_record(class)->room_set = 0;
    uint64_t before = class_record(class)->frees;
    require(!add_carries(&bin_of(class)->budget, BIN_PUSH));
    bin_account(my_heap(), class); /* the reader */
    require(class_record(class)->frees == before + 1 || class_record(class)->frees == before);
    heap_free_visit(my_heap(), class, p);
    bin_account(my_heap(), class);
    require(class_record(class)->frees == before + 1, "%lu", class_record(class)->frees - before);
    require_sound();
}

static void every_thread_visits_after_a_bounded_number_of_calls(void)
{
    struct heap *heap = start();
    for (unsigned class = 0; class < SIZE_CLASS_COUNT; class++) {
        uint32_t before = heap->work, limit = 2 * GROWN_MAX;
        for (uint32_t i = 0; i < limit; i++) do_free(do_malloc(class_size(class)));
        require(heap->work - before >= 2, "class %u: %u visits", class, heap->work - before);
    }
}

/* ---- refill ---- */

static void the_common_heap_counts_without_bins(void)
{
    (void)start();
    void *p = heap_common_malloc(class_of(200));
    require(p && tag_owner(tagmap_get(p)) == HEAP_COMMON);
    require(heap_common->class[class_of(200)].mallocs == 1);
    require(heap_common->front.bin[class_of(200)].head == NULL);
    do_free(p);
    heap_flush_bins(my_heap());
    outbox_post_all(my_heap());
    require_sound();
}

static void a_refill_brings_used_blocks_of_own_slabs(void)
{
    (void)start();
    for (unsigned c = 0; c < SIZE_CLASS_COUNT; c++) {
        void *p = do_malloc(class_size(c));
        for (void *b = bin_of(c)->head; b; b = link_get(b)) {
            struct tag tag = tagmap_get(b);
            require(tag_owner(tag) == my_heap()->front.id && slab_at(tag.record)->class == c, "class %u", c);
            require(b != p, "class %u: handed out and in the bin", c);
        }
        require_whole();
    }
}

/* ---- fresh memory ---- */

/* Every page behind the last byte that was written. */
static void require_untouched(const void *from, const void *to, size_t size)
{
    for (uintptr_t at = align_up((uintptr_t)from, FAKE_PAGE); at < (uintptr_t)to; at += FAKE_PAGE)
        require(!os_has_memory((const void *)at), "%zu: malloc touched a page", size);
}

static void the_program_is_the_first_to_touch_memory(void)
{
    static const size_t sizes[] = {16, 48, 128, 1000, 1024, 2048, 4000, 4096, 8192, 9000, 40000};
    (void)start();
    for (unsigned i = 0; i < array_length(sizes); i++) {
        char *p = do_malloc(sizes[i]);
        const struct slab *s = slab_at(tagmap_get(p).record);
        const char *end = (const char *)slab_units_base(s) + s->units * (size_t)UNIT_SIZE;
        require_untouched(p, end, sizes[i]);
        for (unsigned n = s->capacity; n > 1; n--) {
            __builtin_memset(p, 1, s->stride); /* to the last byte, where neighbours begin in the same page */
            const char *written = p + s->stride;
            p = do_malloc(sizes[i]);
            require(p == written, "%zu: blocks come in order", sizes[i]);
            require_untouched(written, end, sizes[i]);
        }
    }
    require_whole();
}

static void memory_that_is_there_is_carved_in_steps(void)
{
    enum { COUNT = UNIT_SIZE / 64 };
    (void)start();
    for (unsigned i = 0; i < COUNT; i++) held[i] = do_malloc(64);
    for (unsigned i = 0; i < COUNT; i++) do_free(held[i]);
    heap_flush_bins(my_heap());
    heap_release_empty(my_heap());
    (void)do_malloc(80);
    require(bin_left(bin_of(class_of(80))) == CARVE_BYTES / 80 - 1);
    require_whole();
}

static void without_batches_a_refill_moves_one_block(void)
{
    (void)start();
    require(option_set(OPTION_batch_refill, 0));
    for (unsigned c = 1; c < SIZE_CLASS_COUNT; c++) {
        void *p = do_malloc(class_size(c));
        require(p && bin_left(bin_of(c)) == 0, "class %u: %u left", c, bin_left(bin_of(c)));
    }
}

/* ---- lists that were written to ---- */

static void malloc_all(void)
{
    for (unsigned i = 0; i < 15; i++) (void)do_malloc(SIZE);
}

static void a_head_lost_is_noticed(void)
{
    fill_bin();
    bin_of(size_class)->head = NULL;
    require_abort(corrupted_line(NULL), (void)do_malloc(SIZE));
}

static void a_link_cut_is_noticed(void)
{
    fill_bin();
    link_set(held[5], NULL);
    require_abort(corrupted_line(NULL), malloc_all());
}

static void free_into_no_room(void)
{
    uint64_t *budget = &bin_of(size_class)->budget;
    bin_account(my_heap(), size_class);
    *budget &= LEFT_MASK;
    class_record(size_class)->room_set = 0;
    do_free(held[15]);
}

static void a_list_without_a_count_is_noticed(void)
{
    fill_bin();
    void *head = bin_of(size_class)->head;
    bin_of(size_class)->budget &= ~(uint64_t)LEFT_MASK;
    require_abort(corrupted_line(head), free_into_no_room());
}

static void a_count_below_zero_is_noticed(void)
{
    fill_bin();
    link_set(held[0], held[9]); /* the last of the list leads back to the first */
    for (unsigned i = 0; i < 25; i++) require(do_malloc(SIZE) != NULL);
    require_abort("hakmem: corrupted free list: p=0x", free_into_no_room());
}

/* Past the frees that are examined. */
static void stop_examining(void)
{
    bin_account(my_heap(), size_class);
    class_record(size_class)->examined = EXAMINE_VISITS;
    bin_set(my_heap(), size_class, bin_of(size_class)->head, class_record(size_class)->left_set);
}

static void a_block_freed_twice_in_a_row_is_noticed(void)
{
    fill_bin();
    stop_examining();
    do_free(held[9]);
    for (unsigned i = 0; i < 25; i++) (void)do_malloc(SIZE);
    require_abort("hakmem: corrupted free list: p=0x", free_into_no_room());
}

/* With the report only, the blocks leak and the program goes on. */
static void a_reported_list_is_left_alone(void)
{
    fill_bin();
    require(option_set(OPTION_on_error, ON_ERROR_REPORT));
    bin_of(size_class)->head = NULL;
    char *p = do_malloc(SIZE);
    require_only_text(corrupted_line(NULL));
    require(p != NULL);
    memset(p, 1, SIZE);
    require_whole();
    for (unsigned i = 0; i < HELD; i++) held[i] = do_malloc(SIZE);
    for (unsigned i = 0; i < HELD; i++) do_free(held[i]);
    do_free(p);
    require_whole();
    require_only_text("");
}

/* ---- broken on purpose ---- */

static void require_seen(const char *text)
{
    char line[256];
    require_broken(heap_verify_bins(my_heap()), text);
    require(!hak_check());
    sprintf(line, "hakmem: check failed: %s\n", text);
    require_text(line);
}

static void verify_sees_a_list_longer_than_left(void)
{
    fill_bin();
    bin_of(size_class)->budget--;
    require_seen("heap I1: a bin's list is longer than left");
}

static void verify_sees_a_list_shorter_than_left(void)
{
    fill_bin();
    bin_of(size_class)->budget++;
    require_seen("heap I1: a bin's list is shorter than left");
}

static void verify_sees_a_cycle(void)
{
    fill_bin();
    link_set(held[0], held[9]);
    require_seen("heap I1: a bin's list is longer than left");
}

static void verify_sees_a_block_of_another_class(void)
{
    fill_bin();
    void *other = do_malloc(3 * SIZE);
    link_set(other, NULL);
    link_set(held[0], other);
    bin_of(size_class)->budget++;
    require_seen("heap I1: a bin holds what is no block of its class");
}

static void verify_sees_what_is_no_block(void)
{
    fill_bin();
    bin_of(size_class)->head = (char *)held[9] + 16;
    require_seen("heap I1: a bin holds what is no block of its class");
    bin_of(size_class)->head = held[9];
    require_whole();
}

static void checked_builds_stop_at_the_visit(void)
{
    fill_bin();
    slab_at(tagmap_get(held[0]).record)->used++;
    require_abort("hakmem: internal error: slab I1", free_into_no_room());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(counts_are_exact_after_any_calls),
        TEST(counts_are_exact_with_refills_of_one),
        TEST(counts_are_exact_when_memory_runs_out),
        TEST(another_thread_reads_exact_counts),
        TEST(a_failed_push_seen_by_a_reader_is_counted_once),
        TEST(every_thread_visits_after_a_bounded_number_of_calls),
        TEST(the_common_heap_counts_without_bins),
        TEST(a_refill_brings_used_blocks_of_own_slabs),
        TEST(the_program_is_the_first_to_touch_memory),
        TEST(memory_that_is_there_is_carved_in_steps),
        TEST(without_batches_a_refill_moves_one_block),
        TEST(a_head_lost_is_noticed),
        TEST(a_link_cut_is_noticed),
        TEST(a_list_without_a_count_is_noticed),
        TEST(a_count_below_zero_is_noticed),
        TEST(a_block_freed_twice_in_a_row_is_noticed),
        TEST(a_reported_list_is_left_alone),
        TEST(verify_sees_a_list_longer_than_left),
        TEST(verify_sees_a_list_shorter_than_left),
        TEST(verify_sees_a_cycle),
        TEST(verify_sees_a_block_of_another_class),
        TEST(verify_sees_what_is_no_block),
        TEST(checked_builds_stop_at_the_visit),
    };
    return run_unit_tests(tests);
}
