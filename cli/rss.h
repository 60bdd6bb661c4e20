/* rss.h - which pages of a process have memory, as the kernel tells: /proc/PID/smaps and /proc/PID/pagemap.
 *
 * Uses: procfs. A page counts when it counts in smaps' Rss: so pages that were only read, which the kernel backs with
 * its one page of zeros, do not.
 */
#ifndef HAK_CLI_RSS_H
#define HAK_CLI_RSS_H

#include "cli.h"

/* One mapping. */
struct rss_area {
    uintptr_t start, end;
    uint64_t rss;      /* bytes */
    uint64_t huge;     /* of these, in huge pages */
    uint64_t swap;     /* bytes that were swapped out */
    uint64_t claimed;  /* of rss, what rss_pages() and rss_of() have told of */
    bool has_file;
    uint8_t *present;  /* for each page, once it was asked for */
};

struct rss {
    struct rss_area *areas; /* by address */
    size_t count;
    uint64_t total;
    int pagemap;
    bool cut; /* the memory was gone before all of it was looked at */
};

/* false = the process is gone, or the kernel does not tell: errno says. */
bool rss_read(struct rss *rss, pid_t pid);
void rss_free(struct rss *rss);

/* Sets out[i] = 1 for each page from `base` on that has memory, else 0. Returns how many have. */
size_t rss_pages(struct rss *rss, uintptr_t base, size_t pages, uint8_t *out);

/* Bytes with memory in a range of pages. */
uint64_t rss_of(struct rss *rss, uintptr_t base, size_t size);

enum { PAGE_BYTES = 4096 };

#endif
