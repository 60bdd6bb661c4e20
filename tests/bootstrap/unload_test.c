/* unload_test.c - a library that embeds hakmem is closed, and threads that used it end after that.
 *
 * Run plainly. A scene is a child with one such library; 0 = as it shall be.
 */
#include <dlfcn.h>
#include <pthread.h>

#include "bootstrap/common.h"

enum { THREADS = 3 };

static void *(*plugin_take)(size_t);
static void (*plugin_give)(void *);
static pthread_barrier_t gate;

static void *use_and_end(void *kept)
{
    void *p = plugin_take(100);
    pthread_barrier_wait(&gate); /* before it is closed */
    pthread_barrier_wait(&gate); /* and after */
    return p ? kept : NULL;
}

/* Its code is there, and works. */
static int works_on(const char *path)
{
    void *again = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    if (!again || dlsym(again, "plugin_take") != *(void **)&plugin_take) return 15;
    void *p = plugin_take(100);
    plugin_give(p);
    return p ? 0 : 16;
}

static int close_early(const char *name)
{
    char path[PATH_MAX];
    pthread_t thread[THREADS];
    void *ended = NULL;
    beside_folder(path, name);
    void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!plugin) return diag("%s", dlerror()), 10;
    *(void **)&plugin_take = dlsym(plugin, "plugin_take");
    *(void **)&plugin_give = dlsym(plugin, "plugin_give");
    pthread_barrier_init(&gate, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&thread[i], NULL, use_and_end, &gate) != 0) return 11;
    pthread_barrier_wait(&gate);
    if (dlclose(plugin) != 0) return 12;
    pthread_barrier_wait(&gate);
    for (int i = 0; i < THREADS; i++)
        if (pthread_join(thread[i], &ended) != 0 || !ended) return 13;
    return works_on(path);
}

static bool may_be_closed(const char *name)
{
    int status = -1;
    pid_t pid = fork();
    if (pid < 0) bail_out("fork: errno %d", errno);
    if (pid == 0) exit(close_early(name));
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    return succeeded(status, name);
}

int main(void)
{
    alarm(HANG_SECONDS);
    setenv("HAKMEM_BACKGROUND", "on", 1);
    ok(may_be_closed("embeds_source.so"), "a_library_with_the_source_file_inside_may_be_closed");
    ok(may_be_closed("embeds_archive.so"), "a_library_with_the_archive_inside_may_be_closed");
    ok(may_be_closed("hides_archive.so"), "and_one_that_shows_none_of_it");
    return done_testing();
}
