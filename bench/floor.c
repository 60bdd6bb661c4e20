/* floor.c - an allocator that only moves a pointer and never frees: how little a call can cost.
 *
 *     LD_PRELOAD=build/bench/libfloor.so program
 *
 * Uses:    the system directly.
 * Callers: the benchmark, as one more allocator. Where a workload keeps most of what it allocates, its time here is
 *          what is not the allocator's. Where it frees much, every block here is fresh memory: the kernel's time,
 *          and the machine's caches, make that slower than any allocator that uses memory again. There the user
 *          time tells more, and the instructions of a pair (counts.py) most.
 *
 *   region, reserved once   | chunk of thread 1 | chunk of thread 2 | huge block | chunk ........ | untouched |
 *   chunk                   | size, block | size, block | ... ^ cursor            limit ^
 *
 * Threads take chunks from the region by one atomic addition, twice as large each time, and cut blocks from them
 * without any. Memory is zero when it comes from the system and is never used twice, so calloc writes nothing.
 *
 * The process is stopped with a message when it has touched 8 GiB or used up the region's addresses: a
 * workload that frees a lot does not fit.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define likely(x) __builtin_expect(!!(x), 1)

static const size_t region_most = (size_t)1 << 40;           /* addresses, not memory */
static const long resident_limit_kib = (long)8 << 20;        /* 8 GiB */
static const size_t check_bytes = (size_t)256 << 20;         /* so much is taken between two looks at the limit */
static const size_t chunk_first = (size_t)64 << 10, chunk_last = (size_t)8 << 20;
static const size_t page = 4096;
enum { ALIGNMENT = 16, HEADER = sizeof(size_t) };            /* a block's size stands just below it */

static uintptr_t region;           /* 0 until the first call */
static size_t region_bytes;
static _Atomic(size_t) taken;      /* bytes of the region that are given out; only grows */

static _Thread_local struct {
    uintptr_t cursor;  /* where free space begins; 0 in a thread that has no chunk */
    uintptr_t limit;   /* where it ends */
    size_t next_bytes; /* size of the next chunk; 0 means the first */
} own __attribute__((tls_model("initial-exec")));

__attribute__((noreturn, cold)) static void stop(const char *message)
{
    ssize_t ignored = write(STDERR_FILENO, message, strlen(message));
    (void)ignored;
    abort();
}

/* All of region_most, or as much as the system grants. Called when the library is loaded, or before by whoever
 * allocates then: there is one thread yet. */
__attribute__((constructor)) static void region_reserve(void)
{
    if (region != 0)
        return;
    for (region_bytes = region_most; region_bytes > chunk_last; region_bytes /= 2) {
        void *p = mmap(NULL, region_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p != MAP_FAILED) {
            region = (uintptr_t)p;
            return;
        }
    }
    stop("floor: the system refuses a region of addresses\n");
}

/* Fresh zero pages. */
static uintptr_t region_take(size_t bytes)
{
    struct rusage usage;
    if (region == 0)
        region_reserve();
    size_t before = atomic_fetch_add_explicit(&taken, bytes, memory_order_relaxed);
    if (before >= region_bytes || bytes > region_bytes - before)
        stop("floor: all addresses are used up, and nothing is ever freed: this workload does not fit\n");
    bool is_due = before / check_bytes != (before + bytes) / check_bytes;
    if (is_due && getrusage(RUSAGE_SELF, &usage) == 0 && usage.ru_maxrss > resident_limit_kib)
        stop("floor: 8 GiB are in use, and nothing is ever freed: this workload does not fit\n");
    return region + before;
}

static uintptr_t place(uintptr_t from, size_t alignment)
{
    return (from + HEADER + alignment - 1) & ~(uintptr_t)(alignment - 1);
}

/* The chunk is used up: takes another, or pages of its own for a block that would waste much of one. */
__attribute__((noinline, cold)) static void *take_slowly(size_t alignment, size_t size)
{
    if (size > region_most || alignment > region_most) {
        errno = ENOMEM;
        return NULL;
    }
    size_t need = (HEADER + alignment + size + page - 1) & ~(page - 1);
    size_t chunk = own.next_bytes > 0 ? own.next_bytes : chunk_first;
    uintptr_t p;
    if (need > chunk / 4) {
        p = place(region_take(need), alignment);
    } else {
        own.cursor = region_take(chunk);
        own.limit = own.cursor + chunk;
        own.next_bytes = chunk < chunk_last ? 2 * chunk : chunk_last;
        p = place(own.cursor, alignment);
        own.cursor = p + size;
    }
    ((size_t *)p)[-1] = size;
    return (void *)p;
}

static inline void *take(size_t alignment, size_t size)
{
    uintptr_t p = place(own.cursor, alignment);
    if (!likely(p <= own.limit && size <= own.limit - p))
        return take_slowly(alignment, size);
    ((size_t *)p)[-1] = size;
    own.cursor = p + size;
    return (void *)p;
}

EXPORT void *malloc(size_t size)
{
    return take(ALIGNMENT, size);
}

EXPORT void free(void *p)
{
    (void)p;
}

EXPORT size_t malloc_usable_size(void *p)
{
    return p == NULL ? 0 : ((size_t *)p)[-1];
}

/* More than there can be, and so refused, when the product does not fit. */
static inline size_t product(size_t count, size_t size)
{
    size_t bytes;
    return __builtin_mul_overflow(count, size, &bytes) ? SIZE_MAX : bytes;
}

EXPORT void *calloc(size_t count, size_t size)
{
    return take(ALIGNMENT, product(count, size));
}

/* The youngest block of the thread grows where it is; others move when they grow. */
EXPORT void *realloc(void *p, size_t size)
{
    if (p == NULL)
        return take(ALIGNMENT, size);
    size_t old = ((size_t *)p)[-1];
    uintptr_t start = (uintptr_t)p;
    if (size <= old)
        return p;
    if (start + old == own.cursor && size <= own.limit - start) {
        ((size_t *)p)[-1] = size;
        own.cursor = start + size;
        return p;
    }
    void *moved = take(ALIGNMENT, size);
    return moved == NULL ? NULL : memcpy(moved, p, old);
}

EXPORT void *reallocarray(void *p, size_t count, size_t size)
{
    return realloc(p, product(count, size));
}

EXPORT void *memalign(size_t alignment, size_t size)
{
    if (alignment == 0 || (alignment & (alignment - 1)) != 0) {
        errno = EINVAL;
        return NULL;
    }
    return take(alignment < ALIGNMENT ? ALIGNMENT : alignment, size);
}

EXPORT int posix_memalign(void **result, size_t alignment, size_t size)
{
    if (alignment < sizeof(void *) || (alignment & (alignment - 1)) != 0)
        return EINVAL;
    int saved = errno;
    void *p = memalign(alignment, size);
    errno = saved;
    if (p != NULL)
        *result = p;
    return p != NULL ? 0 : ENOMEM;
}

EXPORT void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }
EXPORT void *valloc(size_t size) { return memalign(page, size); }
EXPORT void *pvalloc(size_t size) { return memalign(page, size > region_most ? size : (size + page - 1) & ~(page - 1)); }
