/* fuzz.c - see fuzz.h. */
#include "fuzz.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Shared by all processes that map the same file; the others count here alone. */
struct counts {
    uint64_t inputs, operations, refusals, births, forks;
};

static struct counts own;
static struct counts *all;

const char *(*fuzz_remark)(void);

void fault(const char *where, const char *what, const char *format, ...)
{
    va_list list;
    fprintf(stderr, "fault: %s: %s: ", where, what);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fprintf(stderr, "\n%s", fuzz_remark ? fuzz_remark() : "");
    abort();
}

static void open_counts(void)
{
    const char *path = getenv("FUZZ_STATS");
    all = &own;
    if (!path) return;
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (file < 0 || ftruncate(file, sizeof(*all)) != 0) return;
    void *shared = mmap(NULL, sizeof(*all), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (shared != MAP_FAILED) all = shared;
    close(file);
}

static void add(uint64_t *sum, uint64_t more)
{
    __atomic_add_fetch(sum, more, __ATOMIC_RELAXED);
}

void fuzz_count(uint64_t operations, uint64_t refusals, uint64_t births, uint64_t forks)
{
    if (!all) open_counts();
    add(&all->inputs, 1);
    add(&all->operations, operations);
    add(&all->refusals, refusals);
    add(&all->births, births);
    add(&all->forks, forks);
}

void fuzz_print_counts(void)
{
    if (!all) open_counts();
    dprintf(STDOUT_FILENO, "# %lu inputs, %lu operations, %lu refusals, %lu threads born, %lu forks\n", all->inputs, all->operations,
           all->refusals, all->births, all->forks);
}
