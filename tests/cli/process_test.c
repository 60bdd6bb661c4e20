/* process_test.c - whether a process has ended, whatever name it has given itself and whoever of its threads lives on.
 *
 * Uses: the tool's process.c and text.c as includes.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "../../cli/process.c"
#include "../../cli/text.c"
#include "tap.h"

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

static void *write_and_wait(void *end)
{
    if (write(*(int *)end, "r", 1) != 1) _exit(1);
    for (;;) pause();
    return NULL;
}

static void judge_without_first_thread(void)
{
    int ends[2];
    char byte = 0;
    siginfo_t info;
    if (pipe(ends) != 0) bail_out("pipe: errno %d", errno);
    pid_t pid = fork();
    if (pid < 0) bail_out("fork: errno %d", errno);
    if (pid == 0) {
        pthread_t thread;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (pthread_create(&thread, NULL, write_and_wait, &ends[1]) != 0) _exit(1);
        pthread_exit(NULL);
    }
    if (read(ends[0], &byte, 1) != 1) bail_out("the child did not start");
    while (task_lives(pid)) usleep(1000);
    pid_t task = process_task(pid);
    expect(task != 0 && task != pid && !process_has_ended(pid), "task %d of %d", (int)task, (int)pid);
    FILE *maps = process_file(pid, "maps");
    expect(maps && fgetc(maps) != EOF, "its mappings are to be had");
    if (maps) fclose(maps);
    expect(process_size(pid).resident > 0, "resident memory");
    kill(pid, SIGKILL);
    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) != 0) bail_out("waitid: errno %d", errno);
    expect(process_has_ended(pid), "it has ended");
    waitpid(pid, NULL, 0);
}

static void judge_text(const char *text, const char *shown)
{
    char copy[64];
    snprintf(copy, sizeof(copy), "%s", text);
    make_printable(copy);
    expect(strcmp(copy, shown) == 0, "'%s' is shown as '%s'", shown, copy);
}

int main(void)
{
    static const char *const names[] = {"plain",  "", "a)Xorg", "a) Xorg", "a) Z", ") X 1 2", ")", "(", "a\n) Z", "a b (c) d",
                                        ") Z) Z) Z) Z) Z"};
    for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++) judge(names[i]);
    claim("the_name_of_a_process_does_not_say_whether_it_has_ended");
    judge_without_first_thread();
    claim("a_process_whose_first_thread_has_ended_lives");
    judge_text("plain \"\\", "plain \"\\");
    judge_text("j\303\266s\303\251 \342\202\254 \360\237\230\200", "j\303\266s\303\251 \342\202\254 \360\237\230\200");
    judge_text("\033]0;x\007\177", "?]0;x??");
    judge_text("j\303", "j?");
    judge_text("a\302\233b", "a??b");                       /* a control character of two bytes */
    judge_text("\300\200 \355\240\200 \364\220\200\200 \377", "?? ??? ???? ?"); /* none of these is in use */
    judge_text("", "");
    claim("text_of_others_does_not_steer_the_terminal");
    return done_testing();
}
