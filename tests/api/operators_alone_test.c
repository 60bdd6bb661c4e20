/* operators_alone_test.c - a program with operators of its own and without libstdc++ gets them for the nothrow forms.
 *
 * As a program with another C++ library does, whose nothrow forms are none that libhakmem looks for. This one is in C,
 * so that none is there at all; the operators' names are the mangled ones.
 */
#include <stdlib.h>

#include "api/weak.h"
#include "tap.h"

enum { HEADER = 64 };

static long taken;

static void *mark(void *p)
{
    if (!p) return NULL;
    taken++;
    return (char *)p + HEADER;
}

void *own_new(size_t size) __asm__("_Znwm");
void *own_new_aligned(size_t size, size_t alignment) __asm__("_ZnwmSt11align_val_t");
void own_delete(void *p) __asm__("_ZdlPv");

void *own_new(size_t size)
{
    return mark(malloc(size + HEADER));
}

void *own_new_aligned(size_t size, size_t alignment)
{
    void *p;
    return mark(posix_memalign(&p, alignment, size + HEADER) == 0 ? p : NULL);
}

void own_delete(void *p)
{
    if (p) free((char *)p - HEADER);
}

/* The archive has no nothrow forms: those of the program's own C++ library serve there. */
void *new_nothrow(size_t size, const void *tag) __asm__("_ZnwmRKSt9nothrow_t") __attribute__((weak));
void *new_array_nothrow(size_t size, const void *tag) __asm__("_ZnamRKSt9nothrow_t") __attribute__((weak));
void *new_aligned_nothrow(size_t size, size_t alignment, const void *tag)
    __asm__("_ZnwmSt11align_val_tRKSt9nothrow_t") __attribute__((weak));
void *new_array_aligned_nothrow(size_t size, size_t alignment, const void *tag)
    __asm__("_ZnamSt11align_val_tRKSt9nothrow_t") __attribute__((weak));

/* Compilers know what these names mean, and that such calls change no variable. */
static void *(*volatile call_new)(size_t, const void *);
static void *(*volatile call_new_aligned)(size_t, size_t, const void *);

/* Whether the one block that was taken is p, which is freed. */
static bool is_own(void *p)
{
    bool own = p && taken == 1;
    own_delete(p);
    taken = 0;
    return own;
}

int main(void)
{
    if (!hak_version) bail_out("runs without hakmem");
    if (!new_nothrow) {
        ok(!new_array_nothrow && !new_aligned_nothrow && !new_array_aligned_nothrow, "the archive has no nothrow form");
        return done_testing();
    }
    call_new = new_nothrow;
    ok(is_own(call_new(100, NULL)), "new (nothrow)");
    call_new = new_array_nothrow;
    ok(is_own(call_new(100, NULL)), "new[] (nothrow)");
    call_new_aligned = new_aligned_nothrow;
    ok(is_own(call_new_aligned(100, HEADER, NULL)), "new (align, nothrow)");
    call_new_aligned = new_array_aligned_nothrow;
    ok(is_own(call_new_aligned(100, HEADER, NULL)), "new[] (align, nothrow)");
    return done_testing();
}
