/* handler_forks_test.c - handlers that fork, wherever they have interrupted malloc and free: neither process hangs, and
 * where there is one thread both go on. Handlers that call malloc, which they must not, are told so, and do not hang.
 *
 * A timer interrupts a thread that allocates and frees all sizes. Alone, its children return from the handler and go on
 * with the call. Beside other threads they end at once, or become another program, as any child of a fork should there.
 */
#include <stdatomic.h>
#include <sys/time.h>

#include "torture.h"

enum { BLOCKS = 64, WORKERS = 2, AFTER = 2000, FORKS_MIN = 51 };

static volatile sig_atomic_t forks, failures;
static volatile sig_atomic_t in_child;
static volatile bool beside_others;
static atomic_bool stop;

static void fork_in_handler(int number)
{
    int saved = errno, status = -1;
    (void)number;
    pid_t child = fork();
    if (child == 0 && beside_others) _exit(0);
    if (child == 0) {
        alarm(20); /* who hangs is ended; no other timer goes on here */
        in_child = 1;
        errno = saved;
        return;
    }
    forks++;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) failures++;
    errno = saved;
}

static void interrupt_every(long us, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    struct itimerval timer = {{0, us}, {0, us}};
    sigaction(SIGPROF, &action, NULL);
    setitimer(ITIMER_PROF, &timer, NULL);
}

static size_t any_size(unsigned i)
{
    return i % 7 == 0 ? 20000 + i % 300000 : 8 + i * 37 % 3000;
}

/* Calls that visit more often than they hit. */
static unsigned turn(unsigned char **block, unsigned i)
{
    unsigned char **b = &block[i * 2654435761u % BLOCKS];
    give(*b);
    *b = take(any_size(i));
    if (!*b) bail_out("no memory");
    **b = (unsigned char)i;
    if (i % 5000 == 0) hak_purge();
    return i + 1;
}

static int go_on_in_child(unsigned char **block, unsigned i)
{
    for (unsigned end = i + AFTER; i != end;) i = turn(block, i);
    for (unsigned b = 0; b < BLOCKS; b++) give(block[b]);
    return hak_check() ? 0 : 9;
}

static void *work(void *unused)
{
    static __thread unsigned char *block[BLOCKS];
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    for (unsigned i = 0; !atomic_load(&stop); i++) turn(block, i);
    return unused;
}

static int forks_in_handlers(bool others)
{
    static unsigned char *block[BLOCKS];
    pthread_t thread[WORKERS];
    beside_others = others;
    for (unsigned t = 0; others && t < WORKERS; t++)
        if (pthread_create(&thread[t], NULL, work, NULL) != 0) return 2;
    interrupt_every(2000, fork_in_handler);
    double end = now_s() + times(3, 60);
    unsigned i = 0;
    while (now_s() < end || forks < FORKS_MIN) { /* signals come with the time of a processor, which others may have */
        i = turn(block, i);
        if (in_child) _exit(go_on_in_child(block, i));
    }
    interrupt_every(0, SIG_IGN);
    if (in_child) _exit(go_on_in_child(block, i)); /* born since it was last asked */
    atomic_store(&stop, true);
    for (unsigned t = 0; others && t < WORKERS; t++) pthread_join(thread[t], NULL);
    diag("%d forks, %d failed", (int)forks, (int)failures);
    if (!hak_check()) return 3;
    return failures == 0 ? 0 : 4;
}

/* ---- handlers of an abort, in the middle of a call ---- */

static void fork_and_return(int number)
{
    int status = -1;
    (void)number;
    pid_t child = fork();
    if (child == 0) _exit(0);
    if (waitpid(child, &status, 0) != child || status != 0) _exit(5);
}

static void allocate(int number)
{
    (void)number;
    for (unsigned i = 0; i < 3000; i++) (void)take(any_size(i));
    _exit(6); /* it was not seen */
}

static void free_twice(void (*handler)(int))
{
    signal(SIGABRT, handler);
    void *p = take(100);
    give(p);
    give(p);
}

static int abort_handler_forks(bool unused)
{
    (void)unused;
    free_twice(fork_and_return);
    return 7;
}

static int abort_handler_allocates(bool unused)
{
    (void)unused;
    free_twice(allocate);
    return 7;
}

static bool was_aborted(int status)
{
    if (!WIFSIGNALED(status)) diag("exit status %d", WEXITSTATUS(status));
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static const struct {
    const char *name;
    int (*run)(bool others);
    bool others, aborts;
} scenes[] = {
    {"a_handler_that_interrupted_a_call_may_fork_and_both_go_on", forks_in_handlers, false, false},
    {"beside_other_threads_neither_process_hangs", forks_in_handlers, true, false},
    {"a_handler_of_sigabrt_may_fork_when_a_misuse_is_reported", abort_handler_forks, false, true},
    {"a_handler_that_allocates_in_the_middle_of_a_call_is_told_so", abort_handler_allocates, false, true},
};

int main(int argc, char **argv)
{
    start_test(argc, argv);
    for (unsigned i = 0; argc > 1 && i < sizeof scenes / sizeof *scenes; i++)
        if (strcmp(argv[1], scenes[i].name) == 0) return scenes[i].run(scenes[i].others);
    if (!runs_on_hakmem()) return done_testing();
    for (unsigned i = 0; i < sizeof scenes / sizeof *scenes; i++) {
        int status = run_self_with(scenes[i].name, whole ? "--whole" : NULL);
        ok(scenes[i].aborts ? was_aborted(status) : succeeded(status, scenes[i].name), "%s", scenes[i].name);
    }
    return done_testing();
}
