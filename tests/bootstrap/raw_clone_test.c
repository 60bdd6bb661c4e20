/* raw_clone_test.c - a child that was made by the system call clone(), past libc and its fork handlers, allocates with
 * threads of its own, though the numbers that its first thread has noted are those of another process's thread.
 *
 * In PID namespaces the system gives such a number to the child's next thread. They take root, or user namespaces.
 */
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tap.h"

enum { TIME_S = 60, NO_NAMESPACES = 77 };

static void *(*volatile allocate)(size_t) = malloc;
static void (*volatile give)(void *) = free;
static int (*volatile trim)(size_t) = malloc_trim;

/* The status of a child's end, as its parent's own. */
static int wait_for(pid_t child)
{
    int status = -1;
    if (child < 0 || waitpid(child, &status, __WALL) != child) return 90;
    if (WIFSIGNALED(status)) return 100 + WTERMSIG(status);
    return WEXITSTATUS(status);
}

static pid_t clone_raw(void)
{
    return (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
}

static int in_child_of(pid_t (*make)(void), int (*scene)(void))
{
    pid_t child = make();
    if (child == 0) _exit(scene());
    return wait_for(child);
}

/* ---- threads meet at locks ---- */

static void *work_at_locks(void *argument)
{
    unsigned random = (unsigned)(size_t)argument + 1;
    void *block[8];
    for (unsigned round = 0; round < 20000; round++) {
        for (unsigned i = 0; i < 8; i++) {
            random = random * 1103515245 + 12345;
            block[i] = allocate(2200000 + (random >> 16) % 3000000);
        }
        for (unsigned i = 0; i < 8; i++) give(block[i]);
    }
    return NULL;
}

static int waits_for_its_threads(void)
{
    pthread_t thread[2];
    alarm(TIME_S);
    for (size_t i = 0; i < 2; i++)
        if (pthread_create(&thread[i], NULL, work_at_locks, (void *)i) != 0) return 1;
    (void)work_at_locks((void *)9);
    for (size_t i = 0; i < 2; i++) pthread_join(thread[i], NULL);
    return 0;
}

static int second_of_a_namespace(void)
{
    if (getpid() != 2) return 2;
    give(allocate(100000));
    give(allocate(5000000));
    return in_child_of(clone_raw, waits_for_its_threads);
}

static int first_with_a_child(void)
{
    return in_child_of(fork, second_of_a_namespace);
}

/* ---- heaps of threads that have gone are looked for ---- */

enum { BLOCKS = 200, SIZE = 100 };
static bool is_done;

/* false = somebody else has written to one of them. */
static bool fill_and_look(int value)
{
    unsigned char *block[BLOCKS];
    bool good = true;
    for (unsigned i = 0; i < BLOCKS; i++) memset(block[i] = allocate(SIZE), value, SIZE);
    for (unsigned i = 0; i < BLOCKS; i++) {
        for (unsigned k = 0; k < SIZE; k++) good &= block[i][k] == value;
        give(block[i]);
    }
    return good;
}

static void *trim_and_look(void *good)
{
    while (!__atomic_load_n(&is_done, __ATOMIC_RELAXED)) {
        trim(0);
        *(bool *)good &= fill_and_look(0xbb);
    }
    return NULL;
}

static void *note_number(void *number)
{
    *(long *)number = syscall(SYS_gettid);
    return NULL;
}

/* The first of its threads is gone, and so is the number that the heap of this one knows. */
static int keeps_its_heap(void)
{
    pthread_t thread;
    bool good = true, others_good = true;
    long number;
    alarm(TIME_S);
    if (pthread_create(&thread, NULL, note_number, &number) != 0) return 1;
    pthread_join(thread, NULL);
    while (syscall(SYS_tgkill, getpid(), number, 0) == 0) sched_yield(); /* it may be joined before it is gone */
    if (pthread_create(&thread, NULL, trim_and_look, &others_good) != 0) return 1;
    for (unsigned round = 0; round < 20000; round++) good &= fill_and_look(0xaa);
    __atomic_store_n(&is_done, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    return good && others_good ? 0 : 3;
}

static void *clone_from_a_thread(void *result)
{
    give(allocate(SIZE));
    *(int *)result = in_child_of(clone_raw, keeps_its_heap);
    return NULL;
}

static int first_with_a_thread(void)
{
    pthread_t thread;
    int result = 91;
    if (getpid() != 1) return 2;
    if (pthread_create(&thread, NULL, clone_from_a_thread, &result) != 0) return 1;
    pthread_join(thread, NULL);
    return result;
}

/* ---- */

static int (*scene_in_namespace)(void);

static int enter_namespace(void)
{
    if (unshare(CLONE_NEWPID) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0) return NO_NAMESPACES;
    return in_child_of(fork, scene_in_namespace);
}

static void show(int (*scene)(void), const char *name)
{
    scene_in_namespace = scene;
    int result = in_child_of(fork, enter_namespace);
    if (result == NO_NAMESPACES)
        skip("no PID namespaces", "%s", name);
    else
        ok(result == 0, "%s (%d)", name, result);
}

int main(void)
{
    give(allocate(100000));
    show(first_with_a_child, "threads_of_a_raw_clone_wait_for_one_another");
    show(first_with_a_thread, "the_first_thread_of_a_raw_clone_keeps_its_heap");
    return done_testing();
}
