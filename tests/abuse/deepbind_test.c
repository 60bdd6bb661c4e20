/* deepbind_test.c - a plugin loaded with RTLD_DEEPBIND allocates from libc, and the program frees by hakmem. */
#include <dlfcn.h>
#include <limits.h>
#include <malloc.h>

#include "api/weak.h"
#include "tap.h"

extern __attribute__((weak)) void free_sized(void *p, size_t size);
extern __attribute__((weak)) void free_aligned_sized(void *p, size_t alignment, size_t size);

static char *(*plugin_text)(size_t);
static char *(*plugin_copy)(const char *);
static void (*volatile give)(void *) = free;
static void *(*volatile resize)(void *, size_t) = realloc;
static size_t (*volatile usable)(void *) = malloc_usable_size;

/* Beside the folder of this program: build/tests/abuse/deepbind_plugin.so. */
static void *load_plugin(void)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 64);
    if (n < 0) bail_out("readlink: errno %d", errno);
    path[n] = 0;
    for (int up = 0; up < 2; up++) *strrchr(path, '/') = 0;
    strcat(path, "/deepbind_plugin.so");
    return dlopen(path, RTLD_NOW | RTLD_DEEPBIND);
}

static bool holds(const char *p, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (p[i] != 'd') return false;
    return true;
}

int main(void)
{
    static const size_t sizes[] = {1, 24, 100, 1000, 5000, 100000, 1 << 20, 10 << 20};
    void *plugin = load_plugin();
    if (!ok(hak_owns && plugin, "hakmem_and_the_plugin_are_there")) return done_testing();
    *(void **)&plugin_text = dlsym(plugin, "plugin_text");
    *(void **)&plugin_copy = dlsym(plugin, "plugin_copy");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t size = sizes[i];
        char *p = plugin_text(size);
        expect(p && !hak_owns(p) && usable(p) >= size, "size %zu: not libc's", size);
        give(p);
        char *q = resize(plugin_text(size), 3 * size);
        expect(q && holds(q, size) && usable(q) >= 3 * size, "size %zu: realloc", size);
        q = resize(q, size / 2 + 1);
        expect(q && holds(q, size / 2 + 1), "size %zu: realloc to less", size);
        expect(resize(q, 0) == NULL, "size %zu: realloc to nothing", size);
        free_sized(plugin_text(size), size);
        free_aligned_sized(plugin_text(size), 16, size);
    }
    claim("every_call_takes_what_the_plugin_allocated");
    char *copy = plugin_copy("a text");
    ok(copy && strcmp(copy, "a text") == 0, "libc_allocates_for_the_plugin");
    give(copy);
    ok(hak_check(), "the_heap_is_sound_at_the_end");
    return done_testing();
}
