/* launch.c - starts very many short processes, some at a time, and tells which of them failed.
 *
 *   launch COUNT FIRST_SEED JOBS PROGRAM
 *
 * Runs PROGRAM with FIRST_SEED, FIRST_SEED + 1 ... as its only argument, in this process's environment but for
 * LD_PRELOAD, which is HAKMEM_SOAK_LIB where that is set. Prints "failed SEED: STATUS" for each that did not
 * exit with 0, now and then how far it is, and at last "COUNT processes, N failed". SIGTERM ends it early, with the
 * same last line. Exit status: 0 = none failed, 1 = some did, 2 = it could not go on.
 */
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { JOBS_MAX = 64 };

struct job {
    pid_t pid; /* 0 = free */
    unsigned long long seed;
};

static struct job job[JOBS_MAX];
static unsigned long long done, failed;
static volatile sig_atomic_t stopped;

static void stop(int number)
{
    (void)number;
    stopped = 1;
}

static void start_one(struct job *j, unsigned long long seed, char *program)
{
    extern char **environ;
    char text[32];
    snprintf(text, sizeof(text), "%llu", seed);
    char *arguments[] = {program, text, NULL};
    int error = posix_spawn(&j->pid, program, NULL, NULL, arguments, environ);
    if (error != 0) {
        fprintf(stderr, "launch: cannot start %s: %s\n", program, strerror(error));
        exit(2);
    }
    j->seed = seed;
}

static void tell(unsigned long long seed, int status)
{
    failed++;
    if (WIFSIGNALED(status)) printf("failed %llu: signal %d\n", seed, WTERMSIG(status));
    else printf("failed %llu: exit status %d\n", seed, WEXITSTATUS(status));
    fflush(stdout);
}

static void wait_for_one(unsigned jobs)
{
    int status;
    pid_t pid;
    do pid = waitpid(-1, &status, 0);
    while (pid < 0 && errno == EINTR);
    for (unsigned i = 0; i < jobs; i++) {
        if (job[i].pid != pid) continue;
        job[i].pid = 0;
        done++;
        if (status != 0) tell(job[i].seed, status);
    }
}

static struct job *free_job(unsigned jobs)
{
    for (unsigned i = 0; i < jobs; i++)
        if (job[i].pid == 0) return &job[i];
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: launch COUNT FIRST_SEED JOBS PROGRAM\n");
        return 2;
    }
    unsigned long long count = strtoull(argv[1], NULL, 10), first = strtoull(argv[2], NULL, 10), started = 0;
    unsigned jobs = (unsigned)strtoul(argv[3], NULL, 10);
    if (jobs < 1 || jobs > JOBS_MAX || count == 0) {
        fprintf(stderr, "launch: COUNT is at least 1, JOBS is 1 to %d\n", JOBS_MAX);
        return 2;
    }
    const char *lib = getenv("HAKMEM_SOAK_LIB");
    if (lib) setenv("LD_PRELOAD", lib, 1);
    struct sigaction action = {.sa_handler = stop};
    sigaction(SIGTERM, &action, NULL);
    while (done < started || (started < count && !stopped)) {
        struct job *j = started < count && !stopped ? free_job(jobs) : NULL;
        if (!j) {
            wait_for_one(jobs);
            if (done % (count / 1000 + 1) == 0) printf("%llu of %llu, %llu failed\n", done, count, failed), fflush(stdout);
        } else {
            start_one(j, first + started++, argv[4]);
        }
    }
    printf("%llu processes, %llu failed\n", done, failed);
    return failed > 0;
}
