/* fork_test.c - a child forked while eight threads allocate and free has a working allocator.
 *
 * Each child allocates, frees blocks of the parent's threads, starts threads, forks again, and exits.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "bootstrap/common.h"

enum { FORKS = 200, THREADS = 8, SLOTS = 512, CHILD_SECONDS = 20 };

static _Atomic(unsigned char *) slots[SLOTS]; /* whoever takes a pointer out owns the block */
static atomic_bool stop;
static atomic_bool paused; /* leave the processors to the child: block on the gate */
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static atomic_ulong rounds[THREADS];
static atomic_int bad;

static size_t next_random(size_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

/* The first byte tells the size class of the marks, the last one must agree. */
static unsigned char *marked_block(size_t random)
{
    size_t size = random % 50 == 0 ? 70000 + random % 300000 : random % 2000 + sizeof size;
    unsigned char *p = take(size);
    if (!p) return NULL;
    memcpy(p, &size, sizeof size);
    if (size > sizeof size) p[size - 1] = (unsigned char)size;
    return p;
}

static void check_and_give(unsigned char *p)
{
    size_t size;
    if (!p) return;
    memcpy(&size, p, sizeof size);
    if (size > sizeof size && p[size - 1] != (unsigned char)size) atomic_fetch_add(&bad, 1);
    give(p);
}

static void *churn(void *argument)
{
    size_t number = (size_t)(uintptr_t)argument, state = number + 1;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        size_t random = next_random(&state);
        unsigned char *p = marked_block(random);
        if (!p) atomic_fetch_add(&bad, 1);
        check_and_give(atomic_exchange(&slots[random % SLOTS], p));
        atomic_fetch_add_explicit(&rounds[number], 1, memory_order_relaxed);
        if (!atomic_load_explicit(&paused, memory_order_relaxed)) continue;
        pthread_mutex_lock(&gate);
        pthread_mutex_unlock(&gate);
    }
    return NULL;
}

static void *work(void *argument)
{
    static int good;
    return allocator_works((unsigned)(uintptr_t)argument) ? &good : NULL;
}

static bool threads_work(void)
{
    pthread_t thread[3];
    bool all = true;
    for (size_t i = 0; i < 3; i++)
        if (pthread_create(&thread[i], NULL, work, (void *)i) != 0) return false;
    for (size_t i = 0; i < 3; i++) {
        void *result = NULL;
        all = pthread_join(thread[i], &result) == 0 && result && all;
    }
    return all;
}

/* The number of the first thing that was wrong, 0 for none. */
static int child(int number, int depth)
{
    alarm(CHILD_SECONDS);
    if (!allocator_works((unsigned)number)) return 1;
    for (int i = 0; i < SLOTS; i++) check_and_give(atomic_exchange(&slots[i], NULL));
    if (atomic_load(&bad) != 0) return 2;
    if (!threads_work()) return 3;
    if (!allocator_works((unsigned)number + 1)) return 4;
    if (number % 10 == 0 && !hak_check()) return 5;
    if (depth == 0) return 0;
    pid_t pid = fork();
    if (pid == 0) _exit(child(number + 1, depth - 1));
    int status = -1;
    if (waitpid(pid, &status, 0) != pid || !exited_well(status)) return 6;
    return 0;
}

static void one_fork(int number)
{
    pid_t pid = fork();
    if (pid < 0) bail_out("fork %d: errno %d", number, errno);
    if (pid == 0) {
        int result = child(number, 1);
        if (number % 2 == 0) exit(result); /* with exit handlers, and without */
        _exit(result);
    }
    int status = -1;
    pthread_mutex_lock(&gate);
    atomic_store(&paused, true);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    atomic_store(&paused, false);
    pthread_mutex_unlock(&gate);
    expect(exited_well(status), "fork %d: signal %d, exit status %d", number, WIFSIGNALED(status) ? WTERMSIG(status) : 0,
           WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

static unsigned long all_rounds(void)
{
    unsigned long sum = 0;
    for (int i = 0; i < THREADS; i++) sum += atomic_load(&rounds[i]);
    return sum;
}

/* Waits until some threads are at work again. */
static void let_threads_work(void)
{
    unsigned long before = all_rounds();
    while (all_rounds() < before + 1000) sched_yield();
}

/* Waits until every thread has done a round since the call. */
static void let_all_threads_work(void)
{
    unsigned long before[THREADS];
    for (int i = 0; i < THREADS; i++) before[i] = atomic_load(&rounds[i]);
    for (int i = 0; i < THREADS; i++)
        while (atomic_load(&rounds[i]) == before[i]) sched_yield();
}

int main(void)
{
    pthread_t thread[THREADS];
    alarm(2 * HANG_SECONDS);
    if (!runs_on_hakmem()) return done_testing();
    for (size_t i = 0; i < THREADS; i++)
        if (pthread_create(&thread[i], NULL, churn, (void *)i) != 0) bail_out("pthread_create");
    let_all_threads_work();
    for (int i = 0; i < FORKS; i++) {
        one_fork(i);
        if (i % 20 == 0) let_all_threads_work();
        else let_threads_work();
    }
    claim("children_forked_while_eight_threads_allocate_work_and_exit_0");
    let_all_threads_work();
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
    for (int i = 0; i < SLOTS; i++) check_and_give(atomic_exchange(&slots[i], NULL));
    ok(atomic_load(&bad) == 0, "the_parent's_blocks_are_whole");
    ok(hak_check() && allocator_works(1), "the_parent_works_on");
    return done_testing();
}
