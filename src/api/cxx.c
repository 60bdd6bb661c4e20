/* cxx.c - C++ operator new and delete in all their forms, under their mangled names.
 *
 * Uses: front, image, and from libstdc++ the new handler and bad_alloc.
 * Follows: C++20 [new.delete]. Compiled with unwind tables, since exceptions pass through.
 *
 * Compiled twice. In the shared library all forms are there. A program in C has no libstdc++, but what it loads may
 * have one, inside or for itself alone: so where none is linked, it is looked for from where the operator was called,
 * each time, since it may be unloaded. In the archive all but the nothrow forms of new: a program that links them has
 * libstdc++ linked in too, whose nothrow forms call these inside a catch.
 *
 * A program may have operators of its own, and replace only some of them. The others are to call these, as those of
 * libstdc++ do: else a block would go to the heap that had a header put before it by the program's operator. So each
 * form that has another one behind it looks whether that is ours; the linker has put the one in force in its table. In
 * the archive all are weak, for a program that has some of them.
 */
#include "api.h"

#include "../../include/hakmem/hakmem.h"
#include "../diag/message.h"
#include "../front/front.h"
#include "../os/image.h"
#include "../os/os.h"

typedef void new_handler(void);
struct nothrow; /* std::nothrow_t: a tag, never looked into */

#if HAK_FOR_ARCHIVE
#define MAY_BE_MISSING
#define REPLACEABLE __attribute__((weak))
#else
#define MAY_BE_MISSING __attribute__((weak))
#define REPLACEABLE
#endif

/* std::get_new_handler() and std::__throw_bad_alloc() */
new_handler *cxx_get_new_handler(void) __asm__("_ZSt15get_new_handlerv") MAY_BE_MISSING;
void cxx_throw_bad_alloc(void) __asm__("_ZSt17__throw_bad_allocv") MAY_BE_MISSING;

static const bool in_archive = HAK_FOR_ARCHIVE;

static new_handler *current_handler(const void *caller)
{
    static const char *const names[] = {"_ZSt15get_new_handlerv"};
    union {
        void *found;
        new_handler *(*get)(void);
    } function = {.get = cxx_get_new_handler};
    if (in_archive || function.get) return function.get();
    return image_find_set(names, array_length(names), caller, &function.found) ? function.get() : NULL;
}

/* By the parts of a libstdc++ of which maybe not more is there. The object is a pointer to its table of functions,
 * which begins behind two words. Returns only if there is none. */
static void throw_in_parts(const void *caller)
{
    static const char *const names[] = {"__cxa_allocate_exception", "__cxa_throw", "_ZTVSt9bad_alloc",
                                        "_ZTISt9bad_alloc", "_ZNSt9bad_allocD1Ev"};
    union {
        void *found[array_length(names)];
        struct {
            void **(*allocate)(size_t size);
            void (*throw)(void *object, void *type, void (*destroy)(void *object));
            void **table;
            void *type;
            void (*destroy)(void *object);
        } of;
    } part;
    if (!image_find_set(names, array_length(names), caller, part.found)) return;
    void **object = part.of.allocate(sizeof(*object));
    *object = part.of.table + 2;
    part.of.throw(object, part.of.type, part.of.destroy);
}

static void throw_bad_alloc(const void *caller)
{
    void (*linked)(void) = cxx_throw_bad_alloc;
    if (in_archive || linked) linked();
    throw_in_parts(caller);
    message_print("out of memory in operator new, and no C++ library to throw bad_alloc");
    os_abort();
}

static void *try_new(size_t size, size_t alignment)
{
    return alignment > 8 ? front_aligned(alignment, size) : front_malloc(size);
}

/* Calls the handler until memory is there, or the handler throws, or there is none. */
static COLD void *new_again(size_t size, size_t alignment, const void *caller)
{
    for (;;) {
        new_handler *handler = current_handler(caller);
        if (!handler) throw_bad_alloc(caller);
        handler();
        void *p = try_new(size, alignment);
        if (p) return p;
    }
}

#define CALLER __builtin_return_address(0)

#define OPERATOR(name, parameters, symbol) \
    HAK_API void *name parameters __asm__(symbol) REPLACEABLE; \
    HAK_API void *name parameters

#define OPERATOR_VOID(name, parameters, symbol) \
    HAK_API void name parameters __asm__(symbol) REPLACEABLE; \
    HAK_API void name parameters

/* A form that others have behind it: under a name that nobody replaces, for which the public one is another. A call of
 * the one in force is apart from the hits, which then compare ours with the linker's table where it lies. */
#define STANDS_BEHIND(type, form, parameters, arguments, symbol) \
    static type own_##form parameters; \
    HAK_API type cxx_##form parameters __asm__(symbol) REPLACEABLE __attribute__((alias("own_" #form))); \
    static UNUSED COLD type in_force_##form parameters \
    { \
        return cxx_##form arguments; \
    } \
    static type own_##form parameters

/* The compiler takes the two for one. */
ALWAYS_INLINE bool is_own(const void *in_force, const void *own)
{
    __asm__("" : "+r"(own));
    return likely(in_force == own);
}

#define IS_OWN(form) is_own((const void *)cxx_##form, (const void *)own_##form)

STANDS_BEHIND(void *, new, (size_t size), (size), "_Znwm")
{
    void *p = front_malloc(size);
    return likely(p) ? p : new_again(size, 1, CALLER);
}

STANDS_BEHIND(void *, new_array, (size_t size), (size), "_Znam")
{
    if (!IS_OWN(new)) return in_force_new(size);
    void *p = front_malloc(size);
    return likely(p) ? p : new_again(size, 1, CALLER);
}

STANDS_BEHIND(void, delete, (void *p), (p), "_ZdlPv")
{
    front_free(p);
}

STANDS_BEHIND(void, delete_array, (void *p), (p), "_ZdaPv")
{
    if (IS_OWN(delete))
        front_free(p);
    else
        in_force_delete(p);
}

OPERATOR_VOID(cxx_delete_sized, (void *p, size_t size), "_ZdlPvm")
{
    if (IS_OWN(delete))
        front_free_sized(p, size);
    else
        in_force_delete(p);
}

OPERATOR_VOID(cxx_delete_array_sized, (void *p, size_t size), "_ZdaPvm")
{
    if (IS_OWN(delete_array) && IS_OWN(delete))
        front_free_sized(p, size);
    else
        in_force_delete_array(p);
}

STANDS_BEHIND(void *, new_aligned, (size_t size, size_t alignment), (size, alignment), "_ZnwmSt11align_val_t")
{
    void *p = try_new(size, alignment);
    return likely(p) ? p : new_again(size, alignment, CALLER);
}

STANDS_BEHIND(void *, new_array_aligned, (size_t size, size_t alignment), (size, alignment), "_ZnamSt11align_val_t")
{
    if (!IS_OWN(new_aligned)) return in_force_new_aligned(size, alignment);
    void *p = try_new(size, alignment);
    return likely(p) ? p : new_again(size, alignment, CALLER);
}

OPERATOR_VOID(cxx_delete_nothrow, (void *p, const struct nothrow *tag UNUSED), "_ZdlPvRKSt9nothrow_t")
{
    in_force_delete(p);
}

OPERATOR_VOID(cxx_delete_array_nothrow, (void *p, const struct nothrow *tag UNUSED), "_ZdaPvRKSt9nothrow_t")
{
    in_force_delete_array(p);
}

STANDS_BEHIND(void, delete_aligned, (void *p, size_t alignment), (p, alignment), "_ZdlPvSt11align_val_t")
{
    (void)alignment;
    front_free(p);
}

STANDS_BEHIND(void, delete_array_aligned, (void *p, size_t alignment), (p, alignment), "_ZdaPvSt11align_val_t")
{
    if (IS_OWN(delete_aligned))
        front_free(p);
    else
        in_force_delete_aligned(p, alignment);
}

OPERATOR_VOID(cxx_delete_sized_aligned, (void *p, size_t size, size_t alignment), "_ZdlPvmSt11align_val_t")
{
    if (IS_OWN(delete_aligned))
        front_free_sized(p, size);
    else
        in_force_delete_aligned(p, alignment);
}

OPERATOR_VOID(cxx_delete_array_sized_aligned, (void *p, size_t size, size_t alignment), "_ZdaPvmSt11align_val_t")
{
    if (IS_OWN(delete_array_aligned) && IS_OWN(delete_aligned))
        front_free_sized(p, size);
    else
        in_force_delete_array_aligned(p, alignment);
}

OPERATOR_VOID(cxx_delete_aligned_nothrow, (void *p, size_t alignment, const struct nothrow *tag UNUSED),
              "_ZdlPvSt11align_val_tRKSt9nothrow_t")
{
    in_force_delete_aligned(p, alignment);
}

OPERATOR_VOID(cxx_delete_array_aligned_nothrow, (void *p, size_t alignment, const struct nothrow *tag UNUSED),
              "_ZdaPvSt11align_val_tRKSt9nothrow_t")
{
    in_force_delete_array_aligned(p, alignment);
}

#if !HAK_FOR_ARCHIVE

/* A nothrow form calls the handler too, and keeps its exception in. That takes a catch: libstdc++'s own
 * form has one around the throwing operator, which is ours. Another allocator's form would not do: the block would be
 * its own. Without libstdc++'s form the answer is that of the throwing operator if that is the program's, and else NULL
 * at once. */
static void *form_of_runtime(const char *name, const void *caller)
{
    const char *const names[] = {name, "__cxa_begin_catch"};
    void *found[array_length(names)];
    const void *linked = (const void *)cxx_throw_bad_alloc;
    return image_find_set(names, array_length(names), linked ? linked : caller, found) ? found[0] : NULL;
}

static COLD void *nothrow_again(size_t size, const struct nothrow *tag, void *(*replaced)(size_t size),
                                const char *name, const void *caller)
{
    void *(*form)(size_t, const struct nothrow *);
    *(void **)&form = form_of_runtime(name, caller);
    if (form) return form(size, tag);
    return replaced ? replaced(size) : NULL;
}

static COLD void *nothrow_aligned_again(size_t size, size_t alignment, const struct nothrow *tag,
                                        void *(*replaced)(size_t size, size_t alignment), const char *name,
                                        const void *caller)
{
    void *(*form)(size_t, size_t, const struct nothrow *);
    *(void **)&form = form_of_runtime(name, caller);
    if (form) return form(size, alignment, tag);
    return replaced ? replaced(size, alignment) : NULL;
}

#define NEW_NOTHROW "_ZnwmRKSt9nothrow_t"
#define NEW_ARRAY_NOTHROW "_ZnamRKSt9nothrow_t"
#define NEW_ALIGNED_NOTHROW "_ZnwmSt11align_val_tRKSt9nothrow_t"
#define NEW_ARRAY_ALIGNED_NOTHROW "_ZnamSt11align_val_tRKSt9nothrow_t"

OPERATOR(cxx_new_nothrow, (size_t size, const struct nothrow *tag), NEW_NOTHROW)
{
    if (!IS_OWN(new)) return nothrow_again(size, tag, in_force_new, NEW_NOTHROW, CALLER);
    void *p = front_malloc(size);
    return likely(p) ? p : nothrow_again(size, tag, NULL, NEW_NOTHROW, CALLER);
}

OPERATOR(cxx_new_array_nothrow, (size_t size, const struct nothrow *tag), NEW_ARRAY_NOTHROW)
{
    if (!IS_OWN(new_array) || !IS_OWN(new))
        return nothrow_again(size, tag, in_force_new_array, NEW_ARRAY_NOTHROW, CALLER);
    void *p = front_malloc(size);
    return likely(p) ? p : nothrow_again(size, tag, NULL, NEW_ARRAY_NOTHROW, CALLER);
}

OPERATOR(cxx_new_aligned_nothrow, (size_t size, size_t alignment, const struct nothrow *tag), NEW_ALIGNED_NOTHROW)
{
    if (!IS_OWN(new_aligned))
        return nothrow_aligned_again(size, alignment, tag, in_force_new_aligned, NEW_ALIGNED_NOTHROW, CALLER);
    void *p = try_new(size, alignment);
    return likely(p) ? p : nothrow_aligned_again(size, alignment, tag, NULL, NEW_ALIGNED_NOTHROW, CALLER);
}

OPERATOR(cxx_new_array_aligned_nothrow, (size_t size, size_t alignment, const struct nothrow *tag),
         NEW_ARRAY_ALIGNED_NOTHROW)
{
    if (!IS_OWN(new_array_aligned) || !IS_OWN(new_aligned))
        return nothrow_aligned_again(size, alignment, tag, in_force_new_array_aligned, NEW_ARRAY_ALIGNED_NOTHROW,
                                     CALLER);
    void *p = try_new(size, alignment);
    return likely(p) ? p : nothrow_aligned_again(size, alignment, tag, NULL, NEW_ARRAY_ALIGNED_NOTHROW, CALLER);
}

#endif
