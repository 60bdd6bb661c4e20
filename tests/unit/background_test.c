/* background_test.c - the thread that gives memory back: when it starts, what it does, and what a fork leaves. When it
 * ends: background_end_test.c.
 */
#include "background_thread.h"

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

static void kept_mappings_count_as_well(void)
{
    pthread_t thread = start_sleeper();
    for (unsigned i = 0; i < 4; i++) do_free(malloc_mapping(90 * MIB)); /* taken again, and so kept */
    require(mapped.kept_bytes >= 90 * MIB && arena_units() < UNITS_MIN);
    for (unsigned i = 0; i < 4096; i++) do_free(do_malloc(20000));
    require(fake.thread_starts == 1);
    end_sleeper(thread);
}

static void much_that_is_free_does_not_wait_for_the_end_of_a_pause(void)
{
    void *much[6];
    for (unsigned i = 0; i < array_length(much); i++) much[i] = do_malloc(40 * MIB);
    end_sleeper(start_all());
    pthread_t thread = start_sleeper();
    visit();
    require(fake.thread_starts == 1, "for little");
    do_free(much[0]); /* no long burst */
    visit();
    require(fake.thread_starts == 2);
    end_sleeper(thread);
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

/* It ends when nothing was freed for a while. What is freed after that may be all that the program ever frees. */
static void one_that_ended_for_want_of_work_is_started_by_work(void)
{
    pthread_t thread = start_all();
    fake.threads_sleep = true;
    void *p = do_malloc(60 * MIB);
    uint64_t before = fake.now_ms;
    in_thread(run_main, NULL);
    require(dirty_units() == 0 && fake.now_ms - before < RETRY_MS, "%lu ms", fake.now_ms - before);
    uint64_t starts = fake.thread_starts;
    require(arena_units() >= UNITS_MIN);
    require(!background_poll() && fake.thread_starts == starts, "there is nothing to do");
    do_free(p);
    require(dirty_units() >= 960 && fake.thread_starts == starts + 1 && background_poll());
    end_sleeper(thread);
}

static void what_realloc_gives_back_starts_it(void)
{
    pthread_t thread = start_all();
    fake.threads_sleep = true;
    void *p = do_malloc(60 * MIB);
    in_thread(run_main, NULL);
    uint64_t starts = fake.thread_starts;
    require(!background_poll() && fake.thread_starts == starts);
    p = do_realloc(p, MIB);
    require(dirty_units() >= 900 && fake.thread_starts == starts + 1);
    do_free(p);
    end_sleeper(thread);
}

/* Bins cannot be emptied while their thread runs. It may sleep soon, and call nobody any more. */
static void it_waits_for_threads_that_run(void)
{
    pthread_t thread = start_all();
    (void)hak_purge();
    do_free(do_malloc(20000));
    uint64_t before = fake.now_ms;
    in_thread(run_main, NULL);
    uint64_t alone = fake.now_ms - before;
    require(alone >= 30000 && alone <= 120000, "%lu ms", alone);
    fake.threads_sleep = true;
    before = fake.now_ms;
    do_free(do_malloc(60 * MIB));
    in_thread(run_main, NULL);
    require(fake.now_ms - before <= 10000, "%lu ms", fake.now_ms - before);
    end_sleeper(thread);
}

/* Else who looks next may come never, and the group may have room again. */
static void what_it_has_seen_of_the_group_ends_with_it(void)
{
    pthread_t thread = start_all();
    fake_set_file("/proc/self/cgroup", "0::/app\n");
    fake_set_file("/sys/fs/cgroup/app/memory.max", "104857600\n");
    fake_set_file("/sys/fs/cgroup/app/memory.current", "104000000\n");
    uint64_t before = fake.now_ms;
    run_rounds(10);
    require(fake.now_ms - before >= 9 * ROUND_MIN_MS, "%lu ms", fake.now_ms - before);
    fake_set_file("/sys/fs/cgroup/app/memory.current", "52428800\n");
    require(pressure_delay(1000) == 1000, "%lu ms", pressure_delay(1000));
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

static void *frees_of_others[2000];

static void *free_what_is_others(void *unused)
{
    for (unsigned i = 0; i < array_length(frees_of_others); i++) do_free(frees_of_others[i]);
    return unused;
}

static void who_frees_only_what_is_others_starts_it(void)
{
    pthread_t thread = start_all();
    fake.threads_sleep = true;
    for (unsigned i = 0; i < array_length(frees_of_others); i++) frees_of_others[i] = do_malloc(30000);
    in_thread(run_main, NULL);
    uint64_t starts = fake.thread_starts;
    require(!background_poll() && fake.thread_starts == starts);
    in_thread(free_what_is_others, NULL);
    require(fake.thread_starts == starts + 1);
    end_sleeper(thread);
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

static void *attach(void *unused)
{
    struct heap *heap = heap_attach();
    require(heap && load_relaxed(&heap->work_seen) != load_relaxed(&heap->work));
    return unused;
}

static void a_new_heap_was_not_idle(void)
{
    in_thread(attach, NULL);
    in_thread(attach, NULL); /* a heap that was another thread's */
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
    fake.purge_ns = STEP_NS / 4;
    stop = 1;
    for (unsigned i = 0; i < 3; i++) (void)reclaim_round(&stop);
    require(fake.calls[FAKE_PURGE] - before < 30, "%lu calls", fake.calls[FAKE_PURGE] - before);
    end_sleeper(thread);
}

static unsigned sleeps;

/* The thread ends when all is back, or too late. */
static void end_in_time(void)
{
    if (dirty_units() == 0 || sleeps > 20) require(option_set(OPTION_background, BACKGROUND_OFF));
}

static void require_back_in_time(void (*meanwhile)(void))
{
    sleeps = 0;
    uint64_t before = fake.now_ms;
    fake.while_sleeping = meanwhile;
    in_thread(run_main, NULL);
    fake.while_sleeping = NULL;
    require(dirty_units() == 0 && fake.now_ms - before < 5000, "%lu ms", fake.now_ms - before);
}

static void fill_group(void)
{
    if (++sleeps == 3) fake_set_file("/sys/fs/cgroup/app/memory.current", "104000000\n");
    end_in_time();
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
    require_back_in_time(fill_group);
    end_sleeper(thread);
}

static void ask(void)
{
    if (++sleeps == 3) store_relaxed(&reclaim_request, REQUEST_MADE);
    end_in_time();
}

/* As another process asks, which can wake nobody. */
static void a_request_ends_a_long_delay(void)
{
    pthread_t thread = start_all();
    do_free(do_malloc(60 * MIB));
    require(option_set(OPTION_purge_delay, 600000) && dirty_units() > 0);
    require_back_in_time(ask);
    end_sleeper(thread);
}

static void ask_at_each_sleep(void)
{
    ++sleeps;
    store_relaxed(&reclaim_request, REQUEST_MADE);
    if (fake.now_ms > 20000) require(option_set(OPTION_background, BACKGROUND_OFF));
}

/* Who was looked at is looked at again a step later, however often memory is asked back: else nobody is idle. */
static void requests_do_not_make_rounds_of_no_time(void)
{
    pthread_t thread = start_all();
    uint64_t before = fake.now_ms;
    sleeps = 0;
    store_relaxed(&reclaim_request, REQUEST_MADE);
    fake.while_sleeping = ask_at_each_sleep;
    uint32_t epoch = cache_epoch;
    in_thread(run_main, NULL);
    fake.while_sleeping = NULL;
    require(cache_epoch - epoch <= sleeps && cache_epoch != epoch, "%u rounds in %u sleeps", cache_epoch - epoch, sleeps);
    require(fake.now_ms - before >= (cache_epoch - epoch) * 400, "%lu ms", fake.now_ms - before);
    end_sleeper(thread);
}

static void allow_no_delay(void)
{
    if (++sleeps == 3) require(option_set(OPTION_purge_delay, 0));
    if (sleeps > 50) require(option_set(OPTION_background, BACKGROUND_OFF));
}

static void it_ends_when_there_is_no_delay(void)
{
    pthread_t thread = start_all();
    sleeps = 0;
    fake.while_sleeping = allow_no_delay;
    in_thread(run_main, NULL);
    fake.while_sleeping = NULL;
    require(sleeps <= 4, "%u", sleeps);
    end_sleeper(thread);
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
        TEST(kept_mappings_count_as_well),
        TEST(much_that_is_free_does_not_wait_for_the_end_of_a_pause),
        TEST(without_delay_there_is_nothing_to_wait_for),
        TEST(a_refusal_is_not_repeated_at_every_visit),
        TEST(idle_memory_goes_within_three_rounds),
        TEST(one_that_ended_for_want_of_work_is_started_by_work),
        TEST(who_frees_only_what_is_others_starts_it),
        TEST(what_realloc_gives_back_starts_it),
        TEST(it_waits_for_threads_that_run),
        TEST(what_it_has_seen_of_the_group_ends_with_it),
        TEST(mail_and_spares_of_sleeping_threads_are_taken_in),
        TEST(a_thread_that_works_is_left_alone),
        TEST(a_new_heap_was_not_idle),
        TEST(a_heap_at_a_visit_is_left_alone),
        TEST(a_stop_is_followed_between_steps),
        TEST(a_group_that_gets_full_ends_a_long_delay),
        TEST(requests_do_not_make_rounds_of_no_time),
        TEST(it_ends_when_there_is_no_delay),
        TEST(a_request_ends_a_long_delay),
        TEST(a_child_has_none_and_may_start_one),
        TEST(one_that_was_lost_is_not_waited_for),
    };
    return run_unit_tests(tests);
}
