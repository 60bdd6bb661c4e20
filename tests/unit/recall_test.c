/* recall_test.c - a thread that was called visits with its next call, whichever it is; a sleeping thread's bins are
 * flushed, and nobody else's. */
#include "unit.h"

#include <semaphore.h>

enum { BLOCKS = 40, SIZE = 200, RUN = 100000, RUN_UNITS = 2 };

static void *p[BLOCKS];

static void fill_bin(void)
{
    for (unsigned i = 0; i < BLOCKS; i++) p[i] = do_malloc(SIZE);
    for (unsigned i = 0; i < BLOCKS; i++) do_free(p[i]);
}

static void keep_a_run(void)
{
    unsigned char *run = do_malloc(RUN);
    memset(run, 1, RUN);
    do_free(run);
}

static uint32_t left_of(struct heap *heap)
{
    return bin_left(&heap->front.bin[class_of(SIZE)]);
}

/* As a tick of the background thread does. */
static void call(struct heap *heap)
{
    add_relaxed(&trim_epoch, 1);
    require(lock_try_peer(&heap->lock));
    require(heap_recall(heap) && heap_recall(heap), "twice is no mistake");
    lock_release_peer(&heap->lock);
}

static void require_called_back(struct heap *heap, const char *by)
{
    require(heap_self == &heap->front, "%s", by);
    require_sound();
}

static void every_call_of_a_called_thread_works(void)
{
    fill_bin();
    struct heap *heap = my_heap();
    call(heap);
    void *q = do_malloc(SIZE);
    require_called_back(heap, "malloc");
    call(heap);
    q = do_realloc(q, 5000);
    require_called_back(heap, "realloc");
    call(heap);
    do_free(q);
    require_called_back(heap, "free");
    call(heap);
    q = do_calloc(7, 300);
    require(q && reads_as_zero(q, 2100));
    require_called_back(heap, "calloc");
    call(heap);
    require(do_aligned(256, 300) != NULL);
    require_called_back(heap, "aligned_alloc");
    call(heap);
    do_free(do_malloc(300000));
    do_free(do_malloc(20000));
    require_called_back(heap, "a medium block");
    call(heap);
    require(hak_usable_size(q) >= 2100 && hak_owns(q) && hak_purge() + 1 > 0 && hak_check());
    do_free(NULL);
    do_free(q);
    require_called_back(heap, "the other calls");
}

static void counters_stay_exact(void)
{
    struct hak_stats before, after;
    fill_bin();
    struct heap *heap = my_heap();
    require(hak_stats(&before) == 0);
    for (unsigned i = 0; i < 1000; i++) {
        if (i % 3 == 0) call(heap);
        do_free(do_malloc(SIZE));
    }
    require(hak_stats(&after) == 0);
    require(after.mallocs == before.mallocs + 1000 && after.frees == before.frees + 1000 && after.live == before.live);
    require(stats_verify_counters());
}

static void what_is_not_used_goes_home(void)
{
    fill_bin();
    struct heap *heap = my_heap();
    do_free(do_malloc(5000));
    call(heap);
    do_free(do_malloc(SIZE)); /* the first look counts what was taken from the start */
    call(heap);
    do_free(do_malloc(5000));
    require(left_of(heap) <= 2, "%u", left_of(heap));
    require_sound();
}

/* The push is counted when the call comes. */
static void a_failed_push_survives_a_call(void)
{
    fill_bin();
    struct heap *heap = my_heap();
    unsigned class = class_of(SIZE);
    void *q = do_malloc(SIZE);
    heap->front.bin[class].budget &= (1u << BIN_LEFT_BITS) - 1; /* no room */
    heap->class[class].room_set = 0;
    bin_account(heap, class);
    uint32_t left = left_of(heap);
    require(!add_carries(&heap->front.bin[class].budget, BIN_PUSH));
    call(heap);
    front_free_full(q, bin_offset(class));
    require(heap_self == &heap->front && !heap->busy && left > 0);
    require_sound();
    require(stats_verify_counters());
}

/* ---- other threads ---- */

static sem_t may_go_on, waits;
static struct heap *other;

static void *fill_and_wait(void *unused)
{
    fill_bin();
    keep_a_run();
    other = my_heap();
    require(sem_post(&waits) == 0 && sem_wait(&may_go_on) == 0);
    for (unsigned i = 0; i < 1000; i++) fill_bin();
    keep_a_run();
    require(hak_check());
    return unused;
}

static pthread_t start(void *(*what)(void *))
{
    pthread_t thread;
    do_free(do_malloc(1));
    require(sem_init(&may_go_on, 0, 0) == 0 && sem_init(&waits, 0, 0) == 0);
    require(pthread_create(&thread, NULL, what, NULL) == 0 && sem_wait(&waits) == 0);
    return thread;
}

static pthread_t start_other(void)
{
    pthread_t thread = start(fill_and_wait);
    require(left_of(other) >= BLOCKS && other->kept_units == RUN_UNITS);
    return thread;
}

static void end_other(pthread_t thread)
{
    require(sem_post(&may_go_on) == 0 && pthread_join(thread, NULL) == 0);
    require_sound();
    require(stats_verify_counters());
}

static void rounds(void)
{
    uint32_t stop = 0;
    heap_allow_files(true);
    for (unsigned i = 0; i < 3; i++) (void)reclaim_round(&stop);
    heap_allow_files(false);
}

static void *free_and_wait(void *q)
{
    q = p[0];
    do_free(q);
    require(sem_post(&waits) == 0 && sem_wait(&may_go_on) == 0);
    return NULL;
}

/* Its block comes to a heap that has been looked at before. */
static void a_purge_takes_in_what_it_posts(void)
{
    p[0] = do_malloc(6000);
    pthread_t thread = start(free_and_wait);
    fake.threads_sleep = true;
    heap_allow_files(true);
    (void)hak_purge();
    heap_allow_files(false);
    require(!inbox_has_mail(my_heap()));
    end_other(thread);
}

static void a_sleepers_bins_are_flushed(void)
{
    pthread_t thread = start_other();
    fake.threads_sleep = true;
    rounds();
    require(left_of(other) == 0 && other->kept_units == 0);
    end_other(thread);
}

static void a_sleeper_is_looked_at_once(void)
{
    pthread_t thread = start_other();
    fake.threads_sleep = true;
    rounds();
    uint64_t looks = fake.looks;
    require(other->flushed && looks > 0);
    my_heap()->flushed = true; /* and this thread is none */
    rounds();
    rounds();
    require(fake.looks == looks, "%lu, then %lu", looks, fake.looks);
    end_other(thread);
    require(!other->flushed, "it was here again");
}

/* The thread waits for the lock of who flushes, gets it, and fills its bin: that is not empty any more. */
static void *visit_and_wait(void *unused)
{
    do_free(do_malloc(1));
    other = my_heap();
    p[0] = do_malloc(SIZE); /* alone: its slab has no memory yet */
    require(sem_post(&waits) == 0 && sem_wait(&may_go_on) == 0);
    p[1] = do_malloc(SIZE);
    require(sem_post(&waits) == 0 && sem_wait(&may_go_on) == 0);
    do_free(p[0]);
    do_free(p[1]);
    return unused;
}

static void a_visit_that_waited_for_the_flush_is_one(void)
{
    pthread_t thread;
    do_free(do_malloc(1));
    fake.threads_sleep = true;
    heap_allow_files(true);
    require(sem_init(&may_go_on, 0, 0) == 0 && sem_init(&waits, 0, 0) == 0);
    require(pthread_create(&thread, NULL, visit_and_wait, NULL) == 0 && sem_wait(&waits) == 0);
    lock_acquire(&other->lock);
    require(sem_post(&may_go_on) == 0);
    while (!(load_relaxed(&other->lock.word) & LOCK_WAITED)) sched_yield();
    flush_sleeper(other);
    require(other->flushed);
    lock_release(&other->lock);
    require(sem_wait(&waits) == 0 && left_of(other) > 0);
    rounds();
    require(left_of(other) == 0, "%u stay for as long as it sleeps", left_of(other));
    end_other(thread);
}

/* So with what a thread that takes and frees nothing but runs does now and then: mail goes into its bins. */
static void duties_that_waited_for_the_flush_count(void)
{
    do_free(do_malloc(1));
    my_heap()->flushed = true;
    heap_follow_duties(my_heap());
    require(!my_heap()->flushed);
}

static void a_thread_that_runs_keeps_its_bins(void)
{
    pthread_t thread = start_other();
    rounds();
    require(left_of(other) >= BLOCKS && other->kept_units == RUN_UNITS && *other->slot == &heap_called);
    end_other(thread);
}

static void a_busy_thread_keeps_its_bins(void)
{
    pthread_t thread = start_other();
    fake.threads_sleep = true;
    heap_set_busy(other, true);
    rounds();
    require(left_of(other) >= BLOCKS && other->kept_units == RUN_UNITS);
    heap_set_busy(other, false);
    rounds();
    require(left_of(other) == 0 && other->kept_units == 0);
    end_other(thread);
}

static void a_number_of_another_process_is_nobodys(void)
{
    pthread_t thread = start_other();
    fake.threads_sleep = true;
    other->process++;
    rounds();
    require(left_of(other) >= BLOCKS);
    other->process--;
    end_other(thread);
}

/* It may end unseen at any moment, and take its storage along; who sleeps, and has for a while, does not. */
static void threads_of_the_program_call_nobody(void)
{
    pthread_t thread = start_other();
    fake.threads_sleep = true;
    (void)hak_purge();
    require(left_of(other) >= BLOCKS && other->kept_units == RUN_UNITS && *other->slot == &other->front);
    end_other(thread);
}

static void *call_and_leave(void *unused)
{
    fill_bin();
    call(my_heap());
    return unused;
}

static void a_called_thread_may_end(void)
{
    do_free(do_malloc(1));
    in_thread(call_and_leave, NULL);
    in_thread(call_and_leave, NULL);
    require_sound();
    require(stats_verify_counters() && heap_threads == 1);
}

static void in_the_child(void)
{
    fork_child();
    require(heap_threads == 1);
    fill_bin();
    require(my_heap()->state == HEAP_LIVE && hak_check());
}

static void a_called_thread_may_fork(void)
{
    fill_bin();
    struct heap *heap = my_heap();
    call(heap);
    fork_prepare();
    require(run_forked(in_the_child) == 0);
    fork_parent();
    fill_bin();
    require_called_back(heap, "fork");
}

static void a_slot_that_is_gone_is_not_touched(void)
{
    fill_bin();
    struct heap *heap = my_heap();
    struct heap_front **slot = heap->slot;
    heap->slot = (struct heap_front **)(uintptr_t)64;
    require(!heap_recall(heap));
    heap->slot = NULL;
    require(!heap_recall(heap));
    heap->slot = slot;
    require(heap_recall(heap));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_call_of_a_called_thread_works),
        TEST(counters_stay_exact),
        TEST(what_is_not_used_goes_home),
        TEST(a_failed_push_survives_a_call),
        TEST(a_purge_takes_in_what_it_posts),
        TEST(a_sleepers_bins_are_flushed),
        TEST(a_sleeper_is_looked_at_once),
        TEST(a_visit_that_waited_for_the_flush_is_one),
        TEST(duties_that_waited_for_the_flush_count),
        TEST(a_thread_that_runs_keeps_its_bins),
        TEST(a_busy_thread_keeps_its_bins),
        TEST(a_number_of_another_process_is_nobodys),
        TEST(threads_of_the_program_call_nobody),
        TEST(a_called_thread_may_end),
        TEST(a_called_thread_may_fork),
        TEST(a_slot_that_is_gone_is_not_touched),
    };
    return run_unit_tests(tests);
}
