/* outer_proc.c - in a namespace of process numbers with the /proc of the one outside, no thread is taken for another.
 *
 * There /proc/self/task/N is the thread whose number outside is N. Here a thread that never sleeps has inside the
 * number that the first, which sleeps, has outside.
 *
 * Uses:    the library as one include, on the real system; tap.h. Skipped where such a namespace is refused.
 * Callers: `make check`, under UndefinedBehaviorSanitizer; the others start threads of their own in the namespace.
 */
#include "../../src/hakmem.c"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>

#include "../tap.h"

enum { REFUSED = 77, WRONG = 1, MISSED = 78 };

static uint32_t spinner_number; /* inside; 0 = not there yet */
static const void *spinner_storage;
static int answer = -1;

static void *spin(void *unused)
{
    spinner_storage = &heap_self;
    store_release(&spinner_number, os_thread_number());
    while (load_acquire(&answer) < 0) continue;
    return unused;
}

static void *ask(void *unused)
{
    struct timespec pause = {.tv_nsec = 100000000}; /* the first thread is asleep by then */
    heap_allow_files(true);
    nanosleep(&pause, NULL);
    store_release(&answer, os_thread_sleeps(spinner_number, spinner_storage));
    return unused;
}

/* The next thread of the namespace gets this number. */
static bool choose_number(int number)
{
    int file = open("/proc/sys/kernel/ns_last_pid", O_WRONLY);
    bool done = file >= 0 && dprintf(file, "%d", number - 1) > 0;
    if (file >= 0) close(file);
    return done;
}

static int inside(void)
{
    char link[32] = "";
    pthread_t spinner, asker;
    if (readlink("/proc/self", link, sizeof(link) - 1) <= 0 || !choose_number(atoi(link))) return REFUSED;
    if (pthread_create(&spinner, NULL, spin, NULL) != 0) return REFUSED;
    while (!load_acquire(&spinner_number)) sched_yield();
    if (spinner_number != (uint32_t)atoi(link)) return MISSED;
    if (pthread_create(&asker, NULL, ask, NULL) != 0) return REFUSED;
    pthread_join(asker, NULL);
    pthread_join(spinner, NULL);
    return answer == 0 ? 0 : WRONG;
}

static int in_a_namespace(void)
{
    int status = 0;
    if (unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0) return REFUSED;
    pid_t child = fork();
    if (child == 0) _exit(inside());
    if (child < 0 || waitpid(child, &status, 0) != child) return REFUSED;
    return WIFEXITED(status) ? WEXITSTATUS(status) : WRONG;
}

int main(void)
{
    int result = in_a_namespace();
    if (result == REFUSED)
        skip("no namespace of process numbers here", "a_thread_is_not_taken_for_another_by_its_number");
    else
        ok(result == 0, "a_thread_is_not_taken_for_another_by_its_number");
    if (result != 0) diag("result %d of %d, %d, %d", result, REFUSED, WRONG, MISSED);
    return done_testing();
}
