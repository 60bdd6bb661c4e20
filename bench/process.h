/* process.h - what the kernel tells about processes and threads, asked without stdio, which would allocate; and how a
 * program starts itself again, to be watched from outside.
 *
 * Uses:    bench.h.
 * Callers: latency.c, idle.c, server_sim.c, thrash.c.
 */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include "bench.h"
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* How often the calling thread was switched away, of its own will or not. */
static inline long context_switches(void)
{
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nvcsw + usage.ru_nivcsw;
}

static inline unsigned long resident_kib(void)
{
    char text[128] = "";
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
        bench_fail("/proc/self/statm: %s", strerror(errno));
    close(fd);
    const char *second = strchr(text, ' ');
    return second == NULL ? 0 : strtoul(second, NULL, 10) * (unsigned long)sysconf(_SC_PAGESIZE) / 1024;
}

/* Resident memory of a process, exact: what statm says may be off by some pages for each processor. */
struct resident {
    uint64_t bytes; /* Rss */
    uint64_t lazy;  /* of these the system may take at any time, but has not yet: MADV_FREE */
};

static inline uint64_t rollup_field(const char *text, const char *name)
{
    const char *found = strstr(text, name);
    return found == NULL ? 0 : strtoull(found + strlen(name), NULL, 10) * 1024;
}

static inline struct resident resident_of(long pid)
{
    char path[64];
    char text[4096];
    snprintf(path, sizeof path, "/proc/%ld/smaps_rollup", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (length <= 0)
        bench_fail("%s: %s", path, strerror(errno));
    close(fd);
    text[length] = '\0';
    return (struct resident){.bytes = rollup_field(text, "\nRss:"), .lazy = rollup_field(text, "\nLazyFree:")};
}

/* Memory for the program's own tables: not the allocator's, and all there from the start. */
static inline void *own_memory(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (p == MAP_FAILED)
        bench_fail("no memory for tables of %zu bytes", bytes);
    return p;
}

static inline double cpu_seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* Sleeps until a time of bench_seconds(). */
static inline void sleep_until(double when)
{
    struct timespec t = {.tv_sec = (time_t)when};
    t.tv_nsec = (long)((when - (double)t.tv_sec) * 1e9);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
        ;
}

/* ---- two processes: the one that watches, and the one that works ----
 *
 * The second is the same program, started afresh rather than forked, so that the allocator in it has seen nothing
 * before. Its last argument is the number of the channel between the two. */

enum { CHANNEL_FIRST = 3, CHANNEL_LAST = 1 << 20 };

/* `arguments` ends with NULL, before which a place is left for the channel. Returns this side's end. */
static inline int start_self(char **arguments, pid_t *pid)
{
    int ends[2];
    char text[16];
    char **place = arguments;
    while (place[1] != NULL)
        place++;
    *place = text;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0 || fcntl(ends[0], F_SETFD, FD_CLOEXEC) != 0)
        bench_fail("socketpair: %s", strerror(errno));
    snprintf(text, sizeof text, "%d", ends[1]);
    int error = posix_spawn(pid, "/proc/self/exe", NULL, NULL, arguments, environ);
    if (error != 0)
        bench_fail("posix_spawn: %s", strerror(error));
    close(ends[1]);
    return ends[0];
}

/* In the process that works. */
static inline int channel_of(const char *text)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    return (int)bench_number("CHANNEL", text, CHANNEL_FIRST, CHANNEL_LAST);
}

static inline void channel_send(int channel, const void *data, size_t size)
{
    if (send(channel, data, size, MSG_NOSIGNAL) != (ssize_t)size)
        bench_fail("the other process is gone");
}

static inline void channel_receive(int channel, void *data, size_t size)
{
    if (recv(channel, data, size, MSG_WAITALL) != (ssize_t)size)
        bench_fail("the other process is gone");
}

static inline void end_self(int channel, pid_t pid)
{
    int status;
    if (waitpid(pid, &status, 0) != pid || status != 0)
        bench_fail("the process that worked failed: status %d", status);
    close(channel);
}

#endif
