/* spawn_test.c - vfork, posix_spawn, system and popen while threads allocate.
 */
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>

#include "bootstrap/common.h"

enum { SPAWNS = 25, THREADS = 4 };

extern char **environ;
static atomic_bool stop;

static void *churn(void *argument)
{
    for (unsigned i = 0; !atomic_load(&stop); i++)
        if (!allocator_works(i)) abort();
    return argument;
}

static void vforked(const char *argument)
{
    char *const arguments[] = {(char *)(uintptr_t) "self", (char *)(uintptr_t)argument, NULL};
    int status = -1;
    pid_t pid = vfork();
    if (pid == 0) {
        execv("/proc/self/exe", arguments);
        _exit(127);
    }
    waitpid(pid, &status, 0);
    expect(succeeded(status, "vfork"), "vfork");
}

static void spawned(const char *argument)
{
    char *const arguments[] = {(char *)(uintptr_t) "self", (char *)(uintptr_t)argument, NULL};
    int status = -1;
    pid_t pid;
    int failed = posix_spawn(&pid, "/proc/self/exe", NULL, NULL, arguments, environ);
    if (!expect(failed == 0, "posix_spawn: %d", failed)) return;
    waitpid(pid, &status, 0);
    expect(succeeded(status, "posix_spawn"), "posix_spawn");
}

static void piped(void)
{
    char line[64] = "";
    FILE *f = popen("echo from the shell", "r");
    if (!expect(f != NULL, "popen: errno %d", errno)) return;
    expect(fgets(line, sizeof line, f) && strcmp(line, "from the shell\n") == 0, "read '%s'", line);
    expect(pclose(f) == 0, "pclose");
}

int main(int argc, char **argv)
{
    pthread_t thread[THREADS];
    alarm(HANG_SECONDS);
    if (argc == 2) return strcmp(argv[1], "work") == 0 && hak_owns && allocator_works(3) ? 0 : 1;
    if (!runs_on_hakmem()) return done_testing();
    for (size_t i = 0; i < THREADS; i++)
        if (pthread_create(&thread[i], NULL, churn, NULL) != 0) bail_out("pthread_create");
    for (int i = 0; i < SPAWNS; i++) vforked("work");
    claim("vforked_children_run_on_hakmem_and_the_parent_goes_on");
    for (int i = 0; i < SPAWNS; i++) spawned("work");
    claim("posix_spawned_children_run_on_hakmem_and_the_parent_goes_on");
#ifndef __GLIBC__
    unsetenv("LD_PRELOAD"); /* the machine's shell has another C library than ours, and cannot load it */
#endif
    for (int i = 0; i < SPAWNS; i++) piped();
    expect(system("exit 0") == 0, "system");
    claim("popen_and_system_work");
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
    ok(hak_check(), "the_heap_is_sound_at_the_end");
    return done_testing();
}
