/* fork_sites_test.c - a fork while another thread holds a lock of the library, for each lock: the fork waits, and in
 * the child every lock is free and every call that takes it works.
 *
 * White box. The holder keeps its lock until somebody waits for it, which is the forking thread; or until the fork
 * is over, when it did not wait: then the child finds the lock taken for good, and its alarm ends it.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "regress/whitebox.h"

enum { CHILD_SECONDS = 20, FORKS_QUICK = 40, FORKS_WHOLE = 1000 };

static struct {
    struct lock *lock;
    bool is_heap; /* the holder's own, whatever `lock` says */
    uint32_t held;
    uint32_t forked;
    uint32_t over;
    uint32_t waited;
} site;

static const char *const names[] = {"registry", "sparse", "heap", "common", "purge", "large", "arena", "tagmap", "record"};
enum { SITES = sizeof names / sizeof names[0] };

static struct lock *lock_of(unsigned number)
{
    struct lock *const locks[SITES] = {&registry_lock, &sparse_lock, NULL, &heap_common->lock, &purge_lock,
                                       &large_lock, &arena_lock, &tagmap_lock, &record_lock};
    return locks[number];
}

/* Holds the lock again and again, each time until the fork has come to it. */
static void *hold(void *unused)
{
    call_free(call_malloc(10));
    struct lock *lock = site.is_heap ? &heap_mine->lock : site.lock;
    while (!load_acquire(&site.over)) {
        lock_acquire(lock);
        store_release(&site.forked, 0);
        store_release(&site.held, 1);
        while (!load_acquire(&site.forked) && !(load_acquire(&lock->word) & LOCK_WAITED)) sched_yield();
        if (!load_acquire(&site.forked)) add_relaxed(&site.waited, 1);
        store_release(&site.held, 0);
        lock_release(lock);
        while (!load_acquire(&site.forked) && !load_acquire(&site.over)) sched_yield();
    }
    return unused;
}

/* Takes every lock by a call that needs it. 0 = all was well. */
static int use_everything(unsigned seed)
{
    void *p[60];
    for (unsigned i = 0; i < 60; i++) {
        size_t size = i < 40 ? (i * 977 + seed * 31) % 65536 + 1 : (size_t)100000 * (i - 39);
        p[i] = call_malloc(size);
        if (!p[i]) return 1;
        memset(p[i], (int)i, size < 5000 ? size : 5000);
    }
    void *mapping = malloc_mapping(5 << 20);
    if (!mapping) return 2;
    call_free(mapping);
    for (unsigned i = 0; i < 60; i++) call_free(p[i]);
    hak_purge();
    struct hak_stats stats;
    return hak_stats(&stats) == 0 && hak_check() ? 0 : 3;
}

static void *use_in_thread(void *result)
{
    *(int *)result = use_everything(9);
    return NULL;
}

static int child(unsigned number)
{
    int result = -1;
    pthread_t thread;
    alarm(CHILD_SECONDS);
    for (unsigned i = 0; i < SITES; i++)
        if (lock_of(i) && lock_of(i)->word != 0) return 10 + (int)i;
    int wrong = use_everything(number);
    if (wrong) return wrong;
    if (pthread_create(&thread, NULL, use_in_thread, &result) != 0) return 4;
    pthread_join(thread, NULL);
    return result == 0 ? 0 : 5;
}

static void one_fork(const char *name, unsigned number)
{
    while (!load_acquire(&site.held)) sched_yield();
    pid_t pid = fork();
    if (pid == 0) _exit(child(number));
    store_release(&site.forked, 1);
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s, fork %u: signal %d, status %d", name, number,
           WIFSIGNALED(status) ? WTERMSIG(status) : 0, WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

static void forks_at(unsigned number, unsigned forks)
{
    pthread_t thread;
    memset(&site, 0, sizeof site);
    site.lock = lock_of(number);
    site.is_heap = !site.lock;
    site.forked = 1;
    if (pthread_create(&thread, NULL, hold, NULL) != 0) bail_out("pthread_create");
    for (unsigned i = 0; i < forks; i++) one_fork(names[number], i);
    store_release(&site.over, 1);
    store_release(&site.forked, 1);
    pthread_join(thread, NULL);
    expect(load_relaxed(&site.waited) >= forks / 2, "%s: only %u of %u forks waited", names[number],
           load_relaxed(&site.waited), forks);
    expect(use_everything(number) == 0, "%s: the parent", names[number]);
    claim("forks_while_the_lock_of_%s_is_held", names[number]);
}

int main(int argc, char **argv)
{
    bool whole = argc > 1 && strcmp(argv[1], "--whole") == 0;
    alarm(whole ? 3600 : 240);
    if (use_everything(0) != 0) bail_out("the library does not work");
    for (unsigned i = 0; i < SITES; i++) forks_at(i, whole ? FORKS_WHOLE : FORKS_QUICK);
    return done_testing();
}
