/* heap_test.c - bins and their budgets, the slabs of a heap, adopting and orphans. */
#include "unit.h"

enum { BLOCKS = 20000 };

static void *block[BLOCKS];

static void take(unsigned from, unsigned count, size_t size)
{
    for (unsigned i = from; i < from + count; i++) require((block[i] = hak_malloc(size)) != NULL);
}

static void give(unsigned from, unsigned count)
{
    for (unsigned i = from; i < from + count; i++) hak_free(block[i]);
}

/* Calls made, as the bins count them. */
static void require_counted(uint64_t mallocs, uint64_t frees)
{
    struct hak_stats stats;
    require(hak_stats(&stats) == 0);
    require(stats.mallocs == mallocs && stats.frees == frees, "%zu mallocs instead of %lu, %zu frees instead of %lu",
            stats.mallocs, mallocs, stats.frees, frees);
}

/* ---- budgets ---- */

static void counts_are_exact_after_any_sequence(void)
{
    uint64_t mallocs = 0, frees = 0, random = 12345;
    unsigned live = 0;
    for (int round = 0; round < 60; round++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        size_t size = random >> 33 & 0x3ff;
        unsigned count = 1 + (unsigned)(random >> 45) % 300;
        if (random >> 62 & 1 || live < count) {
            take(live, count, size);
            live += count;
            mallocs += count;
        } else {
            give(live - count, count);
            live -= count;
            frees += count;
        }
        if (live > BLOCKS - 1000) give(live - 1000, 1000), live -= 1000, frees += 1000;
        require_counted(mallocs, frees);
        require(mallocs - frees == live);
    }
    require_sound();
}

static void counts_are_exact_for_every_class(void)
{
    uint64_t calls = 0;
    for (unsigned class = 0; class < SIZE_CLASS_COUNT; class++) {
        unsigned count = 2 * class_capacity(class) < 700 ? 2 * class_capacity(class) : 700;
        take(0, count, class_size(class));
        give(0, count);
        calls += count;
        require_counted(calls, calls);
        struct heap_class *c = &my_heap()->class[class];
        require(c->mallocs == count && c->frees == count, "class %u: %lu mallocs, %lu frees", class, c->mallocs, c->frees);
    }
    require_sound();
}

/* Another thread looks between a push that found no room and its being undone. */
static void *look_in(void *argument)
{
    struct hak_stats stats;
    require(hak_stats(&stats) == 0);
    return argument;
}

static void a_failed_push_seen_by_another_is_not_counted(void)
{
    unsigned class = class_of(64), count = 0;
    take(0, 10000, 64);
    struct bin *bin = &heap_self->bin[class];
    while (bin->budget >> BIN_LEFT_BITS != 0) hak_free(block[count++]);
    require(!add_carries(&bin->budget, BIN_PUSH)); /* as front_free() does */
    in_thread(look_in, NULL);
    front_free_full(block[count++], bin_offset(class));
    require_counted(10000, count);
    give(count, 10000 - count);
    require_counted(10000, 10000);
    require_sound();
}

static void visits_come_after_a_bounded_number_of_calls(void)
{
    struct bin *bin = NULL;
    for (unsigned class = 0; class < SIZE_CLASS_COUNT; class++) {
        hak_free(hak_malloc(class_size(class)));
        bin = &heap_self->bin[class];
        require((bin->budget >> BIN_LEFT_BITS) + bin_left(bin) <= 2u * UINT16_MAX, "class %u", class);
    }
}

static void bins_are_last_in_first_out(void)
{
    take(0, 10, 100);
    for (unsigned i = 0; i < 10; i++) hak_free(block[i]);
    for (unsigned i = 10; i > 0; i--) require(hak_malloc(100) == block[i - 1]);
}

static void bins_keep_a_bounded_number_of_blocks(void)
{
    take(0, BLOCKS, 1000);
    give(0, BLOCKS);
    struct hak_stats stats;
    require(hak_stats(&stats) == 0);
    require(stats.cached <= (size_t)8 << 20, "%zu bytes cached", stats.cached);
    require_sound();
}

static void one_block_at_a_time_is_refilled_on_request(void)
{
    require(option_set(OPTION_batch_refill, 0));
    take(0, 100, 200);
    require(bin_left(&heap_self->bin[class_of(200)]) == 0);
    give(0, 100);
    require_sound();
}

static void a_flush_sends_everything_home(void)
{
    take(0, 5000, 100);
    give(0, 5000);
    struct heap *heap = my_heap();
    lock_acquire(&heap->lock);
    heap_flush_bins(heap);
    lock_release(&heap->lock);
    struct hak_stats stats;
    require(hak_stats(&stats) == 0 && stats.cached == 0 && stats.live == 0);
    require_sound();
}

/* ---- corrupted lists ---- */

static void a_block_freed_twice_is_reported_at_the_flush(void)
{
    require(option_set(OPTION_on_error, ON_ERROR_REPORT));
    take(0, 3, 5000);
    hak_free(block[0]);
    hak_free(block[1]);
    hak_free(block[0]);
    require(hak_check() == false);
    require_text("heap I1");
    (void)hak_purge();
    const char *seen = fake_take_printed();
    require(strstr(seen, "corrupted free list") || strstr(seen, "double free"), "printed: %s", seen);
    require(hak_malloc(5000)); /* and life goes on */
}

/* ---- slabs of a heap ---- */

static struct slab *slab_of_block(const void *p)
{
    return slab_at(tagmap_get(p).record);
}

static void slabs_move_between_the_lists(void)
{
    size_t size = 60000; /* few blocks a slab */
    require(option_set(OPTION_batch_refill, 0));
    uint32_t capacity = class_capacity(class_of(size));
    block[0] = hak_malloc(size);
    struct slab *s = slab_of_block(block[0]);
    require(s->place == SLAB_UNCARVED && s->used == 1);
    take(1, capacity - 1, size);
    require(s->place == SLAB_FULL && s->used == capacity && s->carved == capacity);
    struct heap *heap = my_heap();
    hak_free(block[0]);
    lock_acquire(&heap->lock);
    heap_flush_bins(heap);
    lock_release(&heap->lock);
    require(s->place == SLAB_PARTIAL && s->used == capacity - 1);
    require_sound();
}

static void one_empty_slab_of_a_class_stays(void)
{
    size_t size = 60000;
    unsigned class = class_of(size), capacity = class_capacity(class);
    take(0, 5 * capacity, size);
    give(0, 5 * capacity);
    struct heap *heap = my_heap();
    lock_acquire(&heap->lock);
    heap_flush_bins(heap);
    require(heap->class[class].empty == 1, "%u", heap->class[class].empty);
    heap_release_empty(heap);
    require(heap->class[class].empty == 0 && heap->reserve_count == 0);
    lock_release(&heap->lock);
    require(tag_offset(tagmap_get(block[0])) == TAG_FREE);
    require_sound();
}

static void retired_units_wait_in_the_reserve(void)
{
    unsigned capacity = class_capacity(class_of(1024));
    take(0, 12 * capacity, 1024);
    give(0, 12 * capacity);
    struct heap *heap = my_heap();
    lock_acquire(&heap->lock);
    heap_flush_bins(heap);
    require(heap->reserve_count > 0 && heap->reserve_count <= RESERVE_MAX, "%u", heap->reserve_count);
    lock_release(&heap->lock);
    uint32_t before = heap->reserve_count;
    require(hak_malloc(512) && heap->reserve_count == before - 1, "a slab of another class comes from it");
    require_sound();
}

static void every_power_of_two_of_slabs_can_be_had(void)
{
    void **first = NULL;
    for (unsigned count = 0; count < 5 * 2048; count++) { /* SuperSlabs, by eighths */
        void **p = hak_malloc(60000);
        require(p, "block %u", count);
        *p = first;
        first = p;
    }
    require_sound();
    for (void **next; first; first = next) {
        next = *first;
        hak_free(first);
    }
    require_sound();
}

/* ---- orphans ---- */

static void *fill_and_die(void *argument)
{
    take(0, 3000, 200);
    for (unsigned i = 0; i < 3000; i += 2) hak_free(block[i]);
    return argument;
}

static uint32_t slabs_of_common(unsigned class)
{
    uint32_t count = 0;
    for (unsigned place = SLAB_PARTIAL; place < SLAB_PLACES; place++) {
        struct list *head = &heap_common->class[class].slabs[place];
        for (struct list *i = list_first(head); i != head; i = i->next) count++;
    }
    return count;
}

static void slabs_of_the_dead_are_adopted(void)
{
    in_thread(fill_and_die, NULL);
    heap_dissolve_parked();
    unsigned class = class_of(200);
    uint32_t orphans = slabs_of_common(class);
    require(orphans > 5, "%u orphans", orphans);
    require_sound();
    struct arena_usage before, after;
    arena_usage(&before);
    for (unsigned i = 0; i < 1500; i++) require(hak_malloc(200));
    arena_usage(&after);
    require(slabs_of_common(class) < orphans);
    require(after.free_units >= before.free_units - 1, "no new slab while there are orphans");
    require_sound();
}

static void blocks_of_orphans_can_be_freed_by_anyone(void)
{
    in_thread(fill_and_die, NULL);
    heap_dissolve_parked();
    for (unsigned i = 1; i < 3000; i += 2) hak_free(block[i]);
    (void)hak_purge();
    require(slabs_of_common(class_of(200)) == 0, "empty orphans retire");
    struct hak_stats stats;
    require(hak_stats(&stats) == 0 && stats.live == 0 && stats.cached == 0);
    require_sound();
}

/* ---- broken on purpose ---- */

static void verify_sees_a_bin_with_a_wrong_count(void)
{
    hak_free(hak_malloc(100));
    struct bin *bin = &heap_self->bin[class_of(100)];
    bin->budget++;
    require_broken(heap_verify_bins(my_heap()), "heap I1");
    bin->budget -= 2;
    require_broken(heap_verify_bins(my_heap()), "heap I1");
    bin->budget++;
    require(!heap_verify_bins(my_heap()));
}

static void verify_sees_a_strange_block_in_a_bin(void)
{
    hak_free(hak_malloc(100));
    struct bin *bin = &heap_self->bin[class_of(100)];
    void *head = bin->head;
    void *strange[] = {(char *)head + 16, hak_malloc(3000), block};
    for (unsigned i = 0; i < array_length(strange); i++) {
        link_set(strange[i], link_get(head));
        bin->head = strange[i];
        require_broken(heap_verify_bins(my_heap()), "heap I1");
    }
}

static void verify_sees_a_slab_with_a_wrong_tag(void)
{
    void *p = hak_malloc(100);
    struct slab *s = slab_of_block(p);
    uintptr_t base = slab_units_base(s);
    tagmap_set(base, 1, heap_tag(HEAP_COMMON) | bin_offset(s->class), s->number);
    require_broken(heap_verify_slabs(my_heap()), "heap I2");
    tagmap_set(base, 1, (uint32_t)heap_self->tag | bin_offset(s->class + 1u), s->number);
    require_broken(heap_verify_slabs(my_heap()), "heap I2");
    tagmap_set(base, 1, (uint32_t)heap_self->tag | bin_offset(s->class), s->number + 1);
    require_broken(heap_verify_slabs(my_heap()), "heap I2");
}

static void verify_sees_a_slab_in_the_wrong_list(void)
{
    struct slab *s = slab_of_block(hak_malloc(100));
    struct heap_class *c = &my_heap()->class[s->class];
    list_remove(&s->link);
    list_push_front(&c->slabs[SLAB_FULL], &s->link);
    require_broken(heap_verify_slabs(my_heap()), "heap I2");
}

static void verify_sees_a_wrong_number_of_empty_slabs(void)
{
    my_heap();
    hak_free(hak_malloc(100));
    my_heap()->class[class_of(100)].empty++;
    require_broken(heap_verify_slabs(my_heap()), "heap I3");
    require(!hak_check());
    require_text("hakmem: check failed: heap I3");
}

static void verify_counters_sees_a_wrong_counter(void)
{
    void *p = hak_malloc(100);
    my_heap()->class[class_of(100)].mallocs += 3;
    require(!stats_verify_counters());
    require_text("counter differs: live blocks of class");
    my_heap()->class[class_of(100)].mallocs -= 3;
    hak_free(p);
    require(stats_verify_counters());
    require_text("counters ok");
}

static void a_visit_of_the_checked_build_aborts_on_a_broken_slab(void)
{
    void *p = hak_malloc(100);
    slab_of_block(p)->used++;
    require_abort("internal error: slab I1", for (int i = 0; i < 100000; i++) (void)hak_malloc(100));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(counts_are_exact_after_any_sequence),
        TEST(counts_are_exact_for_every_class),
        TEST(a_failed_push_seen_by_another_is_not_counted),
        TEST(visits_come_after_a_bounded_number_of_calls),
        TEST(bins_are_last_in_first_out),
        TEST(bins_keep_a_bounded_number_of_blocks),
        TEST(one_block_at_a_time_is_refilled_on_request),
        TEST(a_flush_sends_everything_home),
        TEST(a_block_freed_twice_is_reported_at_the_flush),
        TEST(slabs_move_between_the_lists),
        TEST(one_empty_slab_of_a_class_stays),
        TEST(retired_units_wait_in_the_reserve),
        TEST(every_power_of_two_of_slabs_can_be_had),
        TEST(slabs_of_the_dead_are_adopted),
        TEST(blocks_of_orphans_can_be_freed_by_anyone),
        TEST(verify_sees_a_bin_with_a_wrong_count),
        TEST(verify_sees_a_strange_block_in_a_bin),
        TEST(verify_sees_a_slab_with_a_wrong_tag),
        TEST(verify_sees_a_slab_in_the_wrong_list),
        TEST(verify_sees_a_wrong_number_of_empty_slabs),
        TEST(verify_counters_sees_a_wrong_counter),
        TEST(a_visit_of_the_checked_build_aborts_on_a_broken_slab),
    };
    return run_unit_tests(tests);
}
