/* plugins_test.c - libraries that allocate are loaded and unloaded again and again, from several threads at once, while
 * others allocate; their thread-local objects die with threads that end later.
 */
#include <dlfcn.h>
#include <stdatomic.h>

#include "torture.h"

enum { LOADERS = 2 };

static char plugin_path[PATH_MAX];
static atomic_int bad;

static void *load_use_and_unload(void *unused)
{
    void *plugin = dlopen(plugin_path, RTLD_NOW | RTLD_LOCAL);
    if (!plugin) bail_out("%s", dlerror());
    void *(*use)(size_t) = (void *(*)(size_t))dlsym(plugin, "plugin_use");
    void *p = use ? use(1000) : NULL;
    if (!p || !hak_owns(p)) atomic_fetch_add(&bad, 1);
    if (dlclose(plugin) != 0) atomic_fetch_add(&bad, 1);
    give(p); /* the library may be gone */
    return unused;
}

static void *load_in_threads(void *count)
{
    for (uintptr_t i = 0; i < (uintptr_t)count; i++) pthread_join(start_thread(load_use_and_unload, NULL), NULL);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t loader[LOADERS];
    start_test(argc, argv);
    beside_folder(plugin_path, "plugin.so");
    if (!runs_on_hakmem()) return done_testing();
    uintptr_t loads = (uintptr_t)times(200, 10000);
    churn_start(3);
    for (int i = 0; i < LOADERS; i++) loader[i] = start_thread(load_in_threads, (void *)(loads / 10));
    for (int i = 0; i < LOADERS; i++) pthread_join(loader[i], NULL);
    size_t early = resident_bytes();
    for (int i = 0; i < LOADERS; i++) loader[i] = start_thread(load_in_threads, (void *)loads);
    for (int i = 0; i < LOADERS; i++) pthread_join(loader[i], NULL);
    size_t late = resident_bytes();
    expect(churn_stop() && atomic_load(&bad) == 0, "%d bad loads", atomic_load(&bad));
    diag("RSS after a tenth %zu KiB, at the end %zu KiB", early >> 10, late >> 10);
    expect(late < early + ((size_t)16 << 20), "RSS grew by %zu", late - early);
    claim("plugins_that_allocate_come_and_go_while_threads_allocate");
    for (uintptr_t i = 0; i < loads / 10; i++) load_use_and_unload(NULL);
    ok(atomic_load(&bad) == 0, "plugins_come_and_go_in_the_first_thread");
    ok(hak_check(), "the_heap_is_sound_at_the_end");
    return done_testing();
}
