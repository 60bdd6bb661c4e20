/* dlopen_test.c - hakmem loaded late, by a program that runs on glibc's malloc.
 *
 * Neither linked nor preloaded: the hak_* calls are found by dlsym, and used from threads born before and
 * after the loading. malloc stays glibc's.
 */
#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "bootstrap/common.h"

enum { THREADS = 6, LOADS = 20, ROUNDS = 200 };

static void *(*late_malloc)(size_t);
static void *(*late_calloc)(size_t, size_t);
static void *(*late_realloc)(void *, size_t);
static void (*late_free)(void *);
static bool (*late_owns)(const void *);
static bool (*late_check)(void);
static int (*late_stats)(struct hak_stats *);
static const char *(*late_version)(void);

static char library_path[PATH_MAX];
static void *library;
static pthread_barrier_t gate;
static atomic_int failures;

static void find_library(void)
{
    char self[PATH_MAX - 64];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0) bail_out("readlink: errno %d", errno);
    self[n] = 0;
    for (int up = 0; up < 4; up++) *strrchr(self, '/') = 0;
    snprintf(library_path, sizeof library_path, "%s/libhakmem.so", self);
}

static bool load(int flags)
{
    library = dlopen(library_path, flags);
    if (!library) return diag("%s", dlerror()), false;
    late_malloc = (void *(*)(size_t))dlsym(library, "hak_malloc");
    late_calloc = (void *(*)(size_t, size_t))dlsym(library, "hak_calloc");
    late_realloc = (void *(*)(void *, size_t))dlsym(library, "hak_realloc");
    late_free = (void (*)(void *))dlsym(library, "hak_free");
    late_owns = (bool (*)(const void *))dlsym(library, "hak_owns");
    late_check = (bool (*)(void))dlsym(library, "hak_check");
    late_stats = (int (*)(struct hak_stats *))dlsym(library, "hak_stats");
    late_version = (const char *(*)(void))dlsym(library, "hak_version");
    return late_malloc && late_calloc && late_realloc && late_free && late_owns && late_check && late_stats && late_version;
}

static bool late_calls_work(unsigned seed)
{
    enum { BLOCKS = 30 };
    unsigned char *block[BLOCKS];
    bool good = true;
    for (unsigned i = 0; i < BLOCKS; i++) {
        size_t size = (seed * 37 + i * 151) % 6000 + 1;
        block[i] = i % 2 ? late_malloc(size) : late_calloc(1, size);
        if (!block[i] || !late_owns(block[i])) return false;
        if (i % 2 == 0) good = good && block[i][size - 1] == 0;
        block[i] = late_realloc(block[i], size + 3000);
        if (!block[i]) return false;
        memset(block[i], (int)i, size + 3000);
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        good = good && block[i][0] == i;
        late_free(block[i]);
    }
    return good;
}

/* Born before the library is loaded: its static TLS must fit into this thread's surplus. */
static void *use_from_thread(void *argument)
{
    unsigned number = (unsigned)(uintptr_t)argument;
    pthread_barrier_wait(&gate);
    for (unsigned i = 0; i < ROUNDS; i++)
        if (!late_calls_work(number + i)) atomic_fetch_add(&failures, 1);
    return NULL;
}

static void threads_use_it(bool born_before)
{
    pthread_t thread[THREADS];
    pthread_barrier_init(&gate, NULL, THREADS + 1);
    for (size_t i = 0; i < THREADS; i++)
        if (pthread_create(&thread[i], NULL, use_from_thread, (void *)i) != 0) bail_out("pthread_create");
    if (born_before) expect(load(RTLD_NOW | RTLD_LOCAL), "dlopen of %s", library_path);
    if (!late_malloc) bail_out("the library could not be loaded");
    pthread_barrier_wait(&gate);
    for (int i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
    expect(atomic_load(&failures) == 0, "%d rounds failed", atomic_load(&failures));
    pthread_barrier_destroy(&gate);
}

static void it_can_be_closed_and_opened_again(void)
{
    void *survivor = late_malloc(1000);
    memset(survivor, 's', 1000);
    for (int i = 0; i < LOADS; i++) {
        expect(dlclose(library) == 0, "dlclose %d", i);
        expect(load(i % 2 ? RTLD_LAZY | RTLD_LOCAL : RTLD_NOW | RTLD_GLOBAL), "dlopen %d", i);
        expect(late_calls_work((unsigned)i), "calls after dlopen %d", i);
    }
    expect(late_owns(survivor) && ((char *)survivor)[999] == 's', "a block from before dlclose");
    late_free(survivor);
    claim("it_can_be_closed_and_opened_again");
}

/* Threads that used the library end after it was closed: its exit hooks must still be mapped. */
static void *close_and_end(void *unused)
{
    if (!late_calls_work(9)) atomic_fetch_add(&failures, 1);
    if (dlclose(library) != 0) atomic_fetch_add(&failures, 1);
    return unused;
}

int main(void)
{
    pthread_t thread;
    alarm(HANG_SECONDS);
    find_library();
    if (!ok(!hak_version, "the_program_starts_without_hakmem")) return done_testing();
    void *from_glibc = take(100);
    threads_use_it(true);
    claim("threads_born_before_dlopen_can_use_it");
    threads_use_it(false);
    claim("threads_born_after_dlopen_can_use_it");
    diag("hakmem %s", late_version());
    void *later = take(100);
    ok(!late_owns(from_glibc) && !late_owns(later), "malloc_stays_glibc's");
    give(from_glibc);
    give(later);
    it_can_be_closed_and_opened_again();
    struct hak_stats s;
    ok(late_stats(&s) == 0 && s.threads == 1 && s.mallocs == s.frees && s.live == 0, "every_block_came_back");
    ok(late_check(), "the_heap_is_sound_at_the_end");
    pthread_create(&thread, NULL, close_and_end, NULL);
    pthread_join(thread, NULL);
    ok(atomic_load(&failures) == 0, "a_thread_may_close_it_and_end");
    return done_testing();
}
