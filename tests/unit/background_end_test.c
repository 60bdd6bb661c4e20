/* background_end_test.c - the thread that gives memory back ends: with nothing to do, without rights, and with the last
 * other thread, whose memory goes back then.
 */
#include "background_thread.h"

static void it_ends_when_there_is_nothing_to_do(void)
{
    pthread_t thread = start_all();
    fake.threads_sleep = true;
    run_rounds(100);
    require(rounds >= ROUNDS_IDLE_MAX && rounds < 20, "%u rounds", rounds);
    require(!background_poll() && fake.thread_starts == 1, "at once again");
    fake.now_ms += RETRY_MS;
    (void)background_poll();
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

/* A thread's bins can be emptied when it is seen to sleep. Where that cannot be, waiting is of no use. */
static void it_does_not_wait_for_what_cannot_be_seen(void)
{
    pthread_t thread = start_all();
    (void)hak_purge();
    do_free(do_malloc(20000));
    fake.sleep_is_hidden = true;
    uint64_t before = fake.now_ms;
    in_thread(run_main, NULL);
    require(fake.now_ms - before <= 10000, "%lu ms", fake.now_ms - before);
    end_sleeper(thread);
}

static void give_up_rights(void)
{
    fake.rights_were_given_up = true;
}

/* However long a round is. */
static void it_looks_every_second_for_rights(void)
{
    pthread_t thread = start_all();
    require(option_set(OPTION_purge_delay, 600000));
    fake.while_sleeping = give_up_rights;
    uint64_t before = fake.now_ms;
    in_thread(run_main, NULL);
    fake.while_sleeping = NULL;
    require(fake.now_ms - before <= LOOK_MS, "%lu ms", fake.now_ms - before);
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
        if (i == 2) last_ms = burst_purge.at_ms, unmaps = fake.calls[FAKE_UNMAP];
        fake.now_ms += PAUSE_MS;
        pthread_t thread = start_sleeper();
        visit();
        require(fake.thread_starts == i + 2);
        take_and_leave(thread);
    }
    require(burst_purge.pauses == 1 && burst_purge.at_ms == last_ms && fake.calls[FAKE_UNMAP] == unmaps);
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

/* ---- while none may start ---- */

enum { HELD = 6 };

static void *held[HELD];

/* So much that what is freed is no long burst. */
static void hold_more(void)
{
    for (unsigned i = 0; i < HELD; i++) held[i] = do_malloc(40 * MIB);
}

static void *free_much(void *p)
{
    do_free(do_malloc(100));
    do_free(p);
    return NULL;
}

static void what_a_thread_frees_that_comes_in_the_pause_goes_with_it(void)
{
    hold_more();
    end_sleeper(start_all());
    require(background.id == 0 && fake.thread_starts == 1);
    in_thread(free_much, held[0]);
    require(background.id == 0 && dirty_units() <= 48, "%zu units", dirty_units());
}

static void so_it_does_where_threads_are_refused(void)
{
    hold_more();
    pthread_t thread = start_sleeper();
    fake.threads_refused = true;
    grow();
    visit();
    end_sleeper(thread);
    in_thread(free_much, held[0]);
    require(fake.thread_joins == 0 && dirty_units() <= 48, "%zu units", dirty_units());
}

static void little_is_not_looked_for_at_the_end_of_each_thread(void)
{
    end_sleeper(start_all());
    in_thread(free_much, do_malloc(100));
    require(parked_count > 0, "the next thread finds no warm heap");
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

static pthread_key_t younger_key;
static unsigned younger_calls;

static void free_value(void *value)
{
    younger_calls++;
    require(heap_self == &my_heap()->front && heap_self != &heap_exited);
    do_free(value);
}

static void *use_younger(void *argument)
{
    require(pthread_setspecific(younger_key, do_malloc(30 * MIB)) == 0);
    return argument;
}

/* What the destructors of a thread's keys free is freed by a thread that has a heap: it may be the process's last. */
static void destructors_of_other_keys_find_the_heap(void)
{
    do_free(do_malloc(1));
    require(pthread_key_create(&younger_key, free_value) == 0);
    in_thread(use_younger, NULL);
    require(younger_calls == 1 && heap_threads == 1);
    require(dirty_units() <= BURST_UNITS_MIN + 16, "%zu units", dirty_units());
    require_sound();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_ends_when_there_is_nothing_to_do),
        TEST(it_does_not_wait_for_what_cannot_be_seen),
        TEST(it_ends_when_rights_were_given_up),
        TEST(it_looks_every_second_for_rights),
        TEST(it_ends_at_once_where_it_could_open_no_file_unseen),
        TEST(the_last_thread_to_leave_takes_it_along),
        TEST(what_is_free_goes_when_the_last_thread_leaves),
        TEST(what_is_taken_again_at_once_stays),
        TEST(one_that_starts_while_the_others_leave_is_taken_along),
        TEST(what_a_thread_frees_that_comes_in_the_pause_goes_with_it),
        TEST(so_it_does_where_threads_are_refused),
        TEST(little_is_not_looked_for_at_the_end_of_each_thread),
        TEST(one_of_three_leaves_it),
        TEST(on_outlives_the_threads),
        TEST(a_thread_made_while_the_others_leave_ends_at_once),
        TEST(destructors_of_other_keys_find_the_heap),
    };
    return run_unit_tests(tests);
}
