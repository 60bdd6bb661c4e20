/* bin_flush_test.c - which blocks a bin keeps and which go back to their slabs, capacities, and lists that do not end
 * where they should. */
#include "bins.h"

static void a_flushed_bin_is_empty_and_its_blocks_are_home(void)
{
    (void)start();
    for (unsigned i = 0; i < HELD; i++) held[i] = do_malloc(i % 200);
    for (unsigned i = 0; i < HELD; i++) do_free(held[i]);
    heap_flush_bins(my_heap());
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        require(!bin_of(c)->head && bin_left(bin_of(c)) == 0, "class %u", c);
        for (unsigned place = SLAB_PARTIAL; place < SLAB_PLACES; place++) {
            struct list *head = &class_record(c)->slabs[place];
            for (struct list *l = list_first(head); l != head; l = l->next)
                require(container_of(l, struct slab, link)->used == 0, "class %u", c);
        }
    }
    require_sound();
}

static void a_flush_keeps_the_warm_blocks(void)
{
    (void)start();
    unsigned class = class_of(64);
    for (unsigned i = 0; i < 40; i++) held[i] = do_malloc(64);
    heap_flush_bins(my_heap());
    for (unsigned i = 0; i < 40; i++) do_free(held[i]);
    bin_account(my_heap(), class);
    bin_flush(my_heap(), class, 10);
    require(bin_left(bin_of(class)) == 10 && list_length(bin_of(class)) == 10);
    for (unsigned i = 0; i < 10; i++) require(do_malloc(64) == held[39 - i], "block %u", i);
    require_whole();
}

/* Forty blocks in the bin: the last of held[0 ... 39] comes first. */
static void fill_with_forty(void)
{
    (void)start();
    for (unsigned i = 0; i < 40; i++) held[i] = do_malloc(SIZE);
    heap_flush_bins(my_heap());
    for (unsigned i = 0; i < 40; i++) do_free(held[i]);
    bin_account(my_heap(), size_class);
}

static void a_flush_below_the_top_keeps_both_ends(void)
{
    fill_with_forty();
    bin_flush_below(my_heap(), size_class, 4, 10);
    require(bin_left(bin_of(size_class)) == 10 && list_length(bin_of(size_class)) == 10);
    for (unsigned i = 0; i < 4; i++) require(do_malloc(SIZE) == held[39 - i], "block %u", i);
    for (unsigned i = 0; i < 6; i++) require(do_malloc(SIZE) == held[5 - i], "block %u", i);
    require_whole();
}

static void an_overflow_keeps_what_came_first_and_last(void)
{
    (void)start();
    for (unsigned i = 0; i < HELD; i++) held[i] = do_malloc(SIZE);
    do_free(held[0]);
    unsigned last = 0;
    uint32_t before = 0;
    while (bin_left(bin_of(size_class)) > before) {
        before = bin_left(bin_of(size_class));
        require(++last < HELD);
        do_free(held[last]);
    }
    require(before > 200, "%u", before);
    uint32_t count = 0;
    const void *end = NULL;
    for (const void *b = bin_of(size_class)->head; b; b = link_get(b)) {
        if (count <= KEPT_ON_TOP) require(b == held[last - count], "block %u", count);
        count++;
        end = b;
    }
    require(count < before && end != held[last - count + 1], "the end stayed");
    require_whole();
}

/* A checked build counts the blocks of a bin at each visit. */
enum { MANY = SANITIZED ? HELD / 3 : HELD };

static void a_bin_holds_no_more_than_its_largest_capacity_and_half(void)
{
    (void)start();
    for (unsigned c = 0; c < SIZE_CLASS_COUNT; c += 3) {
        unsigned count = c < 30 ? MANY : 200;
        uint32_t largest = 0;
        for (unsigned i = 0; i < count; i++) held[i] = do_malloc(class_size(c));
        for (unsigned i = 0; i < count; i++) {
            do_free(held[i]);
            uint32_t capacity = class_record(c)->capacity;
            if (capacity > largest) largest = capacity;
            require(bin_left(bin_of(c)) <= largest + largest / 2 + 1, "class %u: %u left", c, bin_left(bin_of(c)));
        }
        require_whole();
    }
}

/* Each flush looks through all of the bin there: so there are few. */
static void a_program_that_goes_on_after_errors_flushes_at_once(void)
{
    option_set(OPTION_on_error, ON_ERROR_REPORT);
    (void)start();
    for (unsigned i = 0; i < HELD; i++) held[i] = do_malloc(SIZE);
    do_free(held[0]);
    uint32_t before = 0;
    for (unsigned i = 1; bin_left(bin_of(size_class)) > before; i++) {
        before = bin_left(bin_of(size_class));
        require(i < HELD);
        do_free(held[i]);
    }
    uint32_t left = bin_left(bin_of(size_class));
    require(before > 200 && left <= before / 2 + 1, "%u became %u", before, left);
    require_whole();
}

/* The bin is at its largest, is torn down, and then may hold little at once. */
static void a_surplus_goes_a_few_blocks_at_a_time(void)
{
    (void)start();
    const struct heap_class *c = class_record(size_class);
    bin_bound(0); /* its first capacity is its largest */
    for (unsigned i = 0; i < HELD; i++) held[i] = do_malloc(SIZE);
    unsigned i = 0;
    uint32_t before = bin_left(bin_of(size_class));
    for (; i < HELD && (i == 0 || c->capacity > CAPACITY_VAIN); i++) {
        do_free(held[i]);
        uint32_t left = bin_left(bin_of(size_class));
        require(left + OVERFLOW_BLOCKS > before, "%u became %u", before, left);
        before = left;
    }
    require(c->capacity == CAPACITY_VAIN && before > 4 * OVERFLOW_BLOCKS, "%u of %u frees, %u left", i, HELD, before);
    for (uint32_t frees = before; frees > 0; frees--) {
        require(i < HELD);
        do_free(held[i++]);
    }
    require(bin_left(bin_of(size_class)) <= CAPACITY_VAIN + OVERFLOW_EVERY, "%u left", bin_left(bin_of(size_class)));
    require_whole();
}

static void a_bin_that_is_too_small_grows_within_bounds(void)
{
    (void)start();
    for (unsigned c = 0; c < SIZE_CLASS_COUNT; c += 8) {
        unsigned count = c < 30 ? MANY : 300;
        do_free(do_malloc(class_size(c)));
        uint32_t first = class_record(c)->capacity;
        for (unsigned round = 0; round < 6; round++) {
            for (unsigned i = 0; i < count; i++) held[i] = do_malloc(class_size(c));
            for (unsigned i = 0; i < count; i++) do_free(held[i]);
        }
        uint32_t capacity = class_record(c)->capacity;
        require(capacity >= first, "class %u", c);
        require(capacity > first || first * 2 > count, "class %u stays at %u", c, capacity);
        require(capacity <= GROWN_MAX, "class %u: %u", c, capacity);
        uint64_t bytes = capacity * (uint64_t)class_stride(c);
        require(capacity <= GROWN_MIN || bytes <= GROWN_BYTES, "class %u: %u", c, capacity);
    }
}

static void an_epoch_makes_the_next_visit_flush(void)
{
    struct heap *heap = start();
    for (unsigned i = 0; i < 30; i++) held[i] = do_malloc(64);
    for (unsigned i = 0; i < 30; i++) do_free(held[i]);
    add_relaxed(&cache_epoch, 1);
    void *p = do_malloc(30000); /* a class never used: a visit */
    require(heap->epoch == cache_epoch);
    require(bin_left(bin_of(class_of(64))) == 0 && heap->reserve_count == 0);
    do_free(p);
    require_sound();
}

/* ---- lists that were written to ---- */

static void flush_all(void)
{
    heap_flush_bins(my_heap());
}

static void a_flush_notices_a_short_list(void)
{
    fill_bin();
    link_set(held[3], NULL);
    require_abort(corrupted_line(NULL), flush_all());
}

static void a_flush_notices_a_long_list(void)
{
    fill_bin();
    bin_of(size_class)->budget -= 4;
    require_abort(corrupted_line(held[3]), flush_all());
}

static void a_flush_notices_a_link_to_what_is_no_block(void)
{
    static int local;
    fill_bin();
    void *other = do_malloc(3 * SIZE);
    void *const targets[] = {&local, (char *)held[2] + 16, (char *)held[2] + 1, other, (void *)16};
    for (volatile unsigned i = 0; i < array_length(targets); i++) {
        int status = 0;
        pid_t child = fork();
        if (child == 0) {
            link_set(held[5], targets[i]);
            require_abort(corrupted_line(targets[i]), flush_all());
            _exit(0);
        }
        require(waitpid(child, &status, 0) == child && status == 0, "target %u: status %x", i, status);
    }
}

static void a_partial_flush_notices_a_short_list(void)
{
    fill_bin();
    link_set(held[7], NULL);
    bin_account(my_heap(), size_class);
    require_abort(corrupted_line(NULL), bin_flush(my_heap(), size_class, 2));
}

static void a_flush_below_the_top_notices_a_list_that_ends_there(void)
{
    fill_with_forty();
    link_set(held[20], NULL);
    require_abort(corrupted_line(NULL), bin_flush_below(my_heap(), size_class, 4, 10));
}

static void a_flush_below_the_top_notices_that_nothing_lies_behind(void)
{
    fill_with_forty();
    link_set(held[6], NULL); /* the last that is to be flushed */
    require_abort(corrupted_line(NULL), bin_flush_below(my_heap(), size_class, 4, 10));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_flushed_bin_is_empty_and_its_blocks_are_home),
        TEST(a_flush_keeps_the_warm_blocks),
        TEST(a_flush_below_the_top_keeps_both_ends),
        TEST(an_overflow_keeps_what_came_first_and_last),
        TEST(a_bin_holds_no_more_than_its_largest_capacity_and_half),
        TEST(a_program_that_goes_on_after_errors_flushes_at_once),
        TEST(a_surplus_goes_a_few_blocks_at_a_time),
        TEST(a_bin_that_is_too_small_grows_within_bounds),
        TEST(an_epoch_makes_the_next_visit_flush),
        TEST(a_flush_notices_a_short_list),
        TEST(a_flush_notices_a_long_list),
        TEST(a_flush_notices_a_link_to_what_is_no_block),
        TEST(a_partial_flush_notices_a_short_list),
        TEST(a_flush_below_the_top_notices_a_list_that_ends_there),
        TEST(a_flush_below_the_top_notices_that_nothing_lies_behind),
    };
    return run_unit_tests(tests);
}
