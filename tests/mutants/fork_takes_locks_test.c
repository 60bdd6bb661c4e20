/* fork_takes_locks_test - at a fork every lock is held by the forking thread, so a child finds all of them free. */
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>

#define HAK_IN_PROGRAM 0 /* hakmem starts as a constructor */

/* Registered before hakmem's constructor registers its own: so it runs after those, and sees what they locked. */
static void before_the_split(void);
__attribute__((constructor(101))) static void register_before_hakmem(void)
{
    pthread_atfork(before_the_split, NULL, NULL);
}

#include "../regress/whitebox.h"

enum { STUCK_SECONDS = 60, CHILD_SECONDS = 20 };

static struct lock *locks[16];
static unsigned lock_count;
static struct heap *other_heap;

static struct lock *held;     /* by the other thread; NULL = none yet */
static uint32_t ready, split; /* shared flags */
static uint32_t open_locks;   /* found free when the process splits */

static void before_the_split(void)
{
    for (unsigned i = 0; i < lock_count; i++) open_locks += load_relaxed(&locks[i]->word) == 0;
}

static void *hold(void *unused)
{
    call_free(call_malloc(100));
    other_heap = heap_of(heap_self);
    if (!held) return unused; /* only so that there are two heaps */
    lock_acquire_peer(held);
    store_release(&ready, 1);
    /* until somebody waits for it */
    while (!(load_relaxed(&held->word) & LOCK_WAITED) && !load_acquire(&split)) sched_yield();
    lock_release_peer(held);
    return unused;
}

static int live_in_the_child(void)
{
    alarm(CHILD_SECONDS);
    void *small = call_malloc(100), *pool = call_malloc(20000);
    void *run = call_malloc(5 << 20), *mapping = call_malloc(70 << 20);
    if (!small || !pool || !run || !mapping) return 2;
    for (unsigned i = 0; i < lock_count; i++)
        if (load_relaxed(&locks[i]->word) != 0) return 3;
    call_free(small);
    call_free(pool);
    call_free(run);
    call_free(mapping);
    return hak_check() ? 0 : 4;
}

static void fork_while_held(unsigned i)
{
    pthread_t thread;
    int status = -1; /* also where there is no child */
    held = locks[i];
    store_release(&ready, 0);
    store_release(&split, 0);
    if (pthread_create(&thread, NULL, hold, NULL) != 0) bail_out("no thread");
    while (!load_acquire(&ready)) sched_yield();
    pid_t child = fork();
    if (child == 0) _exit(live_in_the_child());
    store_release(&split, 1);
    pthread_join(thread, NULL);
    waitpid(child, &status, 0);
    expect(status == 0, "lock %u, rank %u: the child ended with %#x", i, held->rank, (unsigned)status);
}

static void list_locks(void)
{
    struct lock *all[] = {&registry_lock, &sparse_lock, &other_heap->lock, &heap_common->lock, &purge_lock,
                           &large_lock, &arena_lock, &tagmap_lock, &record_lock};
    for (unsigned i = 0; i < array_length(all); i++) locks[lock_count++] = all[i];
}

int main(void)
{
    pthread_t thread;
    alarm(STUCK_SECONDS);
    be(heap_enter());
    if (pthread_create(&thread, NULL, hold, NULL) != 0) bail_out("no thread");
    pthread_join(thread, NULL);
    list_locks();
    for (unsigned i = 1; i < lock_count; i++) fork_while_held(i); /* the thread that holds the registry cannot be met */
    claim("a_child_can_allocate_whatever_lock_another_thread_held");
    ok(open_locks == 0, "every_lock_is_held_when_the_process_splits");
    ok(hak_check(), "all_invariants_hold_at_the_end");
    return done_testing();
}
