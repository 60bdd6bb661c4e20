/* examine_test.c - what a free that visits looks for, and when frees visit. */
#include "bins.h"

static char *double_free_line(const void *p)
{
    static char line[128];
    sprintf(line, "hakmem: double free: p=0x%lx size=%u (see hakmem-errors(7))\n", (uintptr_t)p,
            class_stride(size_class));
    return line;
}

static void the_first_frees_visit_and_later_ones_hit(void)
{
    struct heap *heap = start();
    for (unsigned i = 0; i < HELD; i++) held[i] = do_malloc(SIZE);
    heap_flush_bins(heap);
    uint32_t visits = 0;
    for (unsigned i = 0; i < HELD; i++) {
        uint32_t before = heap->work;
        do_free(held[i]);
        visits += heap->work - before;
        require(visits >= (i < EXAMINE_EACH ? i + 1 : EXAMINE_EACH), "free %u: %u visits", i, visits);
        if (i == 400)
            require(class_record(size_class)->examined >= EXAMINE_VISITS - 1 && visits <= 12, "%u visits", visits);
    }
    require(class_record(size_class)->examined == EXAMINE_VISITS);
    require_whole();
}

static void free_examined(void *p)
{
    class_record(size_class)->examined = 0;
    bin_account(my_heap(), size_class);
    bin_set(my_heap(), size_class, bin_of(size_class)->head, class_record(size_class)->left_set);
    do_free(p);
}

static void a_examined_free_of_what_is_in_the_bin_is_reported(void)
{
    for (volatile unsigned i = 9; i > 9 - EXAMINE_BLOCKS; i--) {
        int status = 0;
        pid_t child = fork();
        if (child == 0) {
            fill_bin();
            require_abort(double_free_line(held[i]), free_examined(held[i]));
            _exit(0);
        }
        require(waitpid(child, &status, 0) == child && status == 0, "block %u: status %x", i, status);
    }
}

static void a_examined_free_of_what_is_no_block_is_reported(void)
{
    char line[128];
    fill_bin();
    char *p = held[15];
    sprintf(line, "hakmem: invalid pointer: p=0x%lx size=%u (see hakmem-errors(7))\n", (uintptr_t)(p + 16),
            class_stride(size_class));
    require_abort(line, free_examined(p + 16));
}

static void a_examined_free_sees_a_ring(void)
{
    fill_bin();
    link_set(held[8], held[9]); /* the first two */
    require_abort("hakmem: corrupted free list: p=0x", free_examined(held[15]));
}

static void a_examined_free_sees_a_wrong_link(void)
{
    fill_bin();
    link_set(held[7], (void *)0x5a5a5a5a5a5a5a5a);
    require_abort(corrupted_line((void *)0x5a5a5a5a5a5a5a5a), free_examined(held[15]));
}

static void a_reported_double_free_changes_nothing(void)
{
    fill_bin();
    require(option_set(OPTION_on_error, ON_ERROR_REPORT));
    bin_account(my_heap(), size_class);
    uint64_t before = class_record(size_class)->frees;
    free_examined(held[9]);
    require_only_text(double_free_line(held[9]));
    bin_account(my_heap(), size_class);
    require(class_record(size_class)->frees == before && bin_left(bin_of(size_class)) == 10, "%lu frees",
            class_record(size_class)->frees - before);
    require_whole();
    for (unsigned i = 10; i < 20; i++) do_free(held[i]);
    require_sound();
}

static void with_failfast_no_bin_keeps_anything(void)
{
    require(option_set(OPTION_failfast, 1));
    (void)start();
    for (unsigned i = 0; i < 20; i++) held[i] = do_malloc(SIZE);
    for (unsigned i = 0; i < 20; i++) {
        do_free(held[i]);
        require(!bin_of(size_class)->head && bin_left(bin_of(size_class)) == 0, "free %u", i);
    }
    require_abort(double_free_line(held[3]), do_free(held[3]));
}

static void write_to_a_freed_block(void)
{
    require(option_set(OPTION_failfast, 1));
    (void)start();
    for (unsigned i = 0; i < 20; i++) held[i] = do_malloc(SIZE);
    for (unsigned i = 0; i < 10; i++) do_free(held[i]);
    ((char *)held[4])[SIZE / 2] = 1;
}

static void with_failfast_a_write_to_a_freed_block_is_noticed(void)
{
    write_to_a_freed_block();
    require_abort(corrupted_line(held[4]), (void)do_malloc(SIZE));
}

/* It is said once. */
static void a_block_that_was_written_to_is_left_alone(void)
{
    write_to_a_freed_block();
    require(option_set(OPTION_on_error, ON_ERROR_REPORT));
    for (unsigned i = 0; i < 30; i++) require(do_malloc(SIZE) != held[4], "malloc %u", i);
    require_only_text(corrupted_line(held[4]));
    require_whole();
}

/* A block that comes home for the second time is seen there, and the others are none the worse. */
static void a_block_that_is_home_is_not_taken_again(void)
{
    (void)start();
    for (unsigned i = 0; i < 20; i++) held[i] = do_malloc(SIZE);
    heap_flush_bins(my_heap());
    struct slab *s = slab_at(tagmap_get(held[0]).record);
    require(s->used == 20);
    for (volatile unsigned i = 0; i < 19; i++) {
        heap_give(my_heap(), s, slab_index(s, held[i]));
        require_abort(double_free_line(held[i]), heap_give(my_heap(), s, slab_index(s, held[i])));
        require_abort(double_free_line(held[i]), heap_give_one(my_heap(), s, slab_index(s, held[i])));
    }
    require(s->used == 1);
    require_whole();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_frees_visit_and_later_ones_hit),
        TEST(a_examined_free_of_what_is_in_the_bin_is_reported),
        TEST(a_examined_free_of_what_is_no_block_is_reported),
        TEST(a_examined_free_sees_a_ring),
        TEST(a_examined_free_sees_a_wrong_link),
        TEST(a_reported_double_free_changes_nothing),
        TEST(with_failfast_no_bin_keeps_anything),
        TEST(with_failfast_a_write_to_a_freed_block_is_noticed),
        TEST(a_block_that_was_written_to_is_left_alone),
        TEST(a_block_that_is_home_is_not_taken_again),
    };
    return run_unit_tests(tests);
}
