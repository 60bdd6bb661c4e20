/* counters_test.c - HAKMEM_COUNTERS finds no difference at the end of a process whose other threads still allocate. */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <sys/wait.h>

#include "tap.h"

enum { RUNS = 40, THREADS = 3, SLOTS = 256, ROUNDS = 20000 };

static void *(*volatile allocate)(size_t) = malloc;
static void (*volatile give)(void *) = free;
static void *slot[SLOTS];
static unsigned rounds;

/* Small blocks, runs and long ones, which other threads free. */
static void *work(void *argument)
{
    for (uint32_t random = (uint32_t)(uintptr_t)argument;;) {
        random = random * 1103515245 + 12345;
        size_t size = (random >> 16) % 4 ? (random >> 16) % 3000 : (random >> 10) % 3000000;
        give(__atomic_exchange_n(&slot[(random >> 8) % SLOTS], allocate(size + 1), __ATOMIC_ACQ_REL));
        __atomic_add_fetch(&rounds, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

static int end_while_threads_work(void)
{
    pthread_t thread;
    for (uintptr_t i = 1; i <= THREADS; i++)
        if (pthread_create(&thread, NULL, work, (void *)i) != 0) return 1;
    while (__atomic_load_n(&rounds, __ATOMIC_RELAXED) < ROUNDS) sched_yield();
    return 0;
}

/* What the child says on standard error. */
static int run_child(char *text, size_t size)
{
    int pipe_ends[2], status = -1;
    if (pipe(pipe_ends) != 0) bail_out("no pipe");
    pid_t child = fork();
    if (child == 0) {
        dup2(pipe_ends[1], STDERR_FILENO);
        execl("/proc/self/exe", "counters_test", "child", (char *)NULL);
        _exit(127);
    }
    close(pipe_ends[1]);
    size_t length = 0;
    for (ssize_t n; (n = read(pipe_ends[0], text + length, size - 1 - length)) > 0;) length += (size_t)n;
    text[length] = 0;
    close(pipe_ends[0]);
    waitpid(child, &status, 0);
    return status;
}

int main(int argc, char **argv)
{
    char text[4096];
    (void)argv;
    if (argc > 1) return end_while_threads_work();
    setenv("HAKMEM_COUNTERS", "1", 1);
    for (unsigned i = 0; i < RUNS; i++) {
        int status = run_child(text, sizeof text);
        expect(status == 0 && strcmp(text, "hakmem: counters ok\n") == 0, "run %u: status %#x, %s", i, (unsigned)status,
               text);
    }
    claim("counters_are_right_while_other_threads_work");
    return done_testing();
}
