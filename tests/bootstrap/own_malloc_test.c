/* own_malloc_test.c - a program with malloc, calloc, realloc and free of its own has blocks of these from all that
 * calls them, reallocarray too: a block of the library's would go to the program's free.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "api/weak.h"
#include "tap.h"

static _Alignas(16) unsigned char arena[1 << 20];
static size_t used;

/* Nothing is given back, and the size stands before the block. */
void *malloc(size_t size)
{
    size_t need = (size + 31) / 16 * 16;
    if (size > sizeof(arena) || need > sizeof(arena) - used) return NULL;
    unsigned char *p = arena + used + 16;
    memcpy(p - 16, &size, sizeof(size));
    used += need;
    return p;
}

void free(void *p)
{
    (void)p;
}

void *realloc(void *p, size_t size)
{
    size_t before = 0;
    void *to = malloc(size);
    if (p) memcpy(&before, (unsigned char *)p - 16, sizeof(before));
    if (to && p) memcpy(to, p, before < size ? before : size);
    return to;
}

void *calloc(size_t count, size_t size)
{
    size_t total;
    return __builtin_mul_overflow(count, size, &total) ? NULL : malloc(total); /* the arena was never written to */
}

static bool is_own(const void *p)
{
    return (uintptr_t)p - (uintptr_t)arena < sizeof(arena);
}

int main(void)
{
    static void *(*volatile resize_array)(void *, size_t, size_t) = reallocarray;
    static char *(*volatile duplicate)(const char *) = strdup;
    if (!hak_version) bail_out("runs without hakmem");
    ok(is_own(duplicate("words")), "libc's own calls reach the program");
    char *p = resize_array(NULL, 10, 10);
    ok(is_own(p), "reallocarray of NULL");
    memset(p, 'x', 100);
    char *larger = resize_array(p, 30, 10);
    ok(is_own(larger) && memcmp(larger, p, 100) == 0, "reallocarray of a block");
    errno = 0;
    ok(!resize_array(larger, SIZE_MAX / 4, 5) && errno == ENOMEM, "a product that overflows");
    void *q = hak_reallocarray(NULL, 10, 10);
    ok(!is_own(q) && hak_owns(q), "hak_reallocarray is the library's");
    hak_free(q);
    return done_testing();
}
