/* sparse_pass_test.c - which classes are swept, when and by whom; and how much at a step. */
#include "unit.h"

#include <semaphore.h>

enum { SIZE = 64, BLOCKS = 3 * 16 * UNIT_SIZE / SIZE, EVERY = 701, HELD = 4 * UNIT_SIZE / SIZE, MOST = BLOCKS / 5 * 4 * SIZE };

static void *block[BLOCKS];

static size_t absent_bytes(void)
{
    static struct stats stats;
    stats_collect(&stats);
    return stats.absent_bytes;
}

/* 3 MiB of small blocks, of which nearly all are free. */
static void *make_sparse(void *unused)
{
    for (unsigned i = 0; i < BLOCKS; i++) block[i] = do_malloc(SIZE);
    for (unsigned i = 0; i < BLOCKS; i++)
        if (i % EVERY != 0) do_free(block[i]);
    while (reclaim_poll()) continue; /* what these calls have begun */
    return unused;
}

static struct heap_class *my_class(void)
{
    return &my_heap()->class[class_of(SIZE)];
}

/* Half of purge_delay passes, and somebody calls often enough. Returns how many steps were taken. */
static unsigned tick(void)
{
    unsigned steps = 1;
    fake.now_ms += 500;
    while (reclaim_poll()) steps++;
    return steps;
}

/* Ticks until memory goes back, at most `most`. */
static unsigned ticks_until_swept(unsigned most)
{
    size_t before = absent_bytes();
    for (unsigned ticks = 1; ticks <= most; ticks++) {
        tick();
        if (absent_bytes() > before) return ticks;
    }
    return 0;
}

static void *held[HELD];

/* Full slabs, for the time being. */
static void hold(void)
{
    for (unsigned i = 0; i < HELD; i++) held[i] = do_malloc(SIZE);
}

static void let_go(void)
{
    for (unsigned i = 0; i < HELD; i++)
        if (i % EVERY != 0) do_free(held[i]);
    heap_flush_bins(my_heap());
}

static void an_idle_class_is_swept(void)
{
    make_sparse(NULL);
    tick(); /* sees how many calls there were */
    require(absent_bytes() == 0);
    tick();
    require(absent_bytes() > MOST, "%zu", absent_bytes());
    require_sound();
}

static void a_class_in_use_is_left_alone(void)
{
    make_sparse(NULL);
    void *p = do_malloc(SIZE);
    for (unsigned i = 0; i < 10; i++) {
        tick();
        if (i % 2) do_free(p);
        else p = do_malloc(SIZE); /* hits: no visit tells of them */
    }
    require(my_class()->idle == 0);
    require(absent_bytes() == 0 || slab_at(tagmap_get(p).record)->absent == 0);
    size_t others = absent_bytes();
    require(others < 1 << 20, "%zu", others); /* of classes that were idle */
    tick();
    tick();
    require(absent_bytes() > MOST);
}

static void what_was_swept_is_not_looked_at_again(void)
{
    make_sparse(NULL);
    tick();
    tick();
    tick();
    require(sparse_is_quiet());
    uint64_t calls = fake.calls[FAKE_PURGE];
    require(my_class()->idle == IDLE_SWEPT);
    for (unsigned i = 0; i < 200; i++) tick();
    require(fake.calls[FAKE_PURGE] == calls && sparse_is_quiet());
    do_free(block[EVERY]);
    tick();
    require(!sparse_is_quiet() && my_class()->idle == 0);
    tick();
    tick();
    require(sparse_is_quiet());
}

static void later_frees_are_swept_later(void)
{
    hold();
    make_sparse(NULL);
    tick();
    tick();
    size_t before = absent_bytes();
    let_go();
    require(ticks_until_swept(2) == 2 && absent_bytes() > before + UNIT_SIZE);
    require_sound();
}

static void take_back(void)
{
    for (unsigned i = 0; i < BLOCKS / 4; i++)
        if (i % EVERY != 0) block[i] = do_malloc(SIZE);
    for (unsigned i = 0; i < BLOCKS / 4; i++)
        if (i % EVERY != 0) do_free(block[i]);
}

static void who_needs_it_again_is_left_alone_longer(void)
{
    hold();
    make_sparse(NULL);
    require(ticks_until_swept(3) == 2 && my_class()->lean == 0);
    take_back();
    require(my_class()->revived);
    require(ticks_until_swept(3) == 2 && my_class()->lean == 1);
    take_back();
    require(ticks_until_swept(9) == 3 && my_class()->lean == 2);
    take_back();
    require(ticks_until_swept(9) == 5 && my_class()->lean == 3);
    for (unsigned i = 0; i < 8; i++) {
        take_back();
        require(ticks_until_swept(70) > 0);
    }
    require(my_class()->lean == LEAN_MAX);
    let_go(); /* nothing is revived, and some is gained */
    require(ticks_until_swept(70) > 60 && my_class()->lean == 0);
    require_sound();
}

static void who_has_nothing_to_give_is_looked_at_less(void)
{
    for (unsigned i = 0; i < BLOCKS; i++) block[i] = do_malloc(SIZE);
    for (unsigned i = 0; i < BLOCKS; i += 3) do_free(block[i]);
    require(ticks_until_swept(1) == 0);
    for (unsigned lean = 1; lean < 4; lean++) {
        do_free(do_malloc(SIZE));
        for (unsigned i = 0; i < 1u << (lean - 1); i++) tick();
        require(my_class()->lean == lean - 1, "%u", my_class()->lean);
        tick();
        require(my_class()->lean == lean, "%u", my_class()->lean);
    }
}

static void a_step_is_short(void)
{
    make_sparse(NULL);
    require(tick() < 10);
    unsigned steps = 0;
    fake.now_ms += 500;
    do {
        uint64_t calls = fake.calls[FAKE_PURGE];
        steps++;
        if (!reclaim_poll()) break;
        require(pass.work <= STEP_WORK, "%u", pass.work);
        require(fake.calls[FAKE_PURGE] - calls <= 16 * SLAB_GRANULES / 2);
    } while (steps < 1000);
    require(steps > 3 && steps < 100, "%u", steps);
    require(absent_bytes() > MOST);
}

static void a_class_that_wakes_up_is_left_alone(void)
{
    make_sparse(NULL);
    tick();
    fake.now_ms += 500;
    while (absent_bytes() == 0) require(reclaim_poll());
    size_t before = absent_bytes();
    do_free(do_malloc(SIZE)); /* between two steps */
    while (reclaim_poll()) continue;
    require(absent_bytes() < before + UNIT_SIZE * 2, "%zu, then %zu", before, absent_bytes());
    require(ticks_until_swept(5) > 0 && absent_bytes() > MOST);
    require_sound();
}

static void a_small_process_has_no_passes(void)
{
    for (unsigned i = 0; i < BLOCKS / 10; i++) block[i] = do_malloc(SIZE);
    for (unsigned i = 1; i < BLOCKS / 10; i++) do_free(block[i]);
    require(!sparse_is_due());
    for (unsigned i = 0; i < 5; i++) tick();
    require(pass.number == 0 && absent_bytes() == 0);
}

static void where_huge_pages_were_asked_for_nothing_is_torn(void)
{
    require(option_set(OPTION_thp, THP_ALWAYS));
    make_sparse(NULL);
    for (unsigned i = 0; i < 5; i++) tick();
    require(pass.number == 0 && absent_bytes() == 0);
    require(hak_purge() > 0 && absent_bytes() > 0);
}

static sem_t full, over;

static void *idle_thread(void *unused)
{
    make_sparse(NULL);
    sem_post(&full);
    sem_wait(&over);
    for (unsigned i = 0; i < BLOCKS; i++) {
        if (i % EVERY != 0) block[i] = do_malloc(SIZE);
        *(unsigned *)block[i] = i;
    }
    return unused;
}

static void others_sweep_for_an_idle_thread(void)
{
    pthread_t thread;
    do_free(do_malloc(1));
    sem_init(&full, 0, 0);
    sem_init(&over, 0, 0);
    require(pthread_create(&thread, NULL, idle_thread, NULL) == 0);
    sem_wait(&full);
    tick();
    tick();
    require(absent_bytes() > MOST, "%zu", absent_bytes());
    require_sound();
    sem_post(&over);
    require(pthread_join(thread, NULL) == 0);
    for (unsigned i = 0; i < BLOCKS; i++) require(*(unsigned *)block[i] == i, "block %u", i);
    require_sound();
}

static void what_threads_left_behind_is_swept(void)
{
    do_free(do_malloc(1));
    in_thread(make_sparse, NULL);
    tick(); /* dissolves the parked heap */
    tick();
    tick();
    require(absent_bytes() > MOST, "%zu", absent_bytes());
    for (unsigned i = 0; i < BLOCKS; i++)
        if (i % EVERY != 0) block[i] = do_malloc(SIZE);
    for (unsigned i = 0; i < BLOCKS; i++) *(unsigned *)block[i] = i;
    for (unsigned i = 0; i < BLOCKS; i++) require(*(unsigned *)block[i] == i, "block %u", i);
    require_sound();
}

static void a_heap_that_is_busy_is_passed_over(void)
{
    make_sparse(NULL);
    tick();
    lock_acquire_peer(&my_heap()->lock); /* as its thread would at a visit */
    fake.now_ms += 500;
    while (reclaim_poll()) continue;
    require(!sparse_is_quiet());
    lock_release_peer(&my_heap()->lock);
    require(absent_bytes() == 0);
    tick();
    require(absent_bytes() > MOST);
}

static void nobody_waits_for_who_is_at_it(void)
{
    bool more;
    make_sparse(NULL);
    lock_acquire_peer(&sparse_lock);
    require(!sparse_step(true, &more) && pass.heap == 0);
    lock_release_peer(&sparse_lock);
    require(sparse_step(true, &more));
}

static void spares_of_idle_classes_retire(void)
{
    make_sparse(NULL);
    void *p = do_malloc(20000);
    unsigned class = class_of(20000);
    do_free(p);
    bin_account(my_heap(), class);
    bin_flush(my_heap(), class, 0);
    require(my_heap()->class[class].empty == 1);
    tick();
    require(my_heap()->class[class].empty == 1);
    tick();
    require(my_heap()->class[class].empty == 0);
    require_sound();
}

static void a_purge_on_demand_ends_the_pass(void)
{
    make_sparse(NULL);
    tick();
    fake.now_ms += 500;
    while (absent_bytes() == 0) require(reclaim_poll());
    require(pass.heap > 0);
    (void)hak_purge();
    require(pass.heap == 0 && absent_bytes() > MOST);
    bool more = true;
    require(sparse_step(false, &more) && !more);
    require_sound();
}

static void errno_is_kept(void)
{
    make_sparse(NULL);
    errno = 78;
    tick();
    tick();
    require(errno == 78 && absent_bytes() > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_idle_class_is_swept),
        TEST(a_class_in_use_is_left_alone),
        TEST(what_was_swept_is_not_looked_at_again),
        TEST(later_frees_are_swept_later),
        TEST(who_needs_it_again_is_left_alone_longer),
        TEST(who_has_nothing_to_give_is_looked_at_less),
        TEST(a_step_is_short),
        TEST(a_class_that_wakes_up_is_left_alone),
        TEST(a_small_process_has_no_passes),
        TEST(where_huge_pages_were_asked_for_nothing_is_torn),
        TEST(others_sweep_for_an_idle_thread),
        TEST(what_threads_left_behind_is_swept),
        TEST(a_heap_that_is_busy_is_passed_over),
        TEST(nobody_waits_for_who_is_at_it),
        TEST(spares_of_idle_classes_retire),
        TEST(a_purge_on_demand_ends_the_pass),
        TEST(errno_is_kept),
    };
    return run_unit_tests(tests);
}
