/* measure.c - runs one program and reports what it cost: time, peak memory, page faults, how it ended.
 *
 *     measure REPORT TIMEOUT LIBRARY PROGRAM [ARGUMENTS ...]
 *
 * REPORT   file that receives one line of JSON
 * TIMEOUT  seconds; a program that is still running then is killed
 * LIBRARY  absolute path to preload, or "-" for none
 *
 * The program leads a process group of its own. Whatever is left of the group when the program has ended is
 * killed, so that nothing runs on into the next measurement; so is the whole group when this launcher is
 * interrupted, or when the process that started it dies.
 *
 * Why not Python's wait4: Linux counts the memory that a process had before exec in ru_maxrss, so
 * every program would seem to need as much as the interpreter that started it. This launcher is linked
 * statically and has less than any program that it starts.
 *
 * Why ptrace: the kernel stops the program once, when it is about to exit and its mappings still exist.
 * There /proc/PID/maps says whether LIBRARY was really in the process. No other stop happens, and no
 * thread but the first is traced. Where ptrace is refused, "loaded" is null: not known.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, EXIT_INTERRUPTED = 3, EXIT_NOT_TRACED = 126, EXIT_NOT_STARTED = 127 };

enum loaded { LOADED_UNKNOWN, LOADED_NO, LOADED_YES };

struct outcome {
    double wall;        /* seconds, from before fork to the end */
    int status;         /* as wait4 gives it */
    bool traced;        /* it stopped for us at least once */
    enum loaded loaded; /* unknown too when nothing was to be preloaded */
    struct rusage usage;
};

static volatile pid_t program; /* 0 until it is started; read by the handler */
static volatile sig_atomic_t timed_out;

__attribute__((noreturn)) static void fail(const char *what)
{
    fprintf(stderr, "measure: %s: %s\n", what, strerror(errno));
    _exit(EXIT_USAGE);
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void on_alarm(int signal)
{
    (void)signal;
    timed_out = 1;
    kill(-program, SIGKILL);
}

static void on_interrupt(int signal)
{
    (void)signal;
    if (program > 0)
        kill(-program, SIGKILL);
    _exit(EXIT_INTERRUPTED);
}

/* The end of the starter comes as SIGTERM; if it came before prctl, there is another parent already. */
static void end_with_starter(void)
{
    static const int ends[] = {SIGHUP, SIGINT, SIGTERM};
    struct sigaction action = {.sa_handler = on_interrupt};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        sigaction(ends[i], &action, NULL);
    pid_t starter = getppid();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != starter)
        _exit(EXIT_INTERRUPTED);
}

static void start_alarm(double timeout)
{
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval timer = {.it_value.tv_sec = (time_t)timeout};
    timer.it_value.tv_usec = (suseconds_t)((timeout - (double)timer.it_value.tv_sec) * 1e6);
    setitimer(ITIMER_REAL, &timer, NULL);
}

__attribute__((noreturn)) static void become_program(bool traced, const char *library, char **command)
{
    setpgid(0, 0);
    if (traced && ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(EXIT_NOT_TRACED);
    if (strcmp(library, "-") == 0)
        unsetenv("LD_PRELOAD");
    else
        setenv("LD_PRELOAD", library, 1);
    execvp(command[0], command);
    fprintf(stderr, "measure: %s: %s\n", command[0], strerror(errno));
    _exit(EXIT_NOT_STARTED);
}

/* `library` among the files that the process has mapped: its path after any symbolic links. */
static enum loaded find_library(pid_t pid, const char *library)
{
    char path[64];
    char real[PATH_MAX];
    char line[PATH_MAX + 128];
    if (strcmp(library, "-") == 0)
        return LOADED_UNKNOWN;
    if (realpath(library, real) == NULL)
        return LOADED_NO;
    snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "r");
    if (maps == NULL)
        return LOADED_UNKNOWN;
    enum loaded found = LOADED_NO;
    while (found == LOADED_NO && fgets(line, sizeof line, maps) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        const char *file = strchr(line, '/');
        if (file != NULL && strcmp(file, real) == 0)
            found = LOADED_YES;
    }
    fclose(maps);
    return found;
}

/* One stop of a traced program. Returns the signal that it is to receive when it goes on. */
static int pass_stop(pid_t pid, const char *library, struct outcome *out)
{
    int event = out->status >> 16;
    if (!out->traced) { /* the first stop is the exec itself */
        out->traced = true;
        ptrace(PTRACE_SETOPTIONS, pid, NULL, (void *)(long)(PTRACE_O_TRACEEXIT | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL));
        return 0;
    }
    if (event == PTRACE_EVENT_EXIT)
        out->loaded = find_library(pid, library);
    return event != 0 ? 0 : WSTOPSIG(out->status);
}

static void wait_for_end(pid_t pid, const char *library, struct outcome *out)
{
    for (;;) {
        if (wait4(pid, &out->status, __WALL, &out->usage) < 0) {
            if (errno == EINTR)
                continue;
            fail("wait4");
        }
        if (!WIFSTOPPED(out->status))
            return;
        int signal = pass_stop(pid, library, out);
        ptrace(PTRACE_CONT, pid, NULL, (void *)(long)signal);
    }
}

static void run(bool traced, double timeout, const char *library, char **command, struct outcome *out)
{
    *out = (struct outcome){.loaded = LOADED_UNKNOWN};
    double start = seconds();
    pid_t pid = fork();
    if (pid < 0)
        fail("fork");
    if (pid == 0)
        become_program(traced, library, command);
    setpgid(pid, pid); /* by both sides: the alarm must find the group */
    program = pid;
    start_alarm(timeout);
    wait_for_end(pid, library, out);
    out->wall = seconds() - start;
    kill(-pid, SIGKILL); /* fails, as a rule: nobody is left */
}

static double to_seconds(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec * 1e-6;
}

static void report(const char *path, const struct outcome *out)
{
    static const char *const loaded[] = {"null", "false", "true"};
    FILE *f = fopen(path, "w");
    if (f == NULL)
        fail(path);
    const struct rusage *u = &out->usage;
    fprintf(f, "{\"wall\": %.6f, \"user\": %.6f, \"sys\": %.6f, \"peak_kib\": %ld, \"minor_faults\": %ld, \"major_faults\": %ld, ",
            out->wall, to_seconds(u->ru_utime), to_seconds(u->ru_stime), u->ru_maxrss, u->ru_minflt, u->ru_majflt);
    fprintf(f, "\"waits\": %ld, \"preemptions\": %ld, ", u->ru_nvcsw, u->ru_nivcsw);
    fprintf(f, "\"exit\": %d, \"signal\": %d, \"timed_out\": %s, \"loaded\": %s}\n",
            WIFEXITED(out->status) ? WEXITSTATUS(out->status) : -1, WIFSIGNALED(out->status) ? WTERMSIG(out->status) : 0,
            timed_out ? "true" : "false", loaded[out->loaded]);
    if (fclose(f) != 0)
        fail(path);
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        fputs("usage: measure REPORT TIMEOUT LIBRARY PROGRAM [ARGUMENTS ...]\n", stderr);
        return EXIT_USAGE;
    }
    double timeout = atof(argv[2]);
    if (!(timeout >= 0.001 && timeout < 1e7)) {
        fprintf(stderr, "measure: TIMEOUT is '%s', must be seconds, at least 0.001\n", argv[2]);
        return EXIT_USAGE;
    }
    end_with_starter();
    struct outcome out;
    run(true, timeout, argv[3], argv + 4, &out);
    if (!out.traced && WIFEXITED(out.status) && WEXITSTATUS(out.status) == EXIT_NOT_TRACED)
        run(false, timeout, argv[3], argv + 4, &out);
    report(argv[1], &out);
    return 0;
}
