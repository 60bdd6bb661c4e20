/* interposed_test.c - preloaded beside a library that wraps mmap and calls dlsym and malloc within; and before another
 * allocator, which must not be given what libc's made.
 *
 * Run plainly; runs itself with both libraries preloaded, the former in both orders.
 */
#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <sys/mman.h>

#include "bootstrap/common.h"

static void *work(void *good)
{
    for (unsigned i = 0; i < 50; i++)
        if (!allocator_works(i)) return NULL;
    return good;
}

static int child(void)
{
    alarm(HANG_SECONDS);
    int *calls = dlsym(RTLD_DEFAULT, "interposed_calls");
    if (!calls || !hak_owns) return 2;
    int before = *calls;
    void *mapping = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(mapping, 4096);
    if (*calls == before) return 3;
    if (!work(&before)) return 4;
    void *large = take(70 << 20); /* a mapping of its own */
    if (!large || !hak_owns(large)) return 5;
    large = resize(large, 100 << 20);
    give(large);
    pthread_t thread[4];
    for (int i = 0; i < 4; i++)
        if (pthread_create(&thread[i], NULL, work, calls) != 0) return 6;
    for (int i = 0; i < 4; i++) {
        void *good = NULL;
        pthread_join(thread[i], &good);
        if (!good) return 7;
    }
    malloc_trim(0);
    return hak_check() ? 0 : 8;
}

/* Blocks of libc's go to libc. */
static int hand_over(void)
{
    alarm(HANG_SECONDS);
    void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    void *(*libc_malloc)(size_t) = libc ? (void *(*)(size_t))dlsym(libc, "malloc") : NULL;
    void *other = dlsym(RTLD_DEFAULT, "aborting_allocator");
    if (!libc_malloc || !hak_owns || !other) return 2;
    void *p = libc_malloc(2000);
    if (malloc_usable_size(p) < 2000) return 3;
    p = resize(p, 4000);
    if (!p || hak_owns(p)) return 4;
    give(p);
    return libc_malloc(4000) == p ? 0 : 5;
}

static bool works_under(const char *first, const char *second, const char *scene)
{
    char root[PATH_MAX], preload[2 * PATH_MAX + 64];
    ssize_t n = readlink("/proc/self/exe", root, sizeof root - 1);
    if (n < 0) bail_out("readlink: errno %d", errno);
    root[n] = 0;
    for (int up = 0; up < 4; up++) *strrchr(root, '/') = 0;
    snprintf(preload, sizeof preload, "%s/%s:%s/%s", root, first, root, second);
    setenv("LD_PRELOAD", preload, 1);
    int status = run_self_with(scene, NULL);
    unsetenv("LD_PRELOAD");
    return succeeded(status, preload);
}

int main(int argc, char **argv)
{
    static const char ours[] = "libhakmem.so", other[] = "tests/bootstrap/calling_interposer.so";
    static const char behind[] = "tests/bootstrap/aborting_allocator.so";
    if (argc == 2 && strcmp(argv[1], "child") == 0) return child();
    if (argc == 2) return hand_over();
    ok(!hak_version && !exited_well(run_self_with("child", NULL)), "without_the_libraries_the_child_fails");
    ok(works_under(other, ours, "child"), "an_interposer_of_mmap_that_calls_dlsym_may_stand_before_hakmem");
    ok(works_under(ours, other, "child"), "an_interposer_of_mmap_that_calls_dlsym_may_stand_after_hakmem");
    ok(works_under(ours, behind, "hand over"), "libc's_blocks_go_to_libc_past_another_allocator");
    return done_testing();
}
