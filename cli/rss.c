/* rss.c - see rss.h. */
#include "rss.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process.h"

enum { ENTRIES_AT_ONCE = 8192 };
enum page { PAGE_ABSENT = 0, PAGE_PRESENT, PAGE_SHARED /* present, and not this process's alone */ };
#define PAGEMAP_PRESENT (UINT64_C(1) << 63)
#define PAGEMAP_EXCLUSIVE (UINT64_C(1) << 56)

/* ---- smaps ---- */

static void take_line(struct rss *rss, const char *line)
{
    uintptr_t start, end;
    unsigned long kib;
    char name[32];
    char file = 0;
    if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %c", &start, &end, &file) >= 2) {
        rss->areas = grow_memory(rss->areas, (rss->count + 1) * sizeof(*rss->areas));
        rss->areas[rss->count++] = (struct rss_area){.start = start, .end = end, .has_file = file == '/'};
        return;
    }
    if (rss->count == 0 || sscanf(line, "%31[^:]: %lu kB", name, &kib) != 2) return;
    struct rss_area *area = &rss->areas[rss->count - 1];
    if (strcmp(name, "Rss") == 0) {
        area->rss = kib * UINT64_C(1024);
        rss->total += area->rss;
    }
    if (strcmp(name, "AnonHugePages") == 0) area->huge = kib * UINT64_C(1024);
    if (strcmp(name, "Swap") == 0) area->swap = kib * UINT64_C(1024);
}

/* false = there is no list, or it has no stack: then it may have ended early, where the process ran another program
 * while it was read, lowest addresses first. */
static bool read_areas(struct rss *rss, pid_t pid)
{
    char line[4096 + 128];
    bool has_stack = false;
    FILE *smaps = process_file(pid, "smaps");
    while (smaps && fgets(line, sizeof(line), smaps)) {
        take_line(rss, line);
        has_stack |= strstr(line, " [stack]") != NULL;
    }
    if (smaps) fclose(smaps);
    return has_stack;
}

bool rss_read(struct rss *rss, pid_t pid)
{
    char path[64];
    *rss = (struct rss){.pagemap = -1};
    if (sysconf(_SC_PAGESIZE) != PAGE_BYTES) fail(STATUS_FAILED, "pages of other sizes than 4 KiB are not supported");
    if (!read_areas(rss, pid)) {
        rss_free(rss);
        (void)read_areas(rss, pid); /* some program may have unmapped it */
    }
    snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)process_task(pid));
    rss->pagemap = open(path, O_RDONLY | O_CLOEXEC);
    if (rss->pagemap >= 0 && rss->count > 0) return true;
    rss_free(rss);
    return false;
}

void rss_free(struct rss *rss)
{
    for (size_t i = 0; i < rss->count; i++) free(rss->areas[i].present);
    free(rss->areas);
    if (rss->pagemap >= 0) close(rss->pagemap);
    *rss = (struct rss){.pagemap = -1};
}

/* ---- pagemap ---- */

/* Pages that the kernel maps for reading only, all the same page of zeros, are present and do not count. */
static void drop_zero_pages(struct rss_area *area, size_t pages, size_t present)
{
    size_t counted = area->rss / PAGE_BYTES;
    for (size_t i = 0; i < pages && present > counted; i++) {
        if (area->present[i] != PAGE_SHARED) continue;
        area->present[i] = PAGE_ABSENT;
        present--;
    }
}

static void load_pages(struct rss *rss, struct rss_area *area)
{
    static uint64_t entries[ENTRIES_AT_ONCE];
    size_t pages = (area->end - area->start) / PAGE_BYTES;
    size_t present = 0;
    area->present = take_memory(pages);
    if (area->rss == 0) return;
    for (size_t at = 0; at < pages;) {
        size_t want = pages - at < ENTRIES_AT_ONCE ? pages - at : ENTRIES_AT_ONCE;
        off_t offset = (off_t)((area->start / PAGE_BYTES + at) * sizeof(uint64_t));
        ssize_t got = pread(rss->pagemap, entries, want * sizeof(uint64_t), offset);
        if (got < (ssize_t)sizeof(uint64_t)) {
            rss->cut = true;
            return;
        }
        size_t count = (size_t)got / sizeof(uint64_t);
        for (size_t i = 0; i < count; i++) {
            if (!(entries[i] & PAGEMAP_PRESENT)) continue;
            area->present[at + i] = entries[i] & PAGEMAP_EXCLUSIVE ? PAGE_PRESENT : PAGE_SHARED;
            present++;
        }
        at += count;
    }
    drop_zero_pages(area, pages, present);
}

/* The first area that ends behind the address; count = none. */
static size_t area_at(const struct rss *rss, uintptr_t address)
{
    size_t low = 0;
    size_t high = rss->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (rss->areas[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t rss_pages(struct rss *rss, uintptr_t base, size_t pages, uint8_t *out)
{
    size_t sum = 0;
    uintptr_t end = base + pages * PAGE_BYTES;
    memset(out, 0, pages);
    for (size_t i = area_at(rss, base); i < rss->count && rss->areas[i].start < end; i++) {
        struct rss_area *area = &rss->areas[i];
        if (area->rss == 0) continue;
        if (!area->present) load_pages(rss, area);
        uintptr_t from = area->start > base ? area->start : base;
        uintptr_t to = area->end < end ? area->end : end;
        for (uintptr_t at = from; at < to; at += PAGE_BYTES) {
            if (area->present[(at - area->start) / PAGE_BYTES] == PAGE_ABSENT) continue;
            out[(at - base) / PAGE_BYTES] = 1;
            area->claimed += PAGE_BYTES;
            sum++;
        }
    }
    return sum;
}

/* Areas that lie in the range as a whole need no look at their pages. */
uint64_t rss_of(struct rss *rss, uintptr_t base, size_t size)
{
    uint64_t sum = 0;
    for (size_t i = area_at(rss, base); i < rss->count && rss->areas[i].start < base + size; i++) {
        struct rss_area *area = &rss->areas[i];
        if (area->rss == 0) continue;
        uintptr_t from = area->start > base ? area->start : base;
        uintptr_t to = area->end < base + size ? area->end : base + size;
        if (from == area->start && to == area->end && area->claimed == 0) {
            area->claimed = area->rss;
            sum += area->rss;
            continue;
        }
        if (!area->present) load_pages(rss, area);
        for (uintptr_t at = from; at < to; at += PAGE_BYTES) {
            if (area->present[(at - area->start) / PAGE_BYTES] == PAGE_ABSENT) continue;
            area->claimed += PAGE_BYTES;
            sum += PAGE_BYTES;
        }
    }
    return sum;
}
