/* recall_test.c - the bins of sleeping threads are flushed by the library's own thread, never those of a thread that a
 * signal has stopped in the middle of a call.
 *
 * The second scene is built to hit: a thread allocates and frees without a visit, signals stop it wherever it is, and
 * their handler sleeps for longer than the library's thread needs to look. Were bins flushed then, two blocks
 * would be one soon.
 */
#include <pthread.h>
#include <semaphore.h>
#include <sys/time.h>
#include <time.h>

#include "bootstrap/common.h"
#include "own_thread.h"

enum { BLOCKS = 60000, SIZE = 96, SECONDS_MAX = 10, STRESS_SECONDS = 4 };

static sem_t filled;
static sem_t may_go_on;
static volatile bool stop;

static void pause_us(long us)
{
    struct timespec time = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    nanosleep(&time, NULL);
}

/* ---- a thread sleeps with full bins ---- */

static void *held[BLOCKS];
static size_t cached_before; /* before the thread sleeps: main may come late */

static size_t cached_bytes(void)
{
    struct hak_stats stats;
    hak_stats(&stats);
    return stats.cached;
}

/* Takes and frees the same blocks again and again, which makes a bin large; then sleeps; then goes on. */
static void *fill_bins(void *unused)
{
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < BLOCKS / 20; i++) held[i] = take(SIZE);
        for (int i = 0; i < BLOCKS / 20; i++) give(held[i]);
    }
    cached_before = cached_bytes();
    sem_post(&filled);
    while (sem_wait(&may_go_on) != 0) {}
    for (unsigned i = 0; i < 1000; i++)
        if (!allocator_works(i)) return unused;
    return NULL;
}

/* Waits until the bins of the one that sleeps have shrunk, and lets it go on. NULL = they have not. */
static void *see_them_shrink(void *shrunk)
{
    while (sem_wait(&filled) != 0) {}
    size_t before = cached_before;
    size_t after = before;
    for (int i = 0; i < SECONDS_MAX * 100 && after > before / 3; i++) {
        pause_us(10000);
        for (int k = 0; k < 300; k++) give(take(100000)); /* visits: they start the library's thread */
        after = cached_bytes();
    }
    sem_post(&may_go_on);
    bool good = before >= 100000 && after <= before / 3;
    if (!good) diag("cached: %zu bytes, later %zu", before, after);
    return good ? shrunk : NULL;
}

/* The first thread has another kind of stack. */
static int sleepers_bins_are_flushed(bool first_sleeps)
{
    pthread_t thread;
    void *of_thread = NULL;
    void *of_first;
    sem_init(&filled, 0, 0);
    sem_init(&may_go_on, 0, 0);
    give(take(1));
    if (pthread_create(&thread, NULL, first_sleeps ? see_them_shrink : fill_bins, &filled) != 0) return 1;
    of_first = first_sleeps ? fill_bins(&filled) : see_them_shrink(&filled);
    pthread_join(thread, &of_thread);
    void *shrunk = first_sleeps ? of_thread : of_first;
    void *broken = first_sleeps ? of_first : of_thread;
    if (broken) return 3;
    return shrunk ? 0 : 2;
}

/* ---- a thread is stopped by signals ---- */

static volatile unsigned long signals;

static void sleep_in_handler(int number)
{
    int saved = errno;
    (void)number;
    signals++;
    pause_us(3000);
    errno = saved;
}

/* Hits only: what is freed is taken again, from a bin or from the runs that the thread has kept. true = two blocks were
 * one. */
static bool hit_until_stopped(size_t size, size_t larger)
{
    enum { MANY = 8 };
    unsigned char *p[MANY] = {NULL};
    for (unsigned round = 0; !stop; round++) {
        unsigned i = round * 2654435761u >> 29;
        if (p[i]) {
            if (!is_filled(p[i], SIZE, (unsigned char)i)) return true;
            give(p[i]);
        }
        p[i] = take(i % 4 ? size : larger);
        memset(p[i], (int)i, SIZE);
    }
    for (int i = 0; i < MANY; i++) give(p[i]);
    return false;
}

static bool watched; /* the library's own thread was there, which could have taken what others keep */

static void *stop_later(void *unused)
{
    struct itimerval every = {{0, 5000}, {0, 5000}};
    setitimer(ITIMER_REAL, &every, NULL);
    give(take(10));
    for (int i = 0; i < STRESS_SECONDS * 100; i++) {
        pause_us(10000);
        for (int k = 0; k < 300; k++) give(take(100000));
        watched = watched || count_tasks() == 3; /* two of the program's */
    }
    struct itimerval never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &never, NULL);
    stop = true;
    return unused;
}

static int what_a_stopped_thread_keeps_is_left_alone(size_t size, size_t larger)
{
    pthread_t thread;
    sigset_t timer;
    struct sigaction action = {.sa_handler = sleep_in_handler, .sa_flags = SA_NODEFER};
    sigemptyset(&timer);
    sigaddset(&timer, SIGALRM);
    sigaction(SIGALRM, &action, NULL);
    pthread_sigmask(SIG_BLOCK, &timer, NULL);
    if (pthread_create(&thread, NULL, stop_later, NULL) != 0) return 1;
    pthread_sigmask(SIG_UNBLOCK, &timer, NULL); /* this thread gets them all */
    bool mixed = hit_until_stopped(size, larger);
    pthread_join(thread, NULL);
    diag("%lu signals%s", signals, watched ? "" : ", nobody was there to take anything");
    if (signals < 100 || !watched) return 2;
    return mixed || !hak_check() ? 3 : 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "sleepers") == 0) return sleepers_bins_are_flushed(false);
    if (argc > 1 && strcmp(argv[1], "first") == 0) return sleepers_bins_are_flushed(true);
    if (argc > 1 && strcmp(argv[1], "stopped") == 0) return what_a_stopped_thread_keeps_is_left_alone(SIZE, SIZE);
    if (argc > 1 && strcmp(argv[1], "runs") == 0) return what_a_stopped_thread_keeps_is_left_alone(100000, 150000);
    if (no_own_thread_here()) {
        skip(no_own_thread_here(), "sleeping_threads_are_recognized");
        return done_testing();
    }
    setenv("HAKMEM_BACKGROUND", "on", 1);
    ok(succeeded(run_self_with("sleepers", NULL), "sleepers"), "sleeping_threads_bins_are_flushed");
    ok(succeeded(run_self_with("first", NULL), "first"), "the_first_thread's_bins_are_flushed_when_it_sleeps");
    setenv("HAKMEM_PURGE_DELAY", "2", 1);
    ok(succeeded(run_self_with("stopped", NULL), "stopped"), "bins_of_threads_that_a_signal_stopped_are_left_alone");
    ok(succeeded(run_self_with("runs", NULL), "runs"), "kept_runs_of_threads_that_a_signal_stopped_are_left_alone");
    return done_testing();
}
