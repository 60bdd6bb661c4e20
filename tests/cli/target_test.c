/* target_test.c - whether a process has ended, whatever name it has given itself.
 *
 * Uses: the tool's target.c as an include.
 */
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "../../cli/target.c"
#include "tap.h"

void fail(enum status status, const char *format, ...)
{
    bail_out("status %d: %s", (int)status, format);
}

/* A child of that name, which waits to be killed. */
static pid_t start_named(const char *name)
{
    int ends[2];
    char byte = 0;
    if (pipe(ends) != 0) bail_out("pipe: errno %d", errno);
    pid_t pid = fork();
    if (pid < 0) bail_out("fork: errno %d", errno);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (prctl(PR_SET_NAME, name) != 0 || write(ends[1], "r", 1) != 1) _exit(1);
        for (;;) pause();
    }
    if (read(ends[0], &byte, 1) != 1) bail_out("the child did not start");
    close(ends[0]);
    close(ends[1]);
    return pid;
}

static void judge(const char *name)
{
    siginfo_t info;
    pid_t pid = start_named(name);
    expect(!process_has_ended(pid), "'%s' lives", name);
    kill(pid, SIGKILL);
    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) != 0) bail_out("waitid: errno %d", errno);
    expect(process_has_ended(pid), "'%s' is a zombie", name);
    waitpid(pid, NULL, 0);
    expect(process_has_ended(pid), "'%s' is gone", name);
}

int main(void)
{
    static const char *const names[] = {"plain",  "", "a)Xorg", "a) Xorg", "a) Z", ") X 1 2", ")", "(", "a\n) Z", "a b (c) d",
                                        ") Z) Z) Z) Z) Z"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) judge(names[i]);
    claim("the_name_of_a_process_does_not_say_whether_it_has_ended");
    return done_testing();
}
