/* deserted_test.c - heaps of threads that ended and did not leave them; heaps of threads that only seem to have. */
#include "background_thread.h"

#include <sys/syscall.h>

enum { BLOCKS = 1000 };

static void *left[BLOCKS];

static void take_blocks(void)
{
    for (unsigned i = 0; i < BLOCKS; i++) require((left[i] = do_malloc(16 + i % 700)) != NULL);
    for (unsigned i = 0; i < BLOCKS; i += 2) do_free(left[i]);
}

/* No destructor is called, as when the thread's first call comes from the last of them. */
static void *end_unseen(void *unused)
{
    take_blocks();
    (void)syscall(SYS_exit, 0);
    return unused;
}

static void free_blocks(void)
{
    for (unsigned i = 1; i < BLOCKS; i += 2) do_free(left[i]);
}

/* Returns the heap that is left behind. */
static struct heap *desert_a_heap(void)
{
    do_free(do_malloc(1));
    in_thread(end_unseen, NULL);
    struct heap *heap = heap_at(heap_last_id());
    while (os_thread_exists(heap->thread)) sched_yield(); /* it may be joined shortly before it is gone */
    require(heap_threads == 2 && heap != my_heap() && heap->state == HEAP_LIVE && heap->slot);
    return heap;
}

static void require_buried(struct heap *heap)
{
    require(heap->state == HEAP_FREE && !heap->slot && heap->inbox == INBOX_CLOSED && heap_threads == 1);
    free_blocks();
    require_sound();
    struct stats stats;
    stats_collect(&stats);
    require(stats.total.threads == 1, "%zu threads", stats.total.threads);
}

static void a_purge_dissolves_deserted_heaps(void)
{
    struct heap *heap = desert_a_heap();
    (void)reclaim_all();
    require_buried(heap);
    in_thread((void *(*)(void *))(void *)do_malloc, (void *)100); /* who comes next takes it */
    require(heap_last_id() == heap->front.id && heap->state == HEAP_PARKED);
    require_sound();
}

static void so_does_a_round_once_they_are_idle(void)
{
    static const uint32_t stop = 0;
    struct heap *heap = desert_a_heap();
    (void)reclaim_round(&stop);
    require(heap->state == HEAP_LIVE, "it seems to have worked since the last look");
    (void)reclaim_round(&stop);
    require_buried(heap);
    (void)reclaim_round(&stop);
    require(heap_threads == 1);
}

static void many_of_them_do_not_grow_the_process(void)
{
    size_t after_first = 0;
    for (unsigned i = 0; i < 100; i++) {
        struct heap *heap = desert_a_heap();
        (void)reclaim_all();
        require_buried(heap);
        if (i == 10) after_first = fake.address_bytes;
    }
    require(fake.address_bytes == after_first && heap_count <= 3, "%u heaps", heap_count);
}

static void one_that_was_at_work_is_left_alone(void)
{
    struct heap *heap = desert_a_heap();
    heap_set_busy(heap, true); /* its books may be wrong */
    (void)reclaim_all();
    require(heap->state == HEAP_LIVE && heap_threads == 2);
    heap_set_busy(heap, false);
    (void)reclaim_all();
    require_buried(heap);
}

static void one_that_is_locked_is_left_alone(void)
{
    struct heap *heap = desert_a_heap();
    lock_acquire(&heap->lock);
    require(!heap_bury(heap) && heap->slot);
    lock_release(&heap->lock);
    (void)reclaim_all();
    require_buried(heap);
}

static void other_processes_threads_are_not_judged(void)
{
    struct heap *heap = desert_a_heap();
    heap->process++; /* a child of a fork that nobody told us of */
    (void)reclaim_all();
    require(heap->state == HEAP_LIVE && heap_threads == 2);
    heap->process--;
    (void)reclaim_all();
    require_buried(heap);
}

static void *do_nothing(void *unused)
{
    return unused;
}

/* The C library does not clear a thread's keys where it ended without destructors: the next one on that stack ends with
 * its value. */
static void the_next_thread_on_the_stack_gives_up_no_heap(void)
{
    struct heap *heap = desert_a_heap();
    (void)reclaim_all();
    require(heap->state == HEAP_FREE);
    for (unsigned i = 0; i < 4; i++) in_thread(do_nothing, NULL);
    require(heap->state == HEAP_FREE && parked_count == 0 && heap_threads == 1);
    require_buried(heap);
}

static void a_heap_in_a_wrong_list_is_found(void)
{
    struct heap *heap = desert_a_heap();
    (void)reclaim_all();
    parked_heaps = heap;
    require(!hak_check());
    parked_heaps = NULL;
    free_heaps->next = free_heaps;
    require(!hak_check(), "a ring");
    free_heaps->next = NULL;
    require_buried(heap);
}

static unsigned threads_alone;

static void count_alone(void)
{
    threads_alone++;
}

static void a_purge_tells_that_this_thread_is_alone(void)
{
    (void)desert_a_heap();
    heap_when_alone = count_alone;
    (void)reclaim_all();
    require(threads_alone == 1);
}

/* Nobody purges, and no round is made. */
static void heaps_that_are_lost_do_not_pile_up(void)
{
    do_free(do_malloc(1));
    for (unsigned i = 0; i < 10 * BURY_FROM; i++) {
        in_thread(end_unseen, NULL);
        while (os_thread_exists(heap_at(heap_last_id())->thread)) sched_yield();
        free_blocks();
    }
    require(heap_count <= 2 * BURY_FROM, "%u heaps", heap_count);
    (void)reclaim_all();
    require(heap_threads == 1);
    require_sound();
}

static void *free_a_few(void *unused)
{
    for (unsigned i = 0; i < 20; i += 2) do_free(left[i]);
    (void)syscall(SYS_exit, 0);
    return unused;
}

/* As the C library does behind the last destructor of a thread. */
static void a_few_frees_bring_no_heap(void)
{
    for (unsigned i = 0; i < BLOCKS; i++) require((left[i] = do_malloc(16 + i % 700)) != NULL);
    do_free(do_malloc(100000));
    uint32_t heaps = heap_count;
    in_thread(free_a_few, NULL);
    require(heap_count == heaps && heap_threads == 1);
    require_sound();
}

enum { FREED = FREES_WITHOUT_HEAP + 2 };

struct freed {
    void **block;
    struct heap *by;
};

static void *free_all(void *argument)
{
    struct freed *freed = argument;
    void **block = freed->block;
    struct heap *owner = heap_at(tag_owner(tagmap_get(block[0])));
    for (unsigned i = 0; i < FREES_WITHOUT_HEAP; i++) {
        require(heap_self == &heap_none);
        do_free(block[i]);
        require(owner->class[class_of(100)].arrived == i + 1, "it did not go home at once");
    }
    for (unsigned i = FREES_WITHOUT_HEAP; i < FREED; i++) do_free(block[i]);
    require(heap_self->id != 0 && !inbox_has_mail(owner), "it was posted at once");
    freed->by = my_heap();
    return NULL;
}

static void a_thread_that_only_frees_posts_at_its_end(void)
{
    void *block[FREED];
    for (unsigned i = 0; i < FREED; i++) block[i] = do_malloc(100);
    struct freed freed = {.block = block};
    in_thread(free_all, &freed);
    struct heap *heap = freed.by;
    require(heap != my_heap() && heap->state == HEAP_PARKED);
    require(inbox_has_mail(my_heap()));
    inbox_drain(my_heap());
    require(heap->class[class_of(100)].remote_frees == 2 && my_heap()->class[class_of(100)].arrived == FREED);
    require_sound();
}

static sem_t has_taken, may_end;

static void *wait_with_a_heap(void *heap)
{
    take_blocks();
    *(struct heap **)heap = my_heap();
    sem_post(&has_taken);
    while (sem_wait(&may_end) != 0) continue;
    do_free(do_malloc(50));
    return NULL;
}

static void heaps_of_waiting_threads_stay(void)
{
    pthread_t thread;
    struct heap *heap;
    static const uint32_t stop = 0;
    do_free(do_malloc(1));
    require(sem_init(&has_taken, 0, 0) == 0 && sem_init(&may_end, 0, 0) == 0);
    require(pthread_create(&thread, NULL, wait_with_a_heap, &heap) == 0);
    while (sem_wait(&has_taken) != 0) continue;
    (void)reclaim_all();
    for (unsigned i = 0; i < 3; i++) (void)reclaim_round(&stop);
    require(heap->state == HEAP_LIVE && heap->slot && heap_threads == 2);
    sem_post(&may_end);
    require(pthread_join(thread, NULL) == 0);
    require(heap->state == HEAP_PARKED && heap_threads == 1);
    free_blocks();
    require_sound();
}

/* ---- the library's own thread finds them ---- */

/* But for the main thread none has a heap, and nobody knows. */
static void lose_the_last_other_thread(pthread_t thread)
{
    in_thread(end_unseen, NULL);
    while (os_thread_exists(heap_at(heap_last_id())->thread)) sched_yield();
    free_blocks();
    end_sleeper(thread);
    require(heap_threads == 2 && background.id != 0);
}

static void *run_main_as_itself(void *unused)
{
    background.id = os_thread_number();
    return run_main(unused);
}

/* It would wait for itself for ever, and with it who leaves next. */
static void one_that_finds_out_at_a_purge_waits_for_nobody(void)
{
    lose_the_last_other_thread(start_all());
    reclaim_request = 1;
    in_thread(run_main_as_itself, NULL);
    require(heap_threads == 1 && fake.thread_joins == 0, "%lu joins", fake.thread_joins);
}

static void *much;
static unsigned sleeps;

static void free_late(void)
{
    if (++sleeps == 2) do_free(much);
}

static void one_that_finds_out_by_itself_gives_back_what_is_free(void)
{
    much = do_malloc(60 * MIB);
    lose_the_last_other_thread(start_all());
    (void)arena_purge(true);
    fake.while_sleeping = free_late;
    in_thread(run_main_as_itself, NULL);
    fake.while_sleeping = NULL;
    require(heap_threads == 1 && sleeps == 2 && dirty_units() <= 48, "%u heaps, %u sleeps, %zu units", heap_threads, sleeps,
            dirty_units());
    visit();
    require(fake.thread_starts == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_purge_dissolves_deserted_heaps),
        TEST(so_does_a_round_once_they_are_idle),
        TEST(many_of_them_do_not_grow_the_process),
        TEST(one_that_was_at_work_is_left_alone),
        TEST(one_that_is_locked_is_left_alone),
        TEST(other_processes_threads_are_not_judged),
        TEST(the_next_thread_on_the_stack_gives_up_no_heap),
        TEST(a_heap_in_a_wrong_list_is_found),
        TEST(a_purge_tells_that_this_thread_is_alone),
        TEST(heaps_that_are_lost_do_not_pile_up),
        TEST(a_few_frees_bring_no_heap),
        TEST(a_thread_that_only_frees_posts_at_its_end),
        TEST(heaps_of_waiting_threads_stay),
        TEST(one_that_finds_out_at_a_purge_waits_for_nobody),
        TEST(one_that_finds_out_by_itself_gives_back_what_is_free),
    };
    return run_unit_tests(tests);
}
