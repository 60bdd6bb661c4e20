/* plugin_test.c - a library loaded by dlopen allocates in its constructor and frees in its destructor.
 */
#include <dlfcn.h>
#include <pthread.h>

#include "bootstrap/common.h"

enum { LOADS = 100 };

static char plugin_path[PATH_MAX];

static bool load_and_unload(void)
{
    void *plugin = dlopen(plugin_path, RTLD_NOW | RTLD_LOCAL);
    if (!plugin) return diag("%s", dlerror()), false;
    const char *(*block)(void) = (const char *(*)(void))dlsym(plugin, "plugin_block");
    const char *p = block ? block() : NULL;
    bool good = p && hak_owns(p) && p[0] == 'k' && p[4999] == 'k';
    return dlclose(plugin) == 0 && good;
}

static void *load_often(void *unused)
{
    (void)unused;
    for (int i = 0; i < LOADS; i++) expect(load_and_unload(), "load %d", i);
    return NULL;
}

int main(void)
{
    pthread_t thread[2];
    alarm(HANG_SECONDS);
    beside_folder(plugin_path, "alloc_on_load.so");
    if (!runs_on_hakmem()) return done_testing();
    load_often(NULL);
    claim("a_plugin_may_allocate_in_its_constructor_and_free_in_its_destructor");
    for (int i = 0; i < 2; i++) pthread_create(&thread[i], NULL, load_often, NULL);
    for (int i = 0; i < 2; i++) pthread_join(thread[i], NULL);
    claim("two_threads_may_load_and_unload_it_at_once");
    ok(dlopen("./no_such_library.so", RTLD_NOW) == NULL && dlerror(), "a_failing_dlopen_is_survived");
    ok(hak_check(), "the_heap_is_sound_at_the_end");
    return done_testing();
}
