/* process.h - what the kernel tells about the process and its thread, asked without stdio, which would allocate.
 *
 * Uses:    bench.h.
 * Callers: latency.c.
 */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include "bench.h"
#include <fcntl.h>
#include <sys/resource.h>
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

#endif
