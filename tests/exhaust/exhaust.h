/* exhaust.h - what the tests of this folder share: blocks of every sort, taken until the system gives no more.
 *
 * Uses:    bootstrap/common.h. Callers: the tests of this folder; any thread.
 *
 * A pile is a list of blocks of one sort, linked through their first words, so that it needs no memory beside them.
 * Of each block a few bytes are written: the ends, and as many in between as there are KiB, up to MARKS. What was freed
 * is therefore not zero, and a calloc that trusts it is seen.
 */
#ifndef HAKMEM_TESTS_EXHAUST_H
#define HAKMEM_TESTS_EXHAUST_H

#include <fcntl.h>
#include <sys/resource.h>

#include "bootstrap/common.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { MARKS = 4, MARK = 0x5a, ERRNO_KEPT = 77 };
enum how { BY_MALLOC, BY_CALLOC, BY_REALLOC, BY_ALIGNED };

static const struct sort {
    size_t size;
    enum how how;
} sorts[] = {
    {16, BY_MALLOC},         {104, BY_CALLOC},       {1000, BY_REALLOC},     {4096, BY_ALIGNED},
    {9000, BY_CALLOC},       {60000, BY_MALLOC},     {100000, BY_CALLOC},    {300000, BY_REALLOC},
    {MIB, BY_ALIGNED},       {3 * MIB, BY_CALLOC},   {5 * MIB, BY_REALLOC},  {20 * MIB, BY_MALLOC},
    {100 * MIB, BY_CALLOC},
};

static void *(*volatile take_aligned)(size_t, size_t) TAP_UNUSED = aligned_alloc;

struct pile {
    void **last;
    size_t count;
};

/* true = the long form of the tests, `make exhaust`. */
static inline bool is_whole(void)
{
    return getenv("HAKMEM_EXHAUST_WHOLE") != NULL;
}

static inline size_t mark_step(size_t size)
{
    return size / MARKS < KIB ? KIB : size / MARKS;
}

static inline void mark(unsigned char *p, size_t size)
{
    for (size_t at = sizeof(void *); at < size; at += mark_step(size)) p[at] = MARK;
    p[size - 1] = MARK;
}

static inline bool is_marked(const unsigned char *p, size_t size)
{
    for (size_t at = sizeof(void *); at < size; at += mark_step(size))
        if (p[at] != MARK) return false;
    return p[size - 1] == MARK;
}

/* Small blocks are read as a whole, of others what mark() may have written, by any size of up to twice this one. */
static inline bool is_clear(const unsigned char *p, size_t size)
{
    if (size <= 64 * KIB) return p[0] == 0 && memcmp(p, p + 1, size - 1) == 0;
    for (size_t at = sizeof(void *); at < size; at += mark_step(size) / 2)
        if (p[at] != 0) return false;
    return p[0] == 0 && p[size - 1] == 0;
}

/* Grows by half from two thirds; what was in the smaller block must be in the larger one. */
static inline void *take_resized(size_t size)
{
    size_t half = size / 3 * 2;
    unsigned char *p = (unsigned char *)take(half);
    if (!p) return NULL;
    mark(p, half);
    unsigned char *grown = (unsigned char *)resize(p, size);
    if (grown) {
        expect(is_marked(grown, half), "realloc from %zu to %zu spoiled the block", half, size);
        return grown;
    }
    int refusal = errno;
    expect(is_marked(p, half), "a refused realloc from %zu to %zu spoiled the block", half, size);
    give(p);
    errno = refusal;
    return NULL;
}

static inline void *take_sort(const struct sort *sort)
{
    switch (sort->how) {
    case BY_CALLOC: return take_zeroed(1, sort->size);
    case BY_REALLOC: return take_resized(sort->size);
    case BY_ALIGNED: return take_aligned(sort->size < 64 * KIB ? sort->size : 64 * KIB, sort->size);
    default: return take(sort->size);
    }
}

/* A marked block; NULL must come with ENOMEM, and calloc's must be zero. */
static inline void *take_checked(const struct sort *sort)
{
    errno = 0;
    unsigned char *p = (unsigned char *)take_sort(sort);
    if (!p) {
        expect(errno == ENOMEM, "size %zu: errno %d", sort->size, errno);
        return NULL;
    }
    if (sort->how == BY_CALLOC) expect(is_clear(p, sort->size), "calloc of %zu is not zero", sort->size);
    mark(p, sort->size);
    return p;
}

static inline void give_checked(void *p, size_t size)
{
    expect(is_marked((unsigned char *)p, size), "a block of %zu has changed", size);
    errno = ERRNO_KEPT;
    give(p);
    expect(errno == ERRNO_KEPT, "free changed errno to %d", errno);
}

static inline void pile_up(struct pile *pile, const struct sort *sort, size_t count_max)
{
    for (void **p; pile->count < count_max && (p = (void **)take_checked(sort)); pile->count++) {
        *p = pile->last;
        pile->last = p;
    }
}

static inline struct pile take_all(const struct sort *sort, size_t count_max)
{
    struct pile pile = {NULL, 0};
    pile_up(&pile, sort, count_max);
    return pile;
}

static inline void give_all(struct pile *pile, const struct sort *sort)
{
    for (void **p = pile->last, **next; p; p = next) {
        next = (void **)*p;
        give_checked(p, sort->size);
    }
    *pile = (struct pile){NULL, 0};
}

/* What the process has of its address space. */
static inline size_t address_bytes(void)
{
    char text[32] = "";
    int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t length = file >= 0 ? read(file, text, sizeof(text) - 1) : -1;
    if (file >= 0) close(file);
    return length > 0 ? strtoul(text, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE) : 0;
}

/* For this process and the programs that it becomes. */
static inline bool limit(int resource, size_t bytes)
{
    struct rlimit most = {.rlim_cur = bytes, .rlim_max = bytes};
    return setrlimit((__rlimit_resource_t)resource, &most) == 0;
}

/* The exit status of a scene, a program of its own that prints no results. */
static inline int verdict(void)
{
    return tap_false == 0 && tap_expects > 0 ? 0 : 1;
}

#endif
