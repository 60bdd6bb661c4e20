/* end_fork_test.c - forks that come when the process ends, from destructors of libraries, are served like any other:
 * what threads of the parent had is nobody's in the child.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>

#include "bootstrap/common.h"

static sem_t ready;

static void *allocate_and_stay(void *unused)
{
    if (!allocator_works(1)) _exit(30);
    sem_post(&ready);
    for (;;) pause();
    return unused;
}

/* Its library forks behind its return. */
static int end_with_a_thread(const char *library)
{
    pthread_t thread;
    if (!dlopen(library, RTLD_NOW) || sem_init(&ready, 0, 0) != 0) return 31;
    if (pthread_create(&thread, NULL, allocate_and_stay, NULL) != 0) return 32;
    sem_wait(&ready);
    return 33;
}

int main(int argc, char **argv)
{
    char library[PATH_MAX];
    alarm(HANG_SECONDS);
    if (argc > 1) return end_with_a_thread(argv[1]);
    if (!runs_on_hakmem()) return done_testing();
    beside_folder(library, "fork_on_unload.so");
    ok(succeeded(run_self_with(library, NULL), "the process"), "a_library_may_fork_when_the_process_ends");
    return done_testing();
}
