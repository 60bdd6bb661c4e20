/* atfork_test.c - other people's fork handlers may allocate, wherever they stand in the order.
 *
 * Registered in .preinit_array: in a static program that is before hakmem's constructor, so that such a prepare handler
 * runs after hakmem's, such a child handler before hakmem's. And registered in main: the other way round.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "bootstrap/common.h"

enum { FORKS = 40, THREADS = 4, CHILD_SECONDS = 20 };

static int early_prepare, early_parent, early_child, late_prepare, late_parent, late_child;
static int broken;
static void *volatile carried; /* allocated in one handler, freed in a later one */

static void use_allocator(int *counter)
{
    ++*counter;
    give(carried);
    carried = take((size_t)*counter * 997 % 100000);
    if (!carried || !allocator_works((unsigned)*counter)) broken++;
}

static void on_early_prepare(void) { use_allocator(&early_prepare); }
static void on_early_parent(void) { use_allocator(&early_parent); }
static void on_early_child(void) { use_allocator(&early_child); }
static void on_late_prepare(void) { use_allocator(&late_prepare); }
static void on_late_parent(void) { use_allocator(&late_parent); }
static void on_late_child(void) { use_allocator(&late_child); }

static void before_constructors(int argc, char **argv, char **environment)
{
    (void)argc, (void)argv, (void)environment;
    if (pthread_atfork(on_early_prepare, on_early_parent, on_early_child) != 0) broken++;
}
__attribute__((section(".preinit_array"), used)) static void (*const preinit)(int, char **, char **) = before_constructors;

static atomic_bool stop;

static void *churn(void *argument)
{
    for (unsigned i = 0; !atomic_load(&stop); i++)
        if (!allocator_works(i)) abort();
    return argument;
}

static void one_fork(int number)
{
    pid_t pid = fork();
    if (pid < 0) bail_out("fork %d: errno %d", number, errno);
    if (pid == 0) {
        alarm(CHILD_SECONDS);
        bool good = early_child == 1 && late_child == 1 && broken == 0 && allocator_works((unsigned)number);
        _exit(good ? 0 : 1);
    }
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    expect(exited_well(status), "fork %d: signal %d", number, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

int main(void)
{
    pthread_t thread[THREADS];
    alarm(HANG_SECONDS);
    if (!runs_on_hakmem()) return done_testing();
    if (pthread_atfork(on_late_prepare, on_late_parent, on_late_child) != 0) bail_out("pthread_atfork");
    one_fork(0);
    claim("fork_handlers_may_allocate_in_a_single_thread");
    for (size_t i = 0; i < THREADS; i++)
        if (pthread_create(&thread[i], NULL, churn, NULL) != 0) bail_out("pthread_create");
    for (int i = 1; i < FORKS; i++) one_fork(i);
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
    claim("fork_handlers_may_allocate_while_threads_do");
    ok(early_prepare == FORKS && early_parent == FORKS && late_prepare == FORKS && late_parent == FORKS,
       "handlers_before_and_after_hakmem's_all_ran");
    ok(broken == 0, "every_block_of_the_handlers_was_good");
    ok(hak_check(), "the_heap_is_sound_at_the_end");
    return done_testing();
}
