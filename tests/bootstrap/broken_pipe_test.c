/* broken_pipe_test.c - standard error is a pipe that nobody reads, and the library has something to say: the program
 * that asked to go on goes on, and finds its signals and errno as they were.
 *
 * A scene is a child; 0 = as it shall be.
 */
#include <pthread.h>

#include "bootstrap/common.h"

static volatile sig_atomic_t signals;

static void count(int number)
{
    (void)number;
    signals++;
}

static bool is_member(int (*which)(sigset_t *))
{
    sigset_t set;
    return which(&set) == 0 && sigismember(&set, SIGPIPE) == 1;
}

static int blocked_now(sigset_t *set) { return pthread_sigmask(SIG_BLOCK, NULL, set); }

static void block_broken_pipe(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void break_standard_error(void)
{
    int ends[2];
    if (pipe(ends) != 0 || dup2(ends[1], STDERR_FILENO) < 0) _exit(10);
    close(ends[0]);
    close(ends[1]);
}

/* 0 = the library was heard by nobody, and errno is as it was. */
static int misuse(void)
{
    static char object[256];
    hak_option_set("on_error", 1);
    errno = 77;
    give(object + 64);
    return errno == 77 ? 0 : 11;
}

static int by_default(void)
{
    int status = misuse();
    return status ? status : is_member(sigpending) || is_member(blocked_now);
}

static int with_a_handler(void)
{
    signal(SIGPIPE, count);
    int status = misuse();
    return status ? status : signals != 0 || is_member(sigpending) || is_member(blocked_now);
}

static int ignored(void)
{
    signal(SIGPIPE, SIG_IGN);
    int status = misuse();
    signal(SIGPIPE, count);
    return status ? status : signals != 0 || is_member(blocked_now);
}

static int blocked(void)
{
    block_broken_pipe();
    int status = misuse();
    return status ? status : is_member(sigpending) || !is_member(blocked_now);
}

static int blocked_and_pending(void)
{
    block_broken_pipe();
    pthread_kill(pthread_self(), SIGPIPE);
    int status = misuse();
    return status ? status : !is_member(sigpending) || !is_member(blocked_now);
}

static int status_of(int (*scene)(void))
{
    int status = -1;
    pid_t pid = fork();
    if (pid < 0) bail_out("fork: errno %d", errno);
    if (pid == 0) {
        break_standard_error();
        _exit(scene());
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    return status;
}

int main(void)
{
    alarm(HANG_SECONDS);
    if (!runs_on_hakmem()) return done_testing();
    ok(succeeded(status_of(by_default), "child"), "a_message_that_nobody_reads_ends_no_program");
    ok(succeeded(status_of(with_a_handler), "child"), "nor_calls_it_a_handler");
    ok(succeeded(status_of(ignored), "child"), "where_the_signal_is_ignored_nothing_is_left_behind");
    ok(succeeded(status_of(blocked), "child"), "where_it_is_blocked_none_is_left_pending");
    ok(succeeded(status_of(blocked_and_pending), "child"), "one_that_was_pending_before_stays");
    return done_testing();
}
