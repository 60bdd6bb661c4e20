/* arrival_test.c - what an owner does with the chains that arrive: on top of its bins, into slabs, on to others. With
 * chains that were overwritten: arrival_corruption_test.c.
 */
#include "arrivals.h"

static struct bin *bin_for(unsigned class)
{
    return &owner->front.bin[class];
}

/* ---- on top of the bin ---- */

static void a_chain_arrives_on_top_of_the_bin(void)
{
    unsigned class = class_of(64);
    start_with_capacity(class, 100);
    take_many(class, 42);
    send(10);
    drain_as(owner);
    void *under = bin_for(class)->head;
    for (unsigned i = 10; i < 42; i++) outbox(held[i]); /* a whole chain */
    outbox_post_all(me);
    struct slab before = *slab_holding(held[0]);
    drain_as(owner);
    require(memcmp(&before, slab_holding(held[0]), sizeof(before)) == 0, "the slab was touched");
    require(bin_left(bin_for(class)) == 42 && bin_for(class)->head == held[41]);
    require(link_get(held[10]) == under, "the chain is not on top");
    require_held(class, 0);
    require_sound();
}

/* Links inside a chain are those of the bin: nothing but its last block is written, or read. */
static void only_the_last_block_is_touched(void)
{
    unsigned class = class_of(1000);
    start_with_capacity(class, 100);
    take_many(class, 9);
    for (unsigned i = 0; i < 9; i++) memset(held[i], 0x77, 1000);
    send(8);
    static char copy[9][1000];
    for (unsigned i = 0; i < 9; i++) memcpy(copy[i], held[i], 1000);
    drain_as(owner);
    for (unsigned i = 1; i < 9; i++) require(memcmp(copy[i], held[i], 1000) == 0, "block %u", i);
    require(memcmp(copy[0] + 16, (char *)held[0] + 16, 984) == 0);
    require(bin_left(bin_for(class)) == 8);
    require_held(class, 1);
}

static void blocks_of_every_class_serve_the_next_mallocs(void)
{
    start();
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        owner->class[class].capacity = 8;
        take_many(class, 10);
        send(10);
        drain_as(owner);
        require(bin_left(bin_for(class)) == 10, "class %u: %u", class, bin_left(bin_for(class)));
        uint64_t mallocs = owner->class[class].mallocs;
        be(owner);
        for (unsigned i = 0; i < 10; i++) {
            void *p = front_pop(bin_for(class));
            unsigned k = 0;
            while (k < 10 && held[k] != p) k++;
            require(k < 10, "class %u: not one of those", class);
            held[k] = NULL;
        }
        be(me);
        require_held(class, 10);
        require_sound();
        require(owner->class[class].mallocs == mallocs + 10 && owner->class[class].frees == 0, "class %u", class);
        require(owner->class[class].arrived == 10);
    }
}

static void an_overfull_bin_sends_the_rest_home(void)
{
    unsigned class = class_of(64);
    unsigned limit = ARRIVAL_BLOCKS_MAX;
    start_with_capacity(class, 100);
    take_many(class, limit + 1000);
    send(limit + 1000);
    drain_as(owner);
    unsigned left = bin_left(bin_for(class));
    require(left <= limit && left > limit - CHAIN_BLOCKS_MAX, "%u", left);
    require(used_of(owner, class) == left && !inbox_has_mail(owner));
    require(owner->class[class].arrived == limit + 1000);
    require_home();
}

static void arrivals_are_bounded_in_bytes_or_by_the_capacity(void)
{
    start();
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        struct heap_class c = {.capacity = 8};
        uint32_t limit = arrival_limit(&c, class);
        require(limit == 16 || limit * class_stride(class) <= ARRIVAL_BYTES_MAX, "class %u: %u", class, limit);
        require(limit >= 16 && limit <= ARRIVAL_BLOCKS_MAX && ARRIVAL_BLOCKS_MAX + GROWN_MAX < LEFT_MAX);
        c.capacity = GROWN_MAX;
        require(arrival_limit(&c, class) >= 2 * GROWN_MAX);
        c.capacity = 0;
        require(arrival_limit(&c, class) == 0, "class %u", class);
    }
}

static void a_bin_that_nobody_uses_takes_nothing(void)
{
    start();
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        take_many(class, 10);
        send(10);
        drain_as(owner);
        require(bin_left(bin_for(class)) == 0 && used_of(owner, class) == 0, "class %u", class);
    }
    require_home();
}

static void who_drains_for_another_leaves_its_bins_alone(void)
{
    unsigned class = class_of(64);
    start_with_capacity(class, 100);
    take_many(class, 50);
    send(50);
    drain(owner);
    require(bin_left(bin_for(class)) == 0 && used_of(owner, class) == 0);
    require_home();
    take_many(class, 50);
    send(50);
    heap_self = &heap_exited; /* its own thread, at the end */
    drain(owner);
    be(me);
    require(bin_left(bin_for(class)) == 0 && used_of(owner, class) == 0);
    require_home();
}

/* A refill, arrivals, and frees without a visit in between: 16 bits are enough, and nobody takes it for damage. */
static void the_fullest_bin_is_not_distrusted(void)
{
    unsigned class = class_of(8);
    start_with_capacity(class, GROWN_MAX);
    be(owner);
    void *p = do_malloc(8);
    do_free(do_malloc(8)); /* comes with others, as the first of a slab does not */
    bin_account(owner, class);
    bin_flush(owner, class, 0);
    require(bin_for(class)->budget >> BIN_LEFT_BITS == GROWN_MAX);
    be(me);
    take_many(class, ARRIVAL_BLOCKS_MAX + GROWN_MAX);
    send(ARRIVAL_BLOCKS_MAX);
    drain_as(owner);
    require(bin_left(bin_for(class)) == ARRIVAL_BLOCKS_MAX);
    be(owner);
    for (unsigned i = ARRIVAL_BLOCKS_MAX; i < ARRIVAL_BLOCKS_MAX + GROWN_MAX; i++) {
        do_free(held[i]);
        require(bin_left(bin_for(class)) == i + 1 && i < LEFT_MAX, "%u", i);
    }
    (void)fake_take_printed();
    do_free(p);
    require_only_text("");
    be(me);
    require_home();
}

static void arrivals_stop_at_the_room_that_is_left(void)
{
    unsigned class = class_of(32768);
    start_with_capacity(class, 20);
    for (unsigned round = 0; round < 10; round++) {
        take_many(class, 15);
        send(15);
        drain_as(owner);
        require(bin_left(bin_for(class)) <= 64, "%u", bin_left(bin_for(class)));
        require_held(class, 0);
    }
    require(bin_left(bin_for(class)) >= 49);
    require_home();
}

/* ---- slabs that found other owners meanwhile ---- */

/* The owner's bin gets blocks of a slab that `third` has adopted while they were on their way. */
static struct heap *adopted_on_the_way(unsigned class, void **adopted)
{
    start_with_capacity(class, 50);
    struct heap *third = make_heap();
    take_many(class, 20);
    send(20);
    heap_orphan_slabs(owner);
    *adopted = take(third, class);
    require(slab_holding(*adopted) == slab_holding(held[0]));
    drain_as(owner);
    require(bin_left(bin_for(class)) == 20 && used_of(third, class) == 21);
    require_held(class, 1);
    require_sound();
    return third;
}

static void another_heaps_block_in_a_bin_is_used_and_freed(void)
{
    unsigned class = class_of(80);
    void *adopted;
    struct heap *third = adopted_on_the_way(class, &adopted);
    be(owner);
    void *p = do_malloc(80);
    require(p == held[19] && tag_owner(tagmap_get(p)) == third->front.id);
    memset(p, 1, 80);
    do_free(p);
    require(owner->class[class].remote_frees == 1 && mail_of(owner, class) == 1);
    be(me);
    require_held(class, 1);
    outbox_post_all(owner);
    drain(third);
    require(used_of(third, class) == 20);
    require_held(class, 1);
    require_sound();
}

static void another_heaps_blocks_are_returned_by_a_flush(void)
{
    unsigned class = class_of(80);
    void *adopted;
    struct heap *third = adopted_on_the_way(class, &adopted);
    lock_acquire(&owner->lock);
    heap_flush_bins(owner);
    lock_release(&owner->lock);
    require(owner->class[class].returned == 20 && mail_of(owner, class) == 20 && bin_left(bin_for(class)) == 0);
    require_held(class, 1);
    outbox_post_all(owner);
    require(inbox_of(third, class) == 20);
    drain(third);
    require(used_of(third, class) == 1 && slab_holding(adopted)->used == 1);
    require_held(class, 1);
    require_sound();
}

static void orphans_blocks_are_returned_by_a_flush(void)
{
    start();
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        owner->class[class].capacity = 16;
        take_many(class, 10);
        send(10);
        drain_as(owner);
        heap_orphan_slabs(owner);
        require(bin_left(bin_for(class)) == 10 && used_of(heap_common, class) == 10, "class %u", class);
        heap_flush_bins(owner);
        outbox_post_all(owner);
        require(walk_class(class).used == 0, "class %u", class);
    }
    require_home();
}

/* ---- when it is drained ---- */

static void *free_held(void *argument)
{
    unsigned count = *(unsigned *)argument;
    do_free(do_malloc(1)); /* or the first would go to their slabs */
    for (unsigned i = 0; i < count; i++) do_free(held[i]);
    return NULL;
}

static void a_visit_drains_into_all_bins(void)
{
    unsigned count = 200;
    start();
    for (unsigned i = 0; i < count; i++) held[i] = do_malloc(64);
    in_thread(free_held, &count);
    require(inbox_has_mail(me));
    do_free(do_malloc(50000)); /* a class never used */
    require(!inbox_has_mail(me) && bin_left(&me->front.bin[class_of(64)]) >= count);
    require_home();
}

static void a_raised_epoch_leaves_nothing_of_what_arrived_in_bins(void)
{
    unsigned count = 200;
    start();
    for (unsigned i = 0; i < count; i++) held[i] = do_malloc(64);
    in_thread(free_held, &count);
    cache_epoch++;
    do_free(do_malloc(50000));
    require(!inbox_has_mail(me) && used_of(me, class_of(64)) == 0, "%lu", used_of(me, class_of(64)));
    require_home();
}

static void without_drain_mail_waits_until_memory_is_out(void)
{
    unsigned count = 200;
    start();
    require(option_set(OPTION_drain, 0));
    for (unsigned i = 0; i < count; i++) held[i] = do_malloc(64);
    in_thread(free_held, &count);
    for (unsigned i = 0; i < 5000; i++) do_free(do_malloc(i));
    require(inbox_has_mail(me));
    fake_fail(FAKE_RESERVE, 1, FAKE_FOR_GOOD);
    fake_fail(FAKE_COMMIT, 1, FAKE_FOR_GOOD);
    struct span span;
    while (arena_take(1, false, &span)) continue;
    unsigned got = 0;
    while (do_malloc(64)) got++;
    require(got >= count, "%u", got);
    require(!inbox_has_mail(me));
}

/* Mail that comes while memory is out, in the middle of a visit: what arrives in the bin that is to be filled stays
 * there, though slabs that it empties would serve. */
static void what_arrives_while_memory_is_out_is_kept(void)
{
    enum { COUNT = 200, LARGE = 1024, LARGE_COUNT = 4 * UNIT_SIZE / LARGE };
    unsigned class = class_of(64);
    static void *large[LARGE_COUNT];
    struct span span;
    start_with_capacity(class, COUNT);
    require(option_set(OPTION_drain, 0));
    take_many(class, COUNT);
    for (unsigned i = 0; i < LARGE_COUNT; i++) large[i] = take(owner, class_of(LARGE));
    fake_fail(FAKE_RESERVE, 1, FAKE_FOR_GOOD);
    fake_fail(FAKE_COMMIT, 1, FAKE_FOR_GOOD);
    while (arena_take(1, false, &span)) continue;
    for (struct chain chain; (chain = heap_take(owner, class, 1000)).count > 0;)
        owner->class[class].mallocs += chain.count;
    for (unsigned i = 0; i < LARGE_COUNT; i++) outbox(large[i]);
    send(COUNT);
    be(owner);
    require(do_malloc(64) != NULL);
    require(bin_left(&owner->front.bin[class]) == COUNT - 1, "%u are left", bin_left(&owner->front.bin[class]));
    require(owner->class[class].arrived == COUNT && heap_verify_bins(owner) == NULL);
}

/* A bin can be filled by mail and emptied by hits for long before anybody looks at it. */
static void arrivals_are_counted_however_many_come_between_two_visits(void)
{
    unsigned count = 20000;
    start();
    for (unsigned i = 0; i < count; i++) held[i] = do_malloc(16);
    for (unsigned round = 0; round < 5; round++) {
        in_thread(free_held, &count);
        drain(me);
        for (unsigned i = 0; i < count; i++) held[i] = do_malloc(16);
    }
    require_sound();
    (void)free_held(&count);
    require_home();
}

/* HAKMEM_LOG names each step, and how many blocks it moved. */
static void steps_can_be_logged(void)
{
    unsigned count = 200;
    char line[100];
    start();
    (void)fake_take_printed();
    require(option_set(OPTION_log, 1));
    for (unsigned i = 0; i < count; i++) held[i] = do_malloc(64);
    snprintf(line, sizeof line, "hakmem: log: heap %u, blocks of 64 bytes: refilled by ", me->front.id);
    require(strstr(fake_take_printed(), line) != NULL);
    in_thread(free_held, &count);
    (void)fake_take_printed();
    drain(me);
    const char *lines = fake_take_printed();
    unsigned long sum = 0;
    for (const char *at = lines; (at = strstr(at, ": drained ")) != NULL; at++) sum += strtoul(at + 10, NULL, 10);
    require(sum == count, "%lu drained: %s", sum, lines);
    cache_epoch++;
    do_free(do_malloc(50000));
    require(strstr(fake_take_printed(), "blocks of 64 bytes: flushed ") != NULL);
    require(option_set(OPTION_log, 0));
    do_free(do_malloc(3000));
    require_only_text("");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_chain_arrives_on_top_of_the_bin),
        TEST(only_the_last_block_is_touched),
        TEST(blocks_of_every_class_serve_the_next_mallocs),
        TEST(an_overfull_bin_sends_the_rest_home),
        TEST(arrivals_are_bounded_in_bytes_or_by_the_capacity),
        TEST(a_bin_that_nobody_uses_takes_nothing),
        TEST(who_drains_for_another_leaves_its_bins_alone),
        TEST(the_fullest_bin_is_not_distrusted),
        TEST(arrivals_stop_at_the_room_that_is_left),
        TEST(another_heaps_block_in_a_bin_is_used_and_freed),
        TEST(another_heaps_blocks_are_returned_by_a_flush),
        TEST(orphans_blocks_are_returned_by_a_flush),
        TEST(a_visit_drains_into_all_bins),
        TEST(a_raised_epoch_leaves_nothing_of_what_arrived_in_bins),
        TEST(without_drain_mail_waits_until_memory_is_out),
        TEST(what_arrives_while_memory_is_out_is_kept),
        TEST(steps_can_be_logged),
        TEST(arrivals_are_counted_however_many_come_between_two_visits),
    };
    return run_unit_tests(tests);
}
