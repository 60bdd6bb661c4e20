/* memcheck.h - what valgrind's memcheck is told about memory, in a process that it runs.
 *
 * Uses: compiler. Callers: cache, front, os. Locks: none.
 *
 * Requests are a few instructions that change nothing on a real processor. Where valgrind's header was missing when the
 * library was built, memcheck is never there.
 */
#ifndef HAK_OS_MEMCHECK_H
#define HAK_OS_MEMCHECK_H

#include "../base/compiler.h"

#if HAK_MEMCHECK
#include <valgrind/memcheck.h>
#endif

#if HAK_MEMCHECK && !defined(NVALGRIND) /* which it defines for machines that it does not know */
/* Memcheck, not another tool of valgrind's: only it answers to a request of its own. */
static inline bool memcheck_is_here(void)
{
    static char byte;
    return VALGRIND_MAKE_MEM_DEFINED(&byte, sizeof(byte)) != 0;
}

/* From now on a block of the program's. zeroed = its bytes count as written. */
static inline void memcheck_take(const void *p, size_t size, bool zeroed)
{
    VALGRIND_MALLOCLIKE_BLOCK(p, size, 0, zeroed);
}

/* No longer, and nobody may touch it. Where no block begins there, memcheck complains. */
static inline void memcheck_give(const void *p)
{
    VALGRIND_FREELIKE_BLOCK(p, 0);
}

static inline void memcheck_forbid(const void *p, size_t size)
{
    (void)VALGRIND_MAKE_MEM_NOACCESS(p, size);
}

/* Nothing that it holds counts as written. */
static inline void memcheck_allow(const void *p, size_t size)
{
    (void)VALGRIND_MAKE_MEM_UNDEFINED(p, size);
}

/* Between the two this thread may read what is forbidden. */
static inline void memcheck_look_away(void)
{
    VALGRIND_DISABLE_ERROR_REPORTING;
}

static inline void memcheck_look_again(void)
{
    VALGRIND_ENABLE_ERROR_REPORTING;
}
#else
static inline bool memcheck_is_here(void)
{
    return false;
}

static inline void memcheck_take(const void *p, size_t size, bool zeroed)
{
    (void)p;
    (void)size;
    (void)zeroed;
}

static inline void memcheck_give(const void *p)
{
    (void)p;
}

static inline void memcheck_forbid(const void *p, size_t size)
{
    (void)p;
    (void)size;
}

static inline void memcheck_allow(const void *p, size_t size)
{
    (void)p;
    (void)size;
}

static inline void memcheck_look_away(void) {}
static inline void memcheck_look_again(void) {}
#endif

#endif
