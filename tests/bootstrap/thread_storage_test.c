/* thread_storage_test.c - the library's own thread has room for thread-local variables as far as its own lie from the
 * thread pointer, which may be far; what it does not use of that takes no memory.
 *
 * A program of its own: its variables are that large. libc clears those of its threads, and so makes them resident.
 */
#include "bootstrap/workers.h"

enum { STORAGE = 64 << 20, STACK = 1 << 20 };

static __thread volatile char large[STORAGE];

static bool is_without_ours(void)
{
    return resident_bytes() < (size_t)(WORKERS + 1) * STORAGE + ((size_t)16 << 20);
}

static int memory_stays_small(void)
{
    pthread_attr_t attributes;
    large[0] = 1;
    pthread_attr_init(&attributes);
    if (pthread_attr_setstacksize(&attributes, STORAGE + STACK) != 0) return 1; /* libc puts the variables there */
    if (pthread_setattr_default_np(&attributes) != 0) return 2;
    start_workers();
    if (count_threads() != WORKERS + 2) return 3;
    bool small = within_time(is_without_ours);
    if (!small) diag("RSS %zu KiB", resident_bytes() >> 10);
    end_workers();
    return !small;
}

static const struct scene scenes[] = {
    {"large_thread_local_variables_take_no_memory", memory_stays_small, "auto", NULL},
};

static const char *why_not(const struct scene *scene)
{
    (void)scene;
    return NULL;
}

int main(int argc, char **argv)
{
    return run_scenes(argc, argv, scenes, sizeof(scenes) / sizeof(*scenes), why_not);
}
