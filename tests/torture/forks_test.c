/* forks_test.c - forks under load: threads allocate and free while three threads fork.
 *
 * A scene is a program of its own, with or without the library's own thread. What a child does follows from its
 * number; it answers by its exit status, and an alarm of its own ends one that hangs.
 */
#include <spawn.h>
#include <stdatomic.h>

#include "torture.h"

enum { CHURNERS = 3, FORKERS = 3, DEPTH = 3 };

#ifdef TORTURE_STATIC
enum { FORKS_WHOLE = 5000, SPAWNS_WHOLE = 1000 };
#else
enum { FORKS_WHOLE = 50000, SPAWNS_WHOLE = 5000 }; /* twice: with the library's own thread and without */
#endif


extern char **environ;

static atomic_int next_fork;
static atomic_int failed;
static int forks;

static void *child_thread(void *argument)
{
    static int good;
    unsigned seed = (unsigned)(uintptr_t)argument;
    return allocator_works(seed) && allocator_works(seed + 1) ? &good : NULL;
}

static bool threads_work(void)
{
    enum { COUNT = 3 };
    pthread_t thread[COUNT];
    bool all = true;
    for (size_t i = 0; i < COUNT; i++) thread[i] = start_thread(child_thread, (void *)i);
    for (size_t i = 0; i < COUNT; i++) {
        void *good = NULL;
        all = pthread_join(thread[i], &good) == 0 && good && all;
    }
    return all;
}

static int child(int number, int depth);

/* Forks again; the number of what was wrong. */
static int grandchild(int number, int depth)
{
    pid_t pid = fork();
    if (pid < 0) return 20;
    if (pid == 0) _exit(child(number + 1, depth - 1));
    return exited_well(status_of(pid)) ? 0 : 21;
}

/* Threads of the child's own churn while it forks. */
static int fork_beside_threads(int number)
{
    churn_start(2);
    churn_let_run();
    int wrong = grandchild(number, 1);
    if (!churn_stop()) wrong = 22;
    return wrong;
}

static void execute_self(void)
{
    char *const arguments[] = {(char *)(uintptr_t) "self", (char *)(uintptr_t) "work", NULL};
    execv("/proc/self/exe", arguments);
    _exit(127);
}

/* 0 = all was well. */
static int child(int number, int depth)
{
    alarm(CHILD_SECONDS);
    if (!allocator_works((unsigned)number)) return 1;
    if (!churn_empty()) return 2; /* blocks of threads that are not here */
    if (number % 7 == 0 && !hak_check()) return 3;
    if (number % 5 == 0 && !threads_work()) return 4;
    if (number % 11 == 0 && depth > 0) return fork_beside_threads(number);
    if (number % 3 == 0 && depth > 0) return grandchild(number, depth);
    if (number % 53 == 0) execute_self();
    if (number % 13 == 0) hak_purge();
    return allocator_works((unsigned)number + 1) ? 0 : 5;
}

static void one_fork(int number)
{
    pid_t pid = fork();
    if (pid < 0) bail_out("fork %d: errno %d", number, errno);
    if (pid == 0) {
        int wrong = child(number, DEPTH);
        if (number % 2 == 0) exit(wrong); /* with exit handlers, and without */
        _exit(wrong);
    }
    int status = status_of(pid);
    if (exited_well(status)) return;
    atomic_fetch_add(&failed, 1);
    diag("fork %d: signal %d, exit status %d", number, WIFSIGNALED(status) ? WTERMSIG(status) : 0,
         WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

static void *fork_often(void *unused)
{
    for (int n; (n = atomic_fetch_add(&next_fork, 1)) < forks && atomic_load(&failed) < 5;) one_fork(n);
    return unused;
}

/* The first thread forks, and two others. */
static int forks_under_load(void)
{
    pthread_t forker[FORKERS - 1];
    forks = times(60, FORKS_WHOLE);
    churn_start(CHURNERS);
    churn_let_run();
    for (int i = 0; i < FORKERS - 1; i++) forker[i] = start_thread(fork_often, NULL);
    fork_often(NULL);
    for (int i = 0; i < FORKERS - 1; i++) pthread_join(forker[i], NULL);
    if (!churn_stop()) return 2;
    if (!hak_check() || !allocator_works(1)) return 3;
    return atomic_load(&failed) != 0;
}

/* ---- children that begin with another program ---- */

static int spawn_one(int number)
{
    char *const arguments[] = {(char *)(uintptr_t) "self", (char *)(uintptr_t) "work", NULL};
    pid_t pid;
    if (number % 2 == 0) {
        pid = vfork();
        if (pid == 0) {
            execv("/proc/self/exe", arguments);
            _exit(127);
        }
    } else if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, arguments, environ) != 0) {
        return 1;
    }
    return pid > 0 && exited_well(status_of(pid)) ? 0 : 1;
}

static void *spawn_often(void *unused)
{
    for (int n; (n = atomic_fetch_add(&next_fork, 1)) < forks;)
        if (spawn_one(n) != 0) atomic_fetch_add(&failed, 1);
    return unused;
}

static int spawns_under_load(void)
{
    pthread_t spawner;
    forks = times(40, SPAWNS_WHOLE);
    churn_start(CHURNERS);
    spawner = start_thread(spawn_often, NULL);
    spawn_often(NULL);
    pthread_join(spawner, NULL);
    return !churn_stop() || !hak_check() || atomic_load(&failed) != 0;
}

/* ---- */

static const struct {
    const char *name;
    int (*run)(void);
    const char *background;
} scenes[] = {
    {"forks_under_load", forks_under_load, "off"},
    {"forks_under_load_beside_the_library's_thread", forks_under_load, "on"},
    {"spawns_under_load", spawns_under_load, "off"},
    {"spawns_under_load_beside_the_library's_thread", spawns_under_load, "on"},
};

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "work") == 0) return hak_owns && allocator_works(3) ? 0 : 1;
    start_test(argc, argv);
    for (unsigned i = 0; argc > 1 && i < sizeof scenes / sizeof *scenes; i++)
        if (strcmp(argv[1], scenes[i].name) == 0) return scenes[i].run();
    if (!runs_on_hakmem()) return done_testing();
    setenv("HAKMEM_PURGE_DELAY", "4", 1);
    for (unsigned i = 0; i < sizeof scenes / sizeof *scenes; i++) {
        double begin = now_s();
        setenv("HAKMEM_BACKGROUND", scenes[i].background, 1);
        ok(succeeded(run_self_with(scenes[i].name, whole ? "--whole" : NULL), scenes[i].name), "%s", scenes[i].name);
        diag("%.1f s", now_s() - begin);
    }
    return done_testing();
}
