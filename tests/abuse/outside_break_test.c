/* outside_break_test.c - blocks of glibc's own malloc reach glibc wherever its arenas lie: behind a mapping that stops
 * the break, and where glibc was told to use huge pages, which it never takes from the break.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "api/weak.h"
#include "tap.h"

enum { BLOCKS = 3000, THREADS = 4 };
static void *(*libc_malloc)(size_t);
static void (*libc_free)(void *);
static size_t (*libc_usable)(void *);
static struct mallinfo2 (*libc_info)(void);

static void *(*volatile resize)(void *, size_t) = realloc;
static void (*volatile give)(void *) = free;
static size_t (*volatile usable)(void *) = malloc_usable_size;

static void find_libc(void)
{
    void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    if (!libc || !hak_owns) bail_out("hakmem or libc is not there");
    *(void **)&libc_malloc = dlsym(libc, "malloc");
    *(void **)&libc_free = dlsym(libc, "free");
    *(void **)&libc_usable = dlsym(libc, "malloc_usable_size");
    *(void **)&libc_info = dlsym(libc, "mallinfo2");
}

/* Sizes of all kinds that glibc has lists for. */
static size_t size_of(unsigned i)
{
    return i % 50 == 0 ? 20000 + i : 1 + i * 37 % 3000;
}

static void *allocate(void *out)
{
    void **block = out;
    for (unsigned i = 0; i < BLOCKS; i++) memset(block[i] = libc_malloc(size_of(i)), 'o', size_of(i));
    for (unsigned i = 0; i < BLOCKS; i += 7) { /* free blocks among them */
        libc_free(block[i]);
        block[i] = NULL;
    }
    return NULL;
}

/* Of one set of blocks: a third grows first. */
static void come_and_go(void **block)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        if (!block[i]) continue;
        expect(!hak_owns(block[i]) && usable(block[i]) == libc_usable(block[i]), "block %u at %p", i, block[i]);
        if (i % 3 == 0) block[i] = resize(block[i], 2 * size_of(i));
        expect(block[i] && *(char *)block[i] == 'o', "block %u moved", i);
    }
    for (unsigned i = 0; i < BLOCKS; i++) give(block[i]);
}

static bool is_outside_break(const void *p, const void *start)
{
    return (const char *)p < (const char *)start || (const char *)p >= (const char *)sbrk(0);
}

static void main_arena(void)
{
    static void *block[BLOCKS];
    const char *start = (const char *)sbrk(0) - (1 << 20); /* what is in use of it so far is less */
    unsigned outside = 0;
    char *wall = (char *)(((uintptr_t)sbrk(0) + 300000) & ~(uintptr_t)4095);
    (void)mmap(wall, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    size_t before = libc_info().uordblks;
    (void)allocate(block);
    for (unsigned i = 0; i < BLOCKS; i++) outside += block[i] && is_outside_break(block[i], start);
    expect(outside > BLOCKS / 2, "%u blocks outside of the break", outside);
    size_t held = libc_info().uordblks - before;
    come_and_go(block);
    size_t kept = libc_info().uordblks - before;
    expect(kept < held / 10, "libc holds %zu bytes of %zu", kept, held);
    claim("blocks_of_the_main_arena_outside_of_the_break_are_libcs");
}

static void threads(void)
{
    static void *block[THREADS][BLOCKS];
    pthread_t thread[THREADS];
    for (unsigned t = 0; t < THREADS; t++)
        if (pthread_create(&thread[t], NULL, allocate, block[t]) != 0) bail_out("pthread_create");
    for (unsigned t = 0; t < THREADS; t++) pthread_join(thread[t], NULL);
    for (unsigned t = 0; t < THREADS; t++) come_and_go(block[t]);
    claim("blocks_of_threads_are_libcs");
}

static bool is_done;

/* Beyond what threads keep for themselves. What is freed has other contents than a header. */
static void *churn(void *unused)
{
    void *block[64] = {NULL};
    uint32_t random = 1;
    while (!__atomic_load_n(&is_done, __ATOMIC_RELAXED)) {
        random = random * 1103515245 + 12345;
        size_t size = 1100 + (random >> 8) % 3000;
        void **place = &block[random >> 26];
        libc_free(*place);
        memset(*place = libc_malloc(size), 'c', size);
    }
    for (unsigned i = 0; i < 64; i++) libc_free(block[i]);
    return unused;
}

static void while_others_work(void)
{
    pthread_t thread;
    void *block[64];
    if (pthread_create(&thread, NULL, churn, NULL) != 0) bail_out("pthread_create");
    for (unsigned round = 0; round < 200; round++) {
        for (unsigned i = 0; i < 64; i++) block[i] = libc_malloc(1100 + (round * 64 + i) % 3000);
        for (unsigned i = 0; i < 64; i++) expect(usable(block[i]) == libc_usable(block[i]), "at %p", block[i]);
        for (unsigned i = 0; i < 64; i++) give(block[i]);
    }
    __atomic_store_n(&is_done, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    claim("blocks_are_libcs_while_others_work_in_their_arena");
}

/* What the child says goes to standard error. */
static void again_with(const char *tunables, char **argv)
{
    char *arguments[] = {argv[0], (char *)"again", NULL};
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        setenv("GLIBC_TUNABLES", tunables, 1);
        dup2(STDERR_FILENO, STDOUT_FILENO);
        execv("/proc/self/exe", arguments);
        _exit(127);
    }
    waitpid(child, &status, 0);
    ok(status == 0, "all_that_holds_with_%s (%#x)", tunables, (unsigned)status);
}

int main(int argc, char **argv)
{
    find_libc();
    main_arena();
    threads();
    while_others_work();
    ok(hak_check(), "the_heap_is_sound_at_the_end");
    if (argc > 1) return done_testing();
    again_with("glibc.malloc.hugetlb=2", argv);
    again_with("glibc.malloc.arena_max=1", argv);
    again_with("glibc.malloc.hugetlb=2:glibc.malloc.arena_max=1", argv);
    return done_testing();
}
