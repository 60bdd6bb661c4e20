/* workers.h - a program whose threads make the library start its own, which is looked at from /proc; and scenes.
 *
 * Uses:    common.h, own_thread.h.
 * Callers: tests of the library's own thread.
 *
 * A scene is a program of its own that grows with four threads, which free all and sleep; so that each begins with a
 * library that has no thread yet.
 */
#ifndef HAKMEM_TESTS_BOOTSTRAP_WORKERS_H
#define HAKMEM_TESTS_BOOTSTRAP_WORKERS_H

#include <dirent.h>
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

#include "bootstrap/common.h"
#include "own_thread.h"

enum { WORKERS = 4, BLOCKS = 5000, BLOCK = 4000, SECONDS_MAX = 10 };

static pthread_barrier_t all_hold;
static sem_t grown;
static sem_t may_leave;

static void (*at_start)(void) TAP_UNUSED; /* what each of them does first, before the library can make its thread, */
static void (*at_end)(void) TAP_UNUSED;   /* and last */

static inline void *worker(void *unused)
{
    if (at_start) at_start();
    static void *held[WORKERS][BLOCKS];
    static int next;
    void **mine = held[__atomic_fetch_add(&next, 1, __ATOMIC_SEQ_CST) % WORKERS];
    for (int i = 0; i < BLOCKS; i++) {
        mine[i] = take(BLOCK);
        memset(mine[i], 1, BLOCK);
    }
    pthread_barrier_wait(&all_hold); /* one after the other they would make a heap too small for a thread */
    for (int i = 0; i < BLOCKS; i++) give(mine[i]);
    sem_post(&grown);
    while (sem_wait(&may_leave) != 0) {}
    if (at_end) at_end();
    return unused;
}

static pthread_t workers[WORKERS];

static inline void start_workers(void)
{
    pthread_barrier_init(&all_hold, NULL, WORKERS);
    sem_init(&grown, 0, 0);
    sem_init(&may_leave, 0, 0);
    give(take(1));
    for (int i = 0; i < WORKERS; i++)
        if (pthread_create(&workers[i], NULL, worker, NULL) != 0) bail_out("pthread_create");
    for (int i = 0; i < WORKERS; i++)
        while (sem_wait(&grown) != 0) {}
}

static inline void end_workers(void)
{
    for (int i = 0; i < WORKERS; i++) sem_post(&may_leave);
    for (int i = 0; i < WORKERS; i++) pthread_join(workers[i], NULL);
}

/* Threads that the system knows for which `is_meant` holds; `number` gets that of one of them. */
static inline int count_threads_if(bool (*is_meant)(int number), int *number)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/task");
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        if (entry->d_name[0] == '.' || !is_meant(atoi(entry->d_name))) continue;
        *number = atoi(entry->d_name);
        count++;
    }
    if (folder) closedir(folder);
    return count;
}

static inline bool is_any(int number)
{
    return number > 0;
}

static inline int count_threads(void)
{
    int number;
    return count_threads_if(is_any, &number);
}

static inline void pause_ms(long ms)
{
    struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&time, &time) != 0) {}
}

static inline bool within_time(bool (*holds)(void))
{
    for (int i = 0; i < SECONDS_MAX * 100; i++) {
        if (holds()) return true;
        pause_ms(10);
    }
    return false;
}

static inline bool is_small(void)
{
    return resident_bytes() < (size_t)16 << 20;
}

static inline bool is_alone(void)
{
    return count_threads() == 1;
}

/* A line of the thread's status. false = there is none. */
static inline bool status_of(int thread, const char *name, char *out, size_t size)
{
    char path[64], line[256];
    snprintf(path, sizeof(path), "/proc/self/task/%d/status", thread);
    FILE *file = fopen(path, "r");
    bool found = false;
    while (file && !found && fgets(line, sizeof(line), file)) {
        found = strncmp(line, name, strlen(name)) == 0;
        if (found) snprintf(out, size, "%s", line + strlen(name));
    }
    if (file) fclose(file);
    return found;
}

static inline int entries_of(const char *path)
{
    int count = 0;
    DIR *folder = opendir(path);
    if (!folder) return -1;
    for (struct dirent *entry; (entry = readdir(folder));) count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

static inline bool has_only_own_threads(void)
{
    return count_threads() == WORKERS + 1;
}

/* But for SIGKILL and SIGSTOP: so does the library's thread, and none of the program's. */
static inline bool blocks_all_signals(int number)
{
    char text[256];
    return status_of(number, "SigBlk:\t", text, sizeof(text)) && strncmp(text, "fffffffffffbfeff", 16) == 0;
}

/* ---- scenes: each the main program of a child; 0 = as it shall be ---- */

enum { NOT_HERE = 77 }; /* a scene's status: the system refuses it */

struct scene {
    const char *name;
    int (*run)(void);
    const char *background; /* HAKMEM_BACKGROUND */
    const char *delay;      /* HAKMEM_PURGE_DELAY; NULL = as it is */
};

static inline int run_scenes(int argc, char **argv, const struct scene *scenes, unsigned count,
                             const char *(*why_not)(const struct scene *))
{
    alarm(HANG_SECONDS);
    for (unsigned i = 0; argc > 1 && i < count; i++)
        if (strcmp(argv[1], scenes[i].name) == 0) return scenes[i].run();
    for (unsigned i = 0; i < count; i++) {
        alarm(2 * HANG_SECONDS); /* for each scene: its own rings first */
        const char *reason = no_own_thread_here();
        if (!reason) reason = why_not(&scenes[i]);
        if (reason) {
            skip(reason, "%s", scenes[i].name);
            continue;
        }
        setenv("HAKMEM_BACKGROUND", scenes[i].background, 1);
        if (scenes[i].delay) setenv("HAKMEM_PURGE_DELAY", scenes[i].delay, 1);
        else unsetenv("HAKMEM_PURGE_DELAY");
        int status = run_self_with(scenes[i].name, NULL);
        if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_HERE) skip("the system refuses it", "%s", scenes[i].name);
        else ok(succeeded(status, scenes[i].name), "%s", scenes[i].name);
    }
    return done_testing();
}

#endif
