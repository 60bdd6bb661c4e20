/* foreign.c - see foreign.h.
 *
 * Uses: error, os, thread, image. Locks: none.
 *
 * libc's allocator gives blocks from the break segment, from mappings of their own, from arenas in aligned pieces of
 * memory, and, where the break is stopped by a mapping or was forbidden by the user, from anywhere. Their headers are
 * looked at through os_peek(), which cannot fault. Behind a block in use that is no mapping, there is always the header
 * of another, which says so.
 *
 * libc's functions are found when the library is loaded, where no other thread has a lock of the dynamic linker's and
 * waits for this one. A call that comes earlier finds them itself.
 */
#include "foreign.h"

#include <errno.h>

#include "../base/atomics.h"
#include "../base/bits.h"
#include "../diag/error.h"
#include "../os/image.h"
#include "../os/os.h"
#include "../os/thread.h"

enum { LIBC_BEFORE_IN_USE = 1, LIBC_MAPPED = 2, LIBC_OTHER_ARENA = 4, LIBC_FLAGS = 7 };
enum { LIBC_LEAST = 32, LIBC_FENCE = 16, LIBC_ARENA_HEAD = 128 };

/* What pieces of arenas are aligned to: as a rule, and with glibc.malloc.hugetlb four of the system's huge pages. */
static const uintptr_t libc_piece[] = {
    (uintptr_t)64 << 20,  (uintptr_t)8 << 20, (uintptr_t)128 << 20,
    (uintptr_t)256 << 10, (uintptr_t)2 << 30, (uintptr_t)4 << 30,
};

static uintptr_t break_seen; /* at first */

enum libc_call { LIBC_FREE, LIBC_REALLOC, LIBC_USABLE_SIZE, LIBC_CALLS };
static const char *const libc_call_name[] = {"free", "realloc", "malloc_usable_size"};
static void *libc_function[LIBC_CALLS]; /* NULL = not found so far; every thread finds the same */

/* NULL = there is none. */
static void *function_of_libc(enum libc_call call)
{
    void *function = load_relaxed(&libc_function[call]);
    if (likely(function)) return function;
    function = image_libc_function(libc_call_name[call]);
    store_relaxed(&libc_function[call], function);
    return function;
}

COLD void foreign_init(void)
{
    if (!load_relaxed(&break_seen)) store_relaxed(&break_seen, os_break());
    for (unsigned call = 0; call < LIBC_CALLS; call++) (void)function_of_libc(call);
}

/* A piece begins with the arena's address, and the arena lies at the beginning of its first. */
static bool is_in_piece(uintptr_t address, uintptr_t alignment)
{
    uintptr_t state = 0, first = 0;
    if (!os_peek((void *)align_down(address, alignment), &state, sizeof(state))) return false;
    if (state == 0 || state % 16 != 0 || state % alignment > LIBC_ARENA_HEAD) return false;
    return os_peek((void *)align_down(state, alignment), &first, sizeof(first)) && first == state;
}

static bool is_arena(uintptr_t address)
{
    for (unsigned i = 0; i < array_length(libc_piece); i++)
        if (is_in_piece(address, libc_piece[i])) return true;
    return false;
}

static bool next_says_in_use(uintptr_t address, size_t size)
{
    size_t next[2];
    if (size % 16 != 0 || address > UINTPTR_MAX - size) return false;
    return os_peek((void *)(address - 16 + size), next, sizeof(next)) && (next[1] & LIBC_BEFORE_IN_USE);
}

/* One block behind the other, up to the end of what the main arena has there, or as far as is looked. */
static bool blocks_follow(uintptr_t address, size_t size)
{
    enum { LOOKS = 3 };
    for (unsigned i = 0; i < LOOKS; i++) {
        size_t next;
        if (address > UINTPTR_MAX - size) return false;
        address += size;
        bool may_end = i > 0 && (address - 16) % os_page_size() == 0;
        if (!os_peek((void *)(address - 8), &next, sizeof(next))) return may_end;
        size = next & ~(size_t)LIBC_FLAGS;
        bool sane = size % 16 == 0 && size >= LIBC_FENCE && !(next & (LIBC_MAPPED | LIBC_OTHER_ARENA));
        if (!sane) return may_end;
        if (i == 0 && !(next & LIBC_BEFORE_IN_USE)) return false;
        if (size < LIBC_LEAST) return true; /* a fence, where the arena goes on elsewhere */
    }
    return true;
}

/* The main arena outside of the break, which nothing but its blocks tells of. Those behind this one may be cut and
 * joined by other threads under the look: one look of some has to succeed, and the last ones leave others time to
 * finish what they are at. */
static bool is_among_blocks(uintptr_t address, size_t size)
{
    enum { TRIES = 16, AT_ONCE = 12 };
    const uint32_t word = 0;
    for (unsigned i = 0; i < TRIES; i++) {
        if (i >= AT_ONCE) os_wait_for(&word, 0, 1);
        if (blocks_follow(address, size)) return true;
    }
    return false;
}

COLD static bool is_from_libc(const void *p)
{
    uintptr_t address = (uintptr_t)p;
    size_t header[2]; /* size of the block before, own size and flags */
    if (address % 16 != 0 || address < 4096) return false;
    if (!os_peek((void *)(address - sizeof(header)), header, sizeof(header))) return false;
    size_t size = header[1] & ~(size_t)LIBC_FLAGS;
    if (size < LIBC_LEAST || size % 16 != 0) return false;
    if (address >= os_break_start(load_relaxed(&break_seen)) && address < os_break())
        return size < os_break() - address && next_says_in_use(address, size);
    if (header[1] & LIBC_MAPPED) {
        size_t page = os_page_size();
        return (address - 16 - header[0]) % page == 0 && (header[0] + size) % page == 0;
    }
    if (header[1] & LIBC_OTHER_ARENA) return is_arena(address) && next_says_in_use(address, size);
    return is_among_blocks(address, size);
}

COLD void foreign_free(void *p)
{
    void (*libc_free)(void *) = NULL;
    if (is_from_libc(p)) *(void **)&libc_free = function_of_libc(LIBC_FREE);
    if (libc_free)
        libc_free(p);
    else
        error_report(ERROR_invalid_pointer, p, 0);
}

COLD void *foreign_realloc(void *p, size_t size)
{
    void *(*libc_realloc)(void *, size_t) = NULL;
    if (is_from_libc(p)) *(void **)&libc_realloc = function_of_libc(LIBC_REALLOC);
    if (libc_realloc) return libc_realloc(p, size);
    error_report(ERROR_invalid_pointer, p, 0);
    errno = ENOMEM;
    return NULL;
}

COLD size_t foreign_usable_size(const void *p)
{
    size_t (*libc_size)(const void *) = NULL;
    if (is_from_libc(p)) *(void **)&libc_size = function_of_libc(LIBC_USABLE_SIZE);
    return libc_size ? libc_size(p) : 0;
}
