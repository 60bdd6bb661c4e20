/* fork_on_unload.c - a library that forks when it goes: with the process, when most others have gone. What the child
 * finds becomes the exit status of the process.
 */
#include <sys/wait.h>
#include <unistd.h>

#include "api/weak.h"

__attribute__((destructor)) static void fork_at_last(void)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        struct hak_stats stats;
        _exit(hak_stats && hak_stats(&stats) == 0 && stats.threads == 1 ? 0 : 40 + (int)stats.threads);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status)) _exit(39);
    _exit(WEXITSTATUS(status));
}
