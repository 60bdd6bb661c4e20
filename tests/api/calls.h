/* calls.h - the allocator's calls as tables, one per set of names, and the edges worth trying.
 *
 * Uses:    tap.h, hakmem.h. Every call goes through a volatile pointer: compilers delete pairs of
 *          malloc and free that they can see, and fold calls whose result they think they know.
 * Callers: the tests of this folder. The hak_* names are weak, so the same source serves a program that
 *          is linked with the library and one that is preloaded.
 */
#ifndef HAKMEM_TESTS_API_CALLS_H
#define HAKMEM_TESTS_API_CALLS_H

#include <limits.h>
#include <malloc.h>
#include <stddef.h>
#include <stdint.h>

#include "api/weak.h"
#include "tap.h"

/* Not declared by glibc 2.36, or not for new programs, or not by musl. */
extern __attribute__((weak)) void *pvalloc(size_t size);
extern __attribute__((weak)) void free_sized(void *p, size_t size);
extern __attribute__((weak)) void free_aligned_sized(void *p, size_t alignment, size_t size);
extern __attribute__((weak)) void cfree(void *p);
extern __attribute__((weak)) void *__libc_malloc(size_t size);
extern __attribute__((weak)) void *__libc_calloc(size_t count, size_t size);
extern __attribute__((weak)) void *__libc_realloc(void *p, size_t size);
#ifdef __GLIBC__
extern __attribute__((weak)) int __libc_mallopt(int param, int value);
extern __attribute__((weak)) struct mallinfo __libc_mallinfo(void);
#endif
extern __attribute__((weak)) void *__libc_memalign(size_t alignment, size_t size);
extern __attribute__((weak)) void *__libc_valloc(size_t size);
extern __attribute__((weak)) void *__libc_pvalloc(size_t size);
extern __attribute__((weak)) void __libc_free(void *p);

struct calls {
    const char *names; /* "standard", "hak" or "libc" */
    void *(*volatile alloc)(size_t);
    void *(*volatile zeroed)(size_t, size_t);
    void *(*volatile resize)(void *, size_t);
    void *(*volatile resize_array)(void *, size_t, size_t);       /* NULL in the libc set */
    void *(*volatile aligned)(size_t, size_t);                    /* likewise */
    int (*volatile posix_aligned)(void **, size_t, size_t);       /* likewise */
    void *(*volatile rounded_aligned)(size_t, size_t);
    void *(*volatile page)(size_t);
    void *(*volatile whole_pages)(size_t);
    void (*volatile release)(void *);
    void (*volatile release_sized)(void *, size_t);               /* NULL in the libc set */
    void (*volatile release_aligned)(void *, size_t, size_t);     /* likewise */
};

/* hak_usable_size takes const, glibc's malloc_usable_size does not. */
static size_t (*volatile usable)(void *) TAP_UNUSED = malloc_usable_size;

#ifdef __GLIBC__
enum { CALL_SETS = 3 };
#else
enum { CALL_SETS = 2 }; /* the third is glibc's */
#endif

static struct calls call_table[3];

/* Not as a constant: there the linker of a program that is preloaded makes NULL of a weak name. And once: threads ask
 * for the table, too. */
__attribute__((constructor)) static void fill_call_table(void)
{
    call_table[0] = (struct calls){
        .names = "standard", .alloc = malloc, .zeroed = calloc, .resize = realloc,
        .resize_array = reallocarray, .aligned = aligned_alloc, .posix_aligned = posix_memalign,
        .rounded_aligned = memalign, .page = valloc, .whole_pages = pvalloc, .release = free,
        .release_sized = free_sized, .release_aligned = free_aligned_sized};
    call_table[1] = (struct calls){
        .names = "hak", .alloc = hak_malloc, .zeroed = hak_calloc, .resize = hak_realloc,
        .resize_array = hak_reallocarray, .aligned = hak_aligned_alloc,
        .posix_aligned = hak_posix_memalign, .rounded_aligned = hak_memalign, .page = hak_valloc,
        .whole_pages = hak_pvalloc, .release = hak_free, .release_sized = hak_free_sized,
        .release_aligned = hak_free_aligned_sized};
    call_table[2] = (struct calls){
        .names = "libc", .alloc = __libc_malloc, .zeroed = __libc_calloc, .resize = __libc_realloc,
        .rounded_aligned = __libc_memalign, .page = __libc_valloc, .whole_pages = __libc_pvalloc,
        .release = __libc_free};
}

static inline const struct calls *call_sets(void)
{
    return call_table;
}

/* Proves that the program under test runs on hakmem, whichever way it was brought in: the library's
 * own calls are there, and what the standard malloc returned is a block of its. */
static inline bool runs_on_hakmem(void)
{
    void *(*volatile alloc)(size_t) = malloc;
    void (*volatile release)(void *) = free;
    if (!ok(hak_version && hak_build_id && hak_owns, "hak_calls_are_reachable")) return false;
    void *p = alloc(100);
    bool ours = ok(hak_owns(p), "malloc_is_hakmem");
    release(p);
    diag("hakmem %s, build %s", hak_version(), hak_build_id());
    return ours;
}

/* Calls `test` for each set of names. A set without a malloc is red: the name is missing. */
static inline void for_each_set(void (*test)(const struct calls *))
{
    const struct calls *sets = call_sets();
    for (int i = 0; i < CALL_SETS; i++) {
        if (sets[i].alloc) test(&sets[i]);
        else ok(false, "%s_names_exist", sets[i].names);
    }
}

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define PTRDIFF_LIMIT ((size_t)PTRDIFF_MAX)

enum { MAX_EDGES = 256 };

struct edges {
    size_t at[MAX_EDGES];
    size_t count;
};

static inline void edges_around(struct edges *e, size_t size)
{
    for (size_t s = size - 1; s <= size + 1; s++) e->at[e->count++] = s;
}

/* 0, 1, and one less, equal and one more than every size class: 8, steps of 16 to 128, then four steps
 * per doubling to 64 KiB; then pages and units beyond, 2 MiB, and `top` where it is larger. */
static inline void edges_fill(struct edges *e, size_t top)
{
    e->count = 0;
    e->at[e->count++] = 0;
    e->at[e->count++] = 1;
    edges_around(e, 8);
    for (size_t size = 16; size <= 128; size += 16) edges_around(e, size);
    for (size_t base = 128; base < 64 * KIB; base *= 2)
        for (size_t step = 1; step <= 4; step++) edges_around(e, base + base / 4 * step);
    edges_around(e, 64 * KIB + 4 * KIB);
    edges_around(e, 128 * KIB);
    edges_around(e, 192 * KIB);
    edges_around(e, 1 * MIB);
    edges_around(e, 2 * MIB - 64 * KIB);
    edges_around(e, 2 * MIB);
    if (top > 2 * MIB) edges_around(e, top);
}

/* Sizes that no machine can serve, and the error each must give: ENOMEM. Some have addresses of 48 bits. */
static const size_t refused_sizes[] TAP_UNUSED = {
    (size_t)1 << 48, ((size_t)1 << 48) + 1, PTRDIFF_LIMIT - 64 * KIB, PTRDIFF_LIMIT - 4096,
    PTRDIFF_LIMIT - 1, PTRDIFF_LIMIT, PTRDIFF_LIMIT + 1, SIZE_MAX - 2 * MIB, SIZE_MAX - 64 * KIB,
    SIZE_MAX - 65535, SIZE_MAX - 4096, SIZE_MAX - 4095, SIZE_MAX - 64, SIZE_MAX - 32, SIZE_MAX - 16,
    SIZE_MAX - 15, SIZE_MAX - 8, SIZE_MAX - 7, SIZE_MAX - 1, SIZE_MAX};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static inline size_t natural_alignment(size_t size) { return size <= 8 ? 8 : 16; }

static inline bool is_aligned(const void *p, size_t alignment) { return ((uintptr_t)p & (alignment - 1)) == 0; }

/* The byte that belongs at offset i of the block with this seed; neighbours and offsets differ. */
static inline unsigned char pattern_byte(size_t seed, size_t i)
{
    return (unsigned char)((seed * 131 + i + (i >> 8) * 7) ^ 0x5a);
}

static inline void pattern_fill(void *p, size_t size, size_t seed)
{
    unsigned char *byte = p;
    for (size_t i = 0; i < size; i++) byte[i] = pattern_byte(seed, i);
}

static inline bool pattern_holds(const void *p, size_t size, size_t seed)
{
    const unsigned char *byte = p;
    for (size_t i = 0; i < size; i++)
        if (byte[i] != pattern_byte(seed, i)) return false;
    return true;
}

static inline bool all_zero(const void *p, size_t size)
{
    const unsigned char *byte = p;
    return size == 0 || (byte[0] == 0 && memcmp(byte, byte + 1, size - 1) == 0);
}

#endif
