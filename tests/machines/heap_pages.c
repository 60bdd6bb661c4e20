/* heap_pages.c - a heap of one sort, and what memory it has in small and in huge pages.
 *
 *   heap_pages idle              one block
 *   heap_pages touched-SIZE      256 MiB of blocks of which one page in a hundred is written to
 *   heap_pages kept-SIZE         128 MiB of filled blocks of which all but one in a hundred are freed
 *   heap_pages filled-SIZE       128 MiB of filled blocks
 *   heap_pages refilled-SIZE     the same, once they were filled and all freed before
 *   heap_pages grown             one block that grows to 128 MiB by realloc, filled
 *
 * Uses: the standard calls, nothing of hakmem's. Prints the sort, RSS, the part of it in huge pages, and the peak of
 * RSS, in KiB, after the kernel's own thread for huge pages has gone round some times.
 */
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

enum { PART = 100, PAGE = 4096, ROUNDS = 3, TRIES = 100, TRY_US = 20000 };

static void *(*volatile do_malloc)(size_t) = malloc;
static void *(*volatile do_realloc)(void *, size_t) = realloc;
static void (*volatile do_free)(void *) = free;

/* ---- what the kernel tells ---- */

static long told(const char *path, const char *name)
{
    char line[256];
    long value = -1;
    FILE *file = fopen(path, "r");
    if (!file) return -1;
    while (value < 0 && fgets(line, sizeof(line), file))
        if (strncmp(line, name, strlen(name)) == 0) value = strtol(line + strlen(name), NULL, 10);
    fclose(file);
    return value;
}

/* Until khugepaged has seen all of us; it does not go round where it may do nothing. */
static void wait_for_khugepaged(void)
{
    static const char rounds[] = "/sys/kernel/mm/transparent_hugepage/khugepaged/full_scans";
    char enabled[64] = "";
    FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");
    if (!file || !fgets(enabled, sizeof(enabled), file) || strstr(enabled, "[never]")) return;
    fclose(file);
    long start = told(rounds, "");
    for (int i = 0; i < TRIES && told(rounds, "") < start + ROUNDS; i++) usleep(TRY_US);
}

static int tell(const char *sort)
{
    wait_for_khugepaged();
    printf("%s %ld %ld %ld\n", sort, told("/proc/self/smaps_rollup", "Rss:"),
           told("/proc/self/smaps_rollup", "AnonHugePages:"), told("/proc/self/status", "VmHWM:"));
    return 0;
}

/* ---- heaps ---- */

static void **block;

static bool take_all(size_t size, size_t count)
{
    block = do_malloc(count * sizeof(*block));
    for (size_t i = 0; block && i < count; i++)
        if (!(block[i] = do_malloc(size))) return false;
    return block != NULL;
}

/* Every hundredth block, or where blocks are large, every hundredth page of all. */
static bool touch(size_t size)
{
    size_t count = 256 * MIB / size;
    if (!take_all(size, count)) return false;
    if (size < PART * PAGE)
        for (size_t i = 0; i < count; i += PART) memset(block[i], 1, size);
    else
        for (size_t i = 0; i < count; i++)
            for (size_t at = 0; at < size; at += PART * PAGE) ((char *)block[i])[at] = 1;
    return true;
}

static bool fill(size_t size, size_t count)
{
    if (!take_all(size, count)) return false;
    for (size_t i = 0; i < count; i++) memset(block[i], 1, size);
    return true;
}

static bool keep(size_t size)
{
    size_t count = 128 * MIB / size;
    if (!fill(size, count)) return false;
    for (size_t i = 0; i < count; i++)
        if (i % PART != 0) do_free(block[i]);
    malloc_trim(0);
    return true;
}

static bool refill(size_t size, size_t count)
{
    if (!fill(size, count)) return false;
    for (size_t i = 0; i < count; i++) do_free(block[i]);
    do_free(block);
    return fill(size, count);
}

static bool grow(void)
{
    char *p = NULL;
    for (size_t size = MIB; size <= 128 * MIB; size += MIB) {
        if (!(p = do_realloc(p, size))) return false;
        memset(p + size - MIB, 1, MIB);
    }
    return true;
}

static bool make(const char *sort)
{
    const char *dash = strchr(sort, '-');
    size_t size = dash ? strtoul(dash + 1, NULL, 10) : 0;
    if (strcmp(sort, "idle") == 0) return do_malloc(100) != NULL;
    if (strcmp(sort, "grown") == 0) return grow();
    if (size == 0) return false;
    if (strncmp(sort, "touched-", 8) == 0) return touch(size);
    if (strncmp(sort, "kept-", 5) == 0) return keep(size);
    if (strncmp(sort, "refilled-", 9) == 0) return refill(size, 128 * MIB / size);
    return strncmp(sort, "filled-", 7) == 0 && fill(size, 128 * MIB / size);
}

int main(int argc, char **argv)
{
    return argc > 1 && make(argv[1]) ? tell(argv[1]) : 1;
}
