/* background_test.c - the thread that gives memory back: when it starts, what it does, when it ends. The fake system
 * only notes that it was started; tests run its function on a thread of theirs. */
#include "unit.h"

#include <semaphore.h>

static const size_t MIB = (size_t)1 << 20;

static sem_t may_end;
static sem_t is_there;

/* A thread with a heap, until it may end. */
static void *sleeper(void *unused)
{
    do_free(do_malloc(100));
    require(sem_post(&is_there) == 0 && sem_wait(&may_end) == 0);
    return unused;
}

static pthread_t start_sleeper(void)
{
    pthread_t thread;
    fake.threads_refused = false;
    require(sem_init(&may_end, 0, 0) == 0 && sem_init(&is_there, 0, 0) == 0);
    require(pthread_create(&thread, NULL, sleeper, NULL) == 0 && sem_wait(&is_there) == 0);
    return thread;
}

static void end_sleeper(pthread_t thread)
{
    require(sem_post(&may_end) == 0 && pthread_join(thread, NULL) == 0);
}

/* A heap that is worth a thread. */
static void grow(void)
{
    do_free(do_malloc(40 * MIB));
    require(arena_units() >= UNITS_MIN);
}

static void visit(void)
{
    for (unsigned i = 0; i < 64; i++) do_free(do_malloc(3 * MIB));
}

static size_t dirty_units(void)
{
    struct arena_usage usage;
    arena_usage(&usage);
    return usage.dirty_units;
}

static unsigned rounds;
static unsigned rounds_max;

static void count_rounds(void)
{
    if (++rounds > rounds_max) require(option_set(OPTION_background, BACKGROUND_OFF));
}

static bool shares_descriptors;

static void *run_main(void *unused)
{
    require(fake.thread_main(!shares_descriptors) == 0);
    __atomic_store_n(&background.id, 0, __ATOMIC_SEQ_CST); /* as the system does */
    return unused;
}

/* Lets the thread live for at most so many rounds. */
static void run_rounds(unsigned count)
{
    rounds = 0;
    rounds_max = count;
    fake.while_sleeping = count_rounds;
    in_thread(run_main, NULL);
    require(option_set(OPTION_background, BACKGROUND_AUTO));
    fake.while_sleeping = NULL;
}

static pthread_t start_all(void)
{
    pthread_t thread = start_sleeper();
    grow();
    visit();
    require(fake.thread_starts == 1 && background.id != 0);
    return thread;
}

/* ---- start ---- */

static void a_program_of_one_thread_gets_none(void)
{
    fake.threads_refused = false;
    grow();
    visit();
    require(fake.thread_starts == 0);
}

static void a_small_heap_gets_none(void)
{
    pthread_t thread = start_sleeper();
    for (unsigned i = 0; i < 10000; i++) do_free(do_malloc(20000));
    require(fake.thread_starts == 0 && arena_units() < UNITS_MIN);
    end_sleeper(thread);
}

static void a_visit_starts_one_and_no_other(void)
{
    pthread_t thread = start_all();
    visit();
    require(fake.thread_starts == 1 && background_poll());
    end_sleeper(thread);
}

static void off_means_none(void)
{
    require(option_set(OPTION_background, BACKGROUND_OFF));
    pthread_t thread = start_sleeper();
    grow();
    visit();
    require(fake.thread_starts == 0 && !background_poll());
    end_sleeper(thread);
}

static void on_means_always(void)
{
    fake.threads_refused = false;
    require(option_set(OPTION_background, BACKGROUND_ON));
    visit();
    require(fake.thread_starts == 1 && arena_units() < UNITS_MIN);
}

static void without_delay_there_is_nothing_to_wait_for(void)
{
    require(option_set(OPTION_purge_delay, 0));
    pthread_t thread = start_sleeper();
    grow();
    visit();
    require(fake.thread_starts == 0);
    end_sleeper(thread);
}

static void a_refusal_is_not_repeated_at_every_visit(void)
{
    pthread_t thread = start_sleeper();
    fake.threads_refused = true;
    grow();
    visit();
    visit();
    require(fake.thread_starts == 1 && background.id == 0 && !background_poll());
    fake.now_ms += RETRY_MS;
    fake.threads_refused = false;
    visit();
    require(fake.thread_starts == 2 && background_poll());
    end_sleeper(thread);
}

/* ---- work ---- */

static void idle_memory_goes_within_three_rounds(void)
{
    pthread_t thread = start_all();
    do_free(do_malloc(30 * MIB));
    do_free(malloc_mapping(5 * MIB));
    require(dirty_units() >= 480 && large_has_kept());
    run_rounds(3);
    require(dirty_units() == 0 && !large_has_kept(), "%zu dirty", dirty_units());
    require_sound();
    end_sleeper(thread);
}

static void *held[300];

/* Frees blocks of main's, and sleeps. */
static void *free_held(void *unused)
{
    do_free(do_malloc(8));
    for (unsigned i = 0; i < 300; i++) do_free(held[i]);
    return unused;
}

static void mail_and_spares_of_sleeping_threads_are_taken_in(void)
{
    pthread_t thread = start_all();
    for (unsigned i = 0; i < 300; i++) held[i] = do_malloc(30000);
    in_thread(free_held, NULL);
    require(inbox_has_mail(my_heap()));
    run_rounds(4);
    require(!inbox_has_mail(my_heap()) && my_heap()->reserve_count == 0);
    for (unsigned c = 0; c < CLASS_COUNT; c++) require(my_heap()->class[c].empty == 0, "class %u", c);
    require(dirty_units() == 0, "%zu dirty", dirty_units());
    require_sound();
    end_sleeper(thread);
}

static void a_thread_that_works_is_left_alone(void)
{
    pthread_t thread = start_all();
    struct heap *heap = my_heap();
    for (unsigned i = 0; i < 300; i++) held[i] = do_malloc(30000);
    in_thread(free_held, NULL);
    require(inbox_has_mail(heap));
    uint32_t work = heap->work;
    for (unsigned i = 0; i < 5; i++) {
        uint32_t stop = 0;
        store_relaxed(&heap->work, ++work);
        (void)reclaim_round(&stop);
    }
    require(inbox_has_mail(heap), "drained under its hands");
    uint32_t stop = 0;
    (void)reclaim_round(&stop);
    require(!inbox_has_mail(heap));
    end_sleeper(thread);
}

static void a_heap_at_a_visit_is_left_alone(void)
{
    pthread_t thread = start_all();
    struct heap *heap = my_heap();
    for (unsigned i = 0; i < 300; i++) held[i] = do_malloc(30000);
    in_thread(free_held, NULL);
    uint32_t stop = 0;
    (void)reclaim_round(&stop);
    require(lock_try_peer(&heap->lock));
    (void)reclaim_round(&stop);
    require(inbox_has_mail(heap));
    lock_release_peer(&heap->lock);
    (void)reclaim_round(&stop);
    require(!inbox_has_mail(heap));
    end_sleeper(thread);
}

static void a_stop_is_followed_between_steps(void)
{
    pthread_t thread = start_all();
    do_free(do_malloc(60 * MIB));
    uint32_t stop = 0;
    arena.tick++;
    (void)reclaim_round(&stop);
    do_free(do_malloc(60 * MIB));
    uint64_t before = fake.calls[FAKE_PURGE];
    stop = 1;
    for (unsigned i = 0; i < 3; i++) (void)reclaim_round(&stop);
    require(fake.calls[FAKE_PURGE] - before < 30, "%lu calls", fake.calls[FAKE_PURGE] - before);
    end_sleeper(thread);
}

static unsigned sleeps;

static void fill_group(void)
{
    if (++sleeps == 3) fake_set_file("/sys/fs/cgroup/app/memory.current", "104000000\n");
    if (dirty_units() == 0 || sleeps > 20) require(option_set(OPTION_background, BACKGROUND_OFF));
}

/* What is idle for two rounds goes: with this delay after ten minutes, or when the group gets full. */
static void a_group_that_gets_full_ends_a_long_delay(void)
{
    pthread_t thread = start_all();
    do_free(do_malloc(60 * MIB));
    require(option_set(OPTION_purge_delay, 600000) && dirty_units() > 0);
    fake_set_file("/proc/self/cgroup", "0::/app\n");
    fake_set_file("/sys/fs/cgroup/app/memory.max", "104857600\n");
    fake_set_file("/sys/fs/cgroup/app/memory.current", "52428800\n");
    pressure_look();
    sleeps = 0;
    uint64_t before = fake.now_ms;
    fake.while_sleeping = fill_group;
    in_thread(run_main, NULL);
    fake.while_sleeping = NULL;
    require(dirty_units() == 0 && fake.now_ms - before < 5000, "%lu ms", fake.now_ms - before);
    end_sleeper(thread);
}

/* ---- huge pages ---- */

enum { FULL_BLOCKS = 8 * 32 }; /* of a unit each: eight SuperSlabs */

/* Takes every unit of some SuperSlabs, in runs of one. */
static void fill_superslabs(struct span span[FULL_BLOCKS], bool touch)
{
    do_free(do_malloc(1));
    for (unsigned i = 0; i < FULL_BLOCKS; i++) {
        require(arena_take(1, false, &span[i]));
        if (touch) memset((void *)span[i].base, 1, UNIT_SIZE);
    }
}

static unsigned collapse_all(void)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < 20; i++) sum += arena_collapse();
    return sum;
}

static void full_superslabs_are_collapsed_once(void)
{
    static struct span span[FULL_BLOCKS];
    fill_superslabs(span, true);
    unsigned sum = collapse_all();
    require(sum >= 7, "%u", sum);
    require(fake.collapses == sum && collapse_all() == 0);
    for (unsigned i = 0; i < FULL_BLOCKS; i++) arena_give(span[i].base, span[i].record, 1);
    (void)arena_purge(true);
    require(collapse_all() == 0, "what is free");
    require_sound();
}

static void what_is_not_all_touched_is_left_alone(void)
{
    static struct span span[FULL_BLOCKS];
    fill_superslabs(span, false);
    require(collapse_all() == 0 && fake.collapses == 0);
}

static void a_refused_collapse_is_not_repeated(void)
{
    static struct span span[FULL_BLOCKS];
    fake.collapse_refused = true;
    fill_superslabs(span, true);
    require(collapse_all() == 0 && fake.collapses > 0);
    uint64_t collapses = fake.collapses;
    require(collapses <= 3, "%lu: each refusal makes more opportunities pass", collapses);
}

static void never_means_never(void)
{
    static struct span span[FULL_BLOCKS];
    require(option_set(OPTION_thp, THP_NEVER));
    fill_superslabs(span, true);
    require(collapse_all() == 0 && fake.collapses == 0);
}

/* ---- end ---- */

static void it_ends_when_there_is_nothing_to_do(void)
{
    pthread_t thread = start_all();
    run_rounds(100);
    require(rounds >= ROUNDS_IDLE_MAX && rounds < 20, "%u rounds", rounds);
    visit();
    require(fake.thread_starts == 1, "at once again");
    fake.now_ms += RETRY_MS;
    visit();
    require(fake.thread_starts == 2);
    end_sleeper(thread);
}

static void it_ends_when_rights_were_given_up(void)
{
    pthread_t thread = start_all();
    do_free(do_malloc(30 * MIB));
    fake.rights_were_given_up = true;
    run_rounds(100);
    require(rounds == 1 && dirty_units() >= 480);
    end_sleeper(thread);
}

static void it_ends_at_once_where_it_could_open_no_file_unseen(void)
{
    pthread_t thread = start_all();
    shares_descriptors = true;
    run_rounds(100);
    require(rounds == 0);
    visit();
    require(fake.thread_starts == 1, "at once again");
    end_sleeper(thread);
}

static void the_last_thread_to_leave_takes_it_along(void)
{
    pthread_t thread = start_all();
    require(heap_threads == 2 && fake.thread_joins == 0);
    end_sleeper(thread);
    require(heap_threads == 1 && fake.thread_joins == 1 && background_stop == 1 && background.id == 0);
    visit();
    require(fake.thread_starts == 1, "for one thread");
    thread = start_sleeper();
    visit();
    require(fake.thread_starts == 1, "at once again");
    fake.now_ms += PAUSE_MS;
    visit();
    require(fake.thread_starts == 2 && background_stop == 0);
    end_sleeper(thread);
}

static void take_and_leave(pthread_t thread)
{
    do_free(do_malloc(30 * MIB));
    keep_attend(true);
    do_free(do_malloc(100 * MIB));
    keep_attend(false);
    require(mapped.kept_bytes >= 100 * MIB);
    end_sleeper(thread);
}

static void what_is_free_goes_when_the_last_thread_leaves(void)
{
    pthread_t thread = start_all();
    do_free(do_malloc(30 * MIB));
    require(dirty_units() >= 480);
    take_and_leave(thread);
    require(dirty_units() <= 48 && mapped.kept_bytes == 0, "%zu units, %zu bytes", dirty_units(), mapped.kept_bytes);
    require_sound();
}

static void what_is_taken_again_at_once_stays(void)
{
    uint64_t last_ms = 0, unmaps = 0;
    take_and_leave(start_all());
    for (unsigned i = 0; i < 20; i++) {
        if (i == 2) last_ms = run_purge.at_ms, unmaps = fake.calls[FAKE_UNMAP];
        fake.now_ms += PAUSE_MS;
        pthread_t thread = start_sleeper();
        visit();
        require(fake.thread_starts == i + 2);
        take_and_leave(thread);
    }
    require(run_purge.pauses == 1 && run_purge.at_ms == last_ms && fake.calls[FAKE_UNMAP] == unmaps);
    require(mapped.kept_bytes >= 100 * MIB);
}

static pthread_t leaves_meanwhile;

static void leave(void)
{
    end_sleeper(leaves_meanwhile);
}

/* Who leaves meets a start that is not done, and cannot wait for it. */
static void one_that_starts_while_the_others_leave_is_taken_along(void)
{
    leaves_meanwhile = start_sleeper();
    fake.while_starting = leave;
    grow();
    visit();
    require(fake.thread_starts == 1 && heap_threads == 1);
    require(background.id == 0 && fake.thread_joins == 1 && background_stop == 1);
}

static void one_of_three_leaves_it(void)
{
    pthread_t thread = start_all();
    in_thread((void *(*)(void *))(void *)do_malloc, (void *)3000);
    require(fake.thread_joins == 0 && heap_threads == 2 && background_poll());
    end_sleeper(thread);
}

static void on_outlives_the_threads(void)
{
    require(option_set(OPTION_background, BACKGROUND_ON));
    pthread_t thread = start_all();
    end_sleeper(thread);
    require(fake.thread_joins == 0 && background_poll());
}

static void a_thread_made_while_the_others_leave_ends_at_once(void)
{
    pthread_t thread = start_all();
    background.id = STARTING;
    end_sleeper(thread);
    require(fake.thread_joins == 0);
    run_rounds(100);
    require(rounds == 0);
}

/* ---- fork ---- */

static void a_child_has_none_and_may_start_one(void)
{
    pthread_t thread = start_all();
    fork_prepare();
    fork_child(); /* here: the sleeper is not there any more */
    background_forget();
    require(heap_threads == 1 && background.id == 0);
    visit();
    require(fake.thread_starts == 1);
    (void)thread;
}

static void one_that_was_lost_is_not_waited_for(void)
{
    pthread_t thread = start_all();
    fake.now_ms += LATE_MS + 1000;
    require(!background_poll());
    do_free(do_malloc(30 * MIB));
    for (unsigned i = 0; i < 10; i++) {
        fake.now_ms += 500;
        while (reclaim_poll()) continue;
    }
    require(dirty_units() == 0);
    end_sleeper(thread);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_program_of_one_thread_gets_none),
        TEST(a_small_heap_gets_none),
        TEST(a_visit_starts_one_and_no_other),
        TEST(off_means_none),
        TEST(on_means_always),
        TEST(without_delay_there_is_nothing_to_wait_for),
        TEST(a_refusal_is_not_repeated_at_every_visit),
        TEST(idle_memory_goes_within_three_rounds),
        TEST(mail_and_spares_of_sleeping_threads_are_taken_in),
        TEST(a_thread_that_works_is_left_alone),
        TEST(a_heap_at_a_visit_is_left_alone),
        TEST(a_stop_is_followed_between_steps),
        TEST(a_group_that_gets_full_ends_a_long_delay),
        TEST(full_superslabs_are_collapsed_once),
        TEST(what_is_not_all_touched_is_left_alone),
        TEST(a_refused_collapse_is_not_repeated),
        TEST(never_means_never),
        TEST(it_ends_when_there_is_nothing_to_do),
        TEST(it_ends_when_rights_were_given_up),
        TEST(it_ends_at_once_where_it_could_open_no_file_unseen),
        TEST(the_last_thread_to_leave_takes_it_along),
        TEST(what_is_free_goes_when_the_last_thread_leaves),
        TEST(what_is_taken_again_at_once_stays),
        TEST(one_that_starts_while_the_others_leave_is_taken_along),
        TEST(one_of_three_leaves_it),
        TEST(on_outlives_the_threads),
        TEST(a_thread_made_while_the_others_leave_ends_at_once),
        TEST(a_child_has_none_and_may_start_one),
        TEST(one_that_was_lost_is_not_waited_for),
    };
    return run_unit_tests(tests);
}
