/* cxx.c - C++ operator new and delete in all their forms, under their mangled names.
 *
 * Uses: front, and from libstdc++ the new handler and bad_alloc.
 * Follows: C++20 [new.delete]. Compiled with unwind tables, since exceptions pass through.
 *
 * Compiled twice. In the shared library all forms are there, and libstdc++ is looked for when it is needed:
 * a program in C has none. In the archive all but the nothrow forms of new: a program that links them has libstdc++
 * linked in too, whose nothrow forms call these inside a catch.
 */
#include "api.h"

#include <dlfcn.h>

#include "../../include/hakmem/hakmem.h"
#include "../diag/message.h"
#include "../front/front.h"
#include "../os/os.h"

typedef void new_handler(void);
struct nothrow; /* std::nothrow_t: a tag, never looked into */

#if HAK_FOR_ARCHIVE
#define MAY_BE_MISSING
#else
#define MAY_BE_MISSING __attribute__((weak))
#endif
#pragma weak dlsym

/* std::get_new_handler() and std::__throw_bad_alloc() */
new_handler *cxx_get_new_handler(void) __asm__("_ZSt15get_new_handlerv") MAY_BE_MISSING;
void cxx_throw_bad_alloc(void) __asm__("_ZSt17__throw_bad_allocv") MAY_BE_MISSING;

/* The function, linked or brought by a library that came later. */
static void *cxx_function(void *linked, const char *name)
{
    static const bool in_archive = HAK_FOR_ARCHIVE;
    if (linked || in_archive) return linked;
    return dlsym ? dlsym(RTLD_DEFAULT, name) : NULL;
}

static new_handler *current_handler(void)
{
    new_handler *(*get)(void);
    *(void **)&get = cxx_function((void *)cxx_get_new_handler, "_ZSt15get_new_handlerv");
    return get ? get() : NULL;
}

static void throw_bad_alloc(void)
{
    void (*throw_it)(void);
    *(void **)&throw_it = cxx_function((void *)cxx_throw_bad_alloc, "_ZSt17__throw_bad_allocv");
    if (throw_it) throw_it();
    message_print("out of memory in operator new, and no C++ library to throw bad_alloc");
    os_abort();
}

static void *try_new(size_t size, size_t alignment)
{
    return alignment > 8 ? front_aligned(alignment, size) : front_malloc(size);
}

/* Calls the handler until memory is there, or the handler throws, or there is none. */
static COLD void *new_again(size_t size, size_t alignment)
{
    for (;;) {
        new_handler *handler = current_handler();
        if (!handler) throw_bad_alloc();
        handler();
        void *p = try_new(size, alignment);
        if (p) return p;
    }
}

static void *new_or_throw(size_t size, size_t alignment)
{
    void *p = try_new(size, alignment);
    return likely(p) ? p : new_again(size, alignment);
}

#define OPERATOR(name, parameters, symbol) \
    HAK_API void *name parameters __asm__(symbol); \
    HAK_API void *name parameters

#define OPERATOR_VOID(name, parameters, symbol) \
    HAK_API void name parameters __asm__(symbol); \
    HAK_API void name parameters

OPERATOR(cxx_new, (size_t size), "_Znwm")
{
    void *p = front_malloc(size);
    return likely(p) ? p : new_again(size, 1);
}

OPERATOR(cxx_new_array, (size_t size), "_Znam")
{
    void *p = front_malloc(size);
    return likely(p) ? p : new_again(size, 1);
}

OPERATOR_VOID(cxx_delete, (void *p), "_ZdlPv")
{
    front_free(p);
}

OPERATOR_VOID(cxx_delete_array, (void *p), "_ZdaPv")
{
    front_free(p);
}

OPERATOR_VOID(cxx_delete_sized, (void *p, size_t size), "_ZdlPvm")
{
    front_free_sized(p, size);
}

OPERATOR_VOID(cxx_delete_array_sized, (void *p, size_t size), "_ZdaPvm")
{
    front_free_sized(p, size);
}

OPERATOR(cxx_new_aligned, (size_t size, size_t alignment), "_ZnwmSt11align_val_t")
{
    return new_or_throw(size, alignment);
}

OPERATOR(cxx_new_array_aligned, (size_t size, size_t alignment), "_ZnamSt11align_val_t")
{
    return new_or_throw(size, alignment);
}

OPERATOR_VOID(cxx_delete_nothrow, (void *p, const struct nothrow *tag UNUSED), "_ZdlPvRKSt9nothrow_t")
{
    front_free(p);
}

OPERATOR_VOID(cxx_delete_array_nothrow, (void *p, const struct nothrow *tag UNUSED), "_ZdaPvRKSt9nothrow_t")
{
    front_free(p);
}

OPERATOR_VOID(cxx_delete_aligned, (void *p, size_t alignment UNUSED), "_ZdlPvSt11align_val_t")
{
    front_free(p);
}

OPERATOR_VOID(cxx_delete_array_aligned, (void *p, size_t alignment UNUSED), "_ZdaPvSt11align_val_t")
{
    front_free(p);
}

OPERATOR_VOID(cxx_delete_sized_aligned, (void *p, size_t size, size_t alignment UNUSED),
              "_ZdlPvmSt11align_val_t")
{
    front_free_sized(p, size);
}

OPERATOR_VOID(cxx_delete_array_sized_aligned, (void *p, size_t size, size_t alignment UNUSED),
              "_ZdaPvmSt11align_val_t")
{
    front_free_sized(p, size);
}

OPERATOR_VOID(cxx_delete_aligned_nothrow, (void *p, size_t alignment UNUSED, const struct nothrow *tag UNUSED),
              "_ZdlPvSt11align_val_tRKSt9nothrow_t")
{
    front_free(p);
}

OPERATOR_VOID(cxx_delete_array_aligned_nothrow, (void *p, size_t alignment UNUSED, const struct nothrow *tag UNUSED),
              "_ZdaPvSt11align_val_tRKSt9nothrow_t")
{
    front_free(p);
}

#if !HAK_FOR_ARCHIVE

/* A nothrow form calls the handler too, and keeps its exception in. That takes a catch: libstdc++'s own
 * form has one around the throwing operator, which is ours. Without it the answer is NULL at once. */
static COLD void *nothrow_again(size_t size, const struct nothrow *tag, const char *name)
{
    void *(*next)(size_t, const struct nothrow *) = NULL;
    if (dlsym) *(void **)&next = dlsym(RTLD_NEXT, name);
    return next ? next(size, tag) : NULL;
}

static COLD void *nothrow_aligned_again(size_t size, size_t alignment, const struct nothrow *tag, const char *name)
{
    void *(*next)(size_t, size_t, const struct nothrow *) = NULL;
    if (dlsym) *(void **)&next = dlsym(RTLD_NEXT, name);
    return next ? next(size, alignment, tag) : NULL;
}

#define NEW_NOTHROW "_ZnwmRKSt9nothrow_t"
#define NEW_ARRAY_NOTHROW "_ZnamRKSt9nothrow_t"
#define NEW_ALIGNED_NOTHROW "_ZnwmSt11align_val_tRKSt9nothrow_t"
#define NEW_ARRAY_ALIGNED_NOTHROW "_ZnamSt11align_val_tRKSt9nothrow_t"

OPERATOR(cxx_new_nothrow, (size_t size, const struct nothrow *tag), NEW_NOTHROW)
{
    void *p = front_malloc(size);
    return likely(p) ? p : nothrow_again(size, tag, NEW_NOTHROW);
}

OPERATOR(cxx_new_array_nothrow, (size_t size, const struct nothrow *tag), NEW_ARRAY_NOTHROW)
{
    void *p = front_malloc(size);
    return likely(p) ? p : nothrow_again(size, tag, NEW_ARRAY_NOTHROW);
}

OPERATOR(cxx_new_aligned_nothrow, (size_t size, size_t alignment, const struct nothrow *tag), NEW_ALIGNED_NOTHROW)
{
    void *p = try_new(size, alignment);
    return likely(p) ? p : nothrow_aligned_again(size, alignment, tag, NEW_ALIGNED_NOTHROW);
}

OPERATOR(cxx_new_array_aligned_nothrow, (size_t size, size_t alignment, const struct nothrow *tag),
         NEW_ARRAY_ALIGNED_NOTHROW)
{
    void *p = try_new(size, alignment);
    return likely(p) ? p : nothrow_aligned_again(size, alignment, tag, NEW_ARRAY_ALIGNED_NOTHROW);
}

#endif
