/* background_test.c - the thread of the library that gives memory back: a program with threads gets it, and notices
 * nothing but that its memory shrinks. What it has of who made it: inherited_test.c.
 */
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "bootstrap/workers.h"

/* ---- scenes: each the main program of a child; 0 = as it shall be ---- */

static int memory_goes_back(void)
{
    start_workers();
    bool small = within_time(is_small);
    if (!small) diag("RSS %zu KiB", resident_bytes() >> 10);
    end_workers();
    return !small;
}

static int own_thread;

static bool has_no_descriptors(void)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/task/%d/fd", own_thread);
    return entries_of(path) == 0;
}

/* Which it may just be about to leave. */
static int it_is_quiet(void)
{
    start_workers();
    int threads = count_threads();
    if (threads != WORKERS + 2) {
        diag("%d threads", threads);
        return 1;
    }
    if (count_threads_if(blocks_all_signals, &own_thread) != 1) return 2;
    if (!within_time(has_no_descriptors)) return 3;
    end_workers();
    return 0;
}

static int a_closed_pipe_is_closed(void)
{
    int ends[2];
    char byte;
    if (pipe(ends) != 0) return 1;
    start_workers();
    if (count_threads() != WORKERS + 2) return 2;
    close(ends[1]);
    int got = (int)read(ends[0], &byte, 1); /* would wait for ever */
    end_workers();
    return got != 0;
}

static int it_leaves_with_the_threads(void)
{
    for (int i = 0; i < 10; i++) {
        start_workers();
        end_workers();
        if (!within_time(is_alone)) return 1;
        if (unshare(CLONE_THREAD | CLONE_VM | CLONE_SIGHAND) != 0) return 2; /* needs a process of one thread */
        pause_ms(20 * i);
    }
    return 0;
}

static int a_child_of_fork_gets_its_own(void)
{
    start_workers();
    if (count_threads() != WORKERS + 2) return 1;
    pid_t pid = fork();
    if (pid == 0) {
        if (!is_alone()) _exit(2);
        for (unsigned i = 0; i < 100; i++)
            if (!allocator_works(i)) _exit(3);
        start_workers();
        if (count_threads() != WORKERS + 2) _exit(4);
        if (!within_time(is_small)) _exit(5);
        end_workers();
        _exit(0);
    }
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    end_workers();
    return succeeded(status, "child") ? 0 : 2;
}

/* Past libc, which calls no handlers: the child believes that the thread is there. */
static int a_child_of_the_raw_call_does_not_wait(void)
{
    start_workers();
    if (count_threads() != WORKERS + 2) return 1;
    pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0) {
        for (unsigned i = 0; i < 100; i++)
            if (!allocator_works(i)) _exit(3);
        _exit(0);
    }
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    end_workers();
    return succeeded(status, "child") ? 0 : 2;
}

static void *leave_late(void *unused)
{
    pause_ms(50);
    end_workers();
    return unused;
}

/* The process ends when the last thread that libc knows of does. */
static int it_does_not_keep_the_process_alive(void)
{
    pthread_t thread;
    start_workers();
    if (count_threads() != WORKERS + 2) return 1;
    if (pthread_create(&thread, NULL, leave_late, NULL) != 0) return 2;
    pthread_exit(NULL);
}

static double now_s(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double seconds_of(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

/* The library's thread sleeps for minutes. */
static int exit_does_not_wait(void)
{
    int ends[2], status = -1;
    double began = 0;
    struct rusage usage;
    if (pipe(ends) != 0) return 1;
    pid_t pid = fork();
    if (pid == 0) {
        start_workers();
        if (count_threads() != WORKERS + 2) _exit(2);
        began = now_s();
        if (write(ends[1], &began, sizeof(began)) != sizeof(began)) _exit(3);
        exit(0);
    }
    close(ends[1]);
    while (wait4(pid, &status, 0, &usage) < 0 && errno == EINTR) {}
    double ended = now_s();
    if (!succeeded(status, "child")) return 2;
    if (read(ends[0], &began, sizeof(began)) != sizeof(began)) return 3;
    double worked = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
    if (ended - began > worked + 2) diag("exit took %.1f s", ended - began);
    return ended - began > worked + 2 ? 4 : 0;
}

/* Any filter: what it would do to a new thread, nobody knows. */
static int a_sandbox_gets_none(void)
{
    struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {.len = 1, .filter = &allow};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return 1;
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0) return 2;
    start_workers();
    int threads = count_threads();
    end_workers();
    return threads == WORKERS + 1 ? 0 : 3;
}

/* For all threads: who makes this call is killed. */
static bool kill_for(uint32_t number)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof(filter) / sizeof(*filter), .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
}

/* The one that leaves last waits for ours. */
static int threads_that_leave_under_a_filter_make_no_unlisted_call(void)
{
    start_workers();
    if (count_threads() != WORKERS + 2) return 1;
    if (!kill_for(SYS_tgkill)) return 2;
    end_workers();
    return within_time(is_alone) ? 0 : 3;
}

static int off_means_none(void)
{
    start_workers();
    int threads = count_threads();
    end_workers();
    return threads == WORKERS + 1 ? 0 : 1;
}

/* Without a call that allocates: it would be work for the thread. */
static bool is_it_gone(void)
{
    return syscall(SYS_tgkill, getpid(), own_thread, 0) != 0;
}

/* Nobody may look at the threads of such a process, not even itself; so nothing is to be had by waiting for their
 * sleep. */
static int where_no_sleep_can_be_seen_it_does_not_wait_for_any(void)
{
    if (geteuid() == 0 && setuid(65534) != 0) return errno == EPERM || errno == EINVAL ? NOT_HERE : 1;
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return 2;
    start_workers();
    if (count_threads_if(blocks_all_signals, &own_thread) != 1) return 3;
    bool gone = within_time(is_it_gone);
    end_workers();
    return !gone;
}

/* ---- */

/* The thread of a process with something to give up looks around anyway. */
static bool has_given_up_all(void)
{
    return (getgid() != 0 || setgid(65534) == 0) && (getuid() != 0 || setuid(65534) == 0);
}

static int a_shorter_delay_is_heard(void)
{
    if (!has_given_up_all()) return 1;
    start_workers();
    pause_ms(200); /* it sleeps for five minutes */
    if (hak_option_set("purge_delay", 100) != 0) return 2;
    bool small = within_time(is_small);
    if (!small) diag("RSS %zu KiB", resident_bytes() >> 10);
    end_workers();
    return !small;
}

static const struct scene scenes[] = {
    {"memory_of_sleeping_threads_goes_back", memory_goes_back, "auto", NULL},
    {"it_has_no_signals_and_no_descriptors", it_is_quiet, "auto", NULL},
    {"a_closed_pipe_is_closed", a_closed_pipe_is_closed, "auto", NULL},
    {"it_leaves_with_the_threads", it_leaves_with_the_threads, "auto", NULL},
    {"a_child_of_fork_gets_its_own", a_child_of_fork_gets_its_own, "auto", NULL},
    {"a_child_of_the_raw_call_does_not_wait", a_child_of_the_raw_call_does_not_wait, "auto", NULL},
    {"it_does_not_keep_the_process_alive", it_does_not_keep_the_process_alive, "auto", NULL},
    {"exit_does_not_wait", exit_does_not_wait, "auto", "600000"},
    {"a_shorter_delay_is_heard", a_shorter_delay_is_heard, "auto", "600000"},
    {"a_sandbox_gets_none", a_sandbox_gets_none, "auto", NULL},
    {"threads_that_leave_under_a_filter_make_no_unlisted_call", threads_that_leave_under_a_filter_make_no_unlisted_call,
     "auto", NULL},
    {"off_means_none", off_means_none, "off", NULL},
    {"where_no_sleep_can_be_seen_it_does_not_wait_for_any", where_no_sleep_can_be_seen_it_does_not_wait_for_any,
     "auto", "400"},
};

static const char *why_not(const struct scene *scene)
{
    (void)scene;
    return NULL;
}

int main(int argc, char **argv)
{
    return run_scenes(argc, argv, scenes, sizeof(scenes) / sizeof(*scenes), why_not);
}
