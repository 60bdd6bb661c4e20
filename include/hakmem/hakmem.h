/* hakmem.h - the public calls of hakmem, a general-purpose memory allocator.
 *
 * A program needs this header only for the hak_* calls. The standard calls (malloc, free, operator
 * new ...) are replaced by preloading or linking the library; they need no header of ours.
 *
 * Every call here may be made by any thread at any time: before main, after exit, in key
 * destructors, in a forked child. None of them is async-signal-safe.
 * Sizes and alignments are in bytes. "usable size" is what the program may write, at least what it
 * asked for; it stays the same until the block is freed or reallocated.
 *
 * A library with hakmem inside stays mapped when it is closed by dlclose, to the end of the process, since threads
 * that have called it come back to it when they end. -Wl,-z,nodelete says so when it is linked, too.
 */
#ifndef HAKMEM_H
#define HAKMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#if __cplusplus >= 201103L
#define HAK_NOTHROW noexcept
#else
#define HAK_NOTHROW throw()
#endif
#else
#define HAK_NOTHROW __attribute__((nothrow))
#endif
#define HAK_API __attribute__((visibility("default")))

/* ---- allocation: the standard calls under names of their own --------------------------------- */

/* A block of at least `size` bytes. Aligned to 16 (8 when size <= 8). size 0 gives a block of its own.
 * NULL and ENOMEM when memory is exhausted or size > PTRDIFF_MAX. Follows: C17 malloc. */
HAK_API void *hak_malloc(size_t size) HAK_NOTHROW __attribute__((malloc, alloc_size(1)));

/* As hak_malloc(count * size), every byte zero. NULL and ENOMEM when the product overflows.
 * Follows: C17 calloc. */
HAK_API void *hak_calloc(size_t count, size_t size) HAK_NOTHROW __attribute__((malloc, alloc_size(1, 2)));

/* Gives the block back. p may be NULL. errno is kept. Follows: POSIX.1-2024 free. */
HAK_API void hak_free(void *p) HAK_NOTHROW;

/* Resizes the block, in place where possible; the result may be another address. Contents are kept up
 * to the smaller size. On failure NULL and ENOMEM, and p stays valid. p NULL: hak_malloc(size).
 * size 0 with a block: frees it and returns NULL. Follows: glibc realloc. */
HAK_API void *hak_realloc(void *p, size_t size) HAK_NOTHROW __attribute__((alloc_size(2)));

/* hak_realloc(p, count * size); NULL and ENOMEM when the product overflows. Follows: glibc. */
HAK_API void *hak_reallocarray(void *p, size_t count, size_t size) HAK_NOTHROW __attribute__((alloc_size(2, 3)));

/* A block whose address is a multiple of `alignment`, a power of two. NULL and EINVAL for any other
 * alignment, NULL and ENOMEM when memory is exhausted. size need not be a multiple. Follows: C23. */
HAK_API void *hak_aligned_alloc(size_t alignment, size_t size) HAK_NOTHROW __attribute__((malloc, alloc_size(2)));

/* As hak_aligned_alloc; an alignment that is no power of two is rounded up to one. NULL and EINVAL for one above
 * 2^63, the last power of two. Follows: glibc. */
HAK_API void *hak_memalign(size_t alignment, size_t size) HAK_NOTHROW __attribute__((malloc, alloc_size(2)));

/* Stores the block in *out and returns 0. Returns EINVAL (alignment no power of two, or no multiple of
 * sizeof(void *)) or ENOMEM, leaving *out and errno alone. Follows: POSIX. */
HAK_API int hak_posix_memalign(void **out, size_t alignment, size_t size) HAK_NOTHROW;

/* A page-aligned block; hak_pvalloc rounds size up to whole pages. NULL and ENOMEM when memory is exhausted or
 * size > PTRDIFF_MAX. Follows: glibc. */
HAK_API void *hak_valloc(size_t size) HAK_NOTHROW __attribute__((malloc, alloc_size(1)));
HAK_API void *hak_pvalloc(size_t size) HAK_NOTHROW __attribute__((malloc));

/* free for a caller that knows the size (and alignment) it asked for. A block that is smaller, or not so aligned, is
 * reported as misuse. Follows: C23. */
HAK_API void hak_free_sized(void *p, size_t size) HAK_NOTHROW;
HAK_API void hak_free_aligned_sized(void *p, size_t alignment, size_t size) HAK_NOTHROW;

/* Usable size of a block; 0 for NULL and for a pointer that is not a block of ours.
 * Follows: glibc malloc_usable_size. */
HAK_API size_t hak_usable_size(const void *p) HAK_NOTHROW;

/* true when p is the start of a block that hakmem handed out and that may still be in use. Any pointer may be
 * asked about; nothing is read through it. Follows: folly and mimalloc (mi_is_in_heap_region). */
HAK_API bool hak_owns(const void *p) HAK_NOTHROW;

/* ---- giving back and looking in ---------------------------------------------------------------- */

/* Gives all free memory back to the system now: the caller's caches, what waits in every thread's
 * inbox. Other threads give back what they cache when they next leave the fast path, and while they sleep
 * by the library's own thread, where it runs. Pages on which no block is in use go, too, where others share
 * their slab. Returns the bytes given back by this call. Follows: malloc_trim, mallctl("arena.0.purge"). */
HAK_API size_t hak_purge(void) HAK_NOTHROW;

/* Limits for the memory that hakmem holds of the system, in bytes, 0 for none: blocks as the slabs, units and mappings
 * that they are in, free memory that was not given back, and bookkeeping. What is held already stays, whatever the
 * limits. HAKMEM_LIMIT_SOFT and HAKMEM_LIMIT_HARD (in MiB) set them at start.
 * hard: a call that would need more first gives back what can be had, and then returns NULL and ENOMEM; realloc leaves
 * the block as it was. Memory that is freed can be had again.
 * soft: the call that makes the sum larger succeeds, and before it returns, caches are emptied, free memory goes back,
 * and the function of hak_limit_callback is called; where another thread allocates at that moment, that one may do it
 * instead. The next crossing counts when a sixteenth of the limit was free in between.
 * Returns 0, or EINVAL (nothing is changed) when soft is above hard. Thread-safe.
 * Follows: tcmalloc's MallocExtension::SetMemoryLimit. */
HAK_API int hak_limit_set(size_t soft, size_t hard) HAK_NOTHROW;

/* Sets the function that is called when the soft limit was crossed, with what is held by now, the limit and
 * `context`, by the thread that crossed it or one that allocates at that moment, with no lock of hakmem's held. It may
 * allocate and free, and must return; it is not called again while it runs, in any thread. A call already under way
 * may still use what was set before. NULL: none. Thread-safe. Follows: mimalloc (mi_register_deferred_free), which is
 * called by count. */
HAK_API void hak_limit_callback(void (*call)(size_t held, size_t soft, void *context), void *context) HAK_NOTHROW;

/* All in bytes. Exact when no other thread is inside the allocator; else each figure is from a moment
 * during the call. mapped == live + cached + free_in_slabs + dirty + purged.
 * `free_in_slabs`: free blocks (carved or not) and remainders inside slabs, without their purged pages, and what large
 * blocks are rounded up by or have as room to grow. */
struct hak_stats {
    size_t live;          /* usable bytes of the blocks that the program holds */
    size_t cached;        /* free blocks kept in thread bins, outboxes and inboxes */
    size_t free_in_slabs; /* free blocks and remainders inside slabs, and what large blocks leave of their own */
    size_t dirty;         /* free units and kept mappings that still have RAM */
    size_t purged;        /* address space without RAM: given back, or never used */
    size_t mapped;        /* address space for blocks: the sum of all above */
    size_t records;       /* the allocator's own bookkeeping, mapped outside block memory */
    size_t mallocs;       /* calls that returned a block, all threads, since start */
    size_t frees;         /* blocks freed, likewise; posted ones count when freed by the program */
    size_t threads;       /* heaps attached to living threads */
};

/* Fills *out. Returns 0, or EINVAL when out is NULL. Follows: mallinfo2. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow" /* in C++ the function hides the constructor of the same name */
HAK_API int hak_stats(struct hak_stats *out) HAK_NOTHROW;
#pragma GCC diagnostic pop

/* Checks every invariant of the whole heap. Returns true, or false after one line on standard error
 * that names the invariant, when something is corrupt. Other threads are held out meanwhile. */
HAK_API bool hak_check(void) HAK_NOTHROW;

/* Options by name, "purge_delay" for HAKMEM_PURGE_DELAY; hakmem-options(7) lists them.
 * Return 0, ENOENT for an unknown name, EINVAL for a NULL argument, ERANGE for a value out of range
 * (the old value stays), EPERM for an option that is read at start only. */
HAK_API int hak_option_get(const char *name, long *value) HAK_NOTHROW;
HAK_API int hak_option_set(const char *name, long value) HAK_NOTHROW;

/* "MAJOR.MINOR.PATCH", and the identity of the build: a hash of its sources and flags, in hex. Both
 * are constant strings. */
HAK_API const char *hak_version(void) HAK_NOTHROW;
HAK_API const char *hak_build_id(void) HAK_NOTHROW;

#ifdef __cplusplus
}
#endif
#endif
