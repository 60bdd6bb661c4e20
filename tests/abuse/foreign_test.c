/* foreign_test.c - blocks of glibc's own malloc reach glibc when they are given to hakmem's free, realloc
 * and malloc_usable_size.
 *
 * glibc's calls are taken from libc.so.6 by dlsym, as a library loaded with RTLD_DEEPBIND would bind them.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>

#include "api/weak.h"
#include "tap.h"

static void *(*libc_malloc)(size_t);
static size_t (*libc_usable)(void *);
static struct mallinfo2 (*libc_info)(void);

static void *(*volatile resize)(void *, size_t) = realloc;
static void (*volatile give)(void *) = free;
static size_t (*volatile usable)(void *) = malloc_usable_size;

enum { SMALL = 24, MEDIUM = 2000, MAPPED = 200 << 10 };

/* glibc marks chunks of other arenas than the first in the word before the block: bit 2. */
static bool in_thread_arena(void *p) { return ((size_t *)p)[-1] & 4; }

static void *fill(void *p, size_t size) { return p ? memset(p, 'g', size) : NULL; }

static bool filled(const char *p, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (p[i] != 'g') return false;
    return true;
}

static void *allocate_in_thread(void *unused)
{
    (void)unused;
    return fill(libc_malloc(MEDIUM), MEDIUM);
}

/* From an arena of its own; a neighbour keeps the block from becoming part of the top. */
static void *thread_arena_block(void)
{
    pthread_t thread;
    void *p = NULL;
    if (pthread_create(&thread, NULL, allocate_in_thread, NULL) != 0) bail_out("pthread_create");
    pthread_join(thread, &p);
    if (!p || !in_thread_arena(p)) bail_out("glibc gave no block of another arena");
    return p;
}

static struct hak_stats ours(void)
{
    struct hak_stats s;
    if (hak_stats(&s) != 0) bail_out("hak_stats");
    return s;
}

/* glibc counts the block as freed, hakmem counts nothing. */
static void free_is_counted_by_glibc(void *p, size_t size, bool mapped, const char *name)
{
    struct mallinfo2 before = libc_info();
    struct hak_stats hakmem_before = ours();
    errno = 77;
    give(p);
    int after_free = errno;
    struct mallinfo2 after = libc_info();
    expect(after_free == 77, "errno became %d", after_free);
    if (mapped) expect(before.hblks - after.hblks == 1, "hblks %zu, %zu", before.hblks, after.hblks);
    else expect(before.uordblks - after.uordblks >= size, "uordblks %zu, %zu", before.uordblks, after.uordblks);
    struct hak_stats hakmem_after = ours();
    expect(hakmem_after.frees == hakmem_before.frees && hakmem_after.live == hakmem_before.live, "hakmem counted it");
    claim("free_of_a_%s_block_reaches_glibc", name);
}

static void resize_stays_with_glibc(void *p, size_t size, size_t to, const char *name)
{
    size_t kept = size < to ? size : to;
    char *q = resize(p, to);
    expect(q && !hak_owns(q), "result %p", (void *)q);
    expect(q && libc_usable(q) >= to, "usable size");
    expect(q && filled(q, kept), "contents");
    claim("realloc_of_a_%s_block_to_%zu_stays_with_glibc", name, to);
    give(q);
}

static void usable_size_is_glibcs(void *p, const char *name)
{
    size_t wanted = libc_usable(p), got = usable(p);
    ok(got == wanted, "usable_size_of_a_%s_block_is_glibc's (%zu, %zu)", name, got, wanted);
    ok(!hak_owns(p) && hak_usable_size(p) == 0, "hak_owns_no_%s_block", name);
}

int main(void)
{
    void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    if (!ok(hak_owns && hak_stats && libc, "hakmem_and_libc_are_there")) return done_testing();
    libc_malloc = (void *(*)(size_t))dlsym(libc, "malloc");
    libc_usable = (size_t (*)(void *))dlsym(libc, "malloc_usable_size");
    libc_info = (struct mallinfo2 (*)(void))dlsym(libc, "mallinfo2");

    void *small = fill(libc_malloc(SMALL), SMALL), *medium = fill(libc_malloc(MEDIUM), MEDIUM);
    void *mapped = fill(libc_malloc(MAPPED), MAPPED), *other = thread_arena_block();
    void *barrier = libc_malloc(SMALL);
    usable_size_is_glibcs(small, "small");
    usable_size_is_glibcs(medium, "medium");
    usable_size_is_glibcs(mapped, "mapped");
    usable_size_is_glibcs(other, "thread_arena");

    give(small);
    ok(libc_malloc(SMALL) == small, "free_of_a_small_block_reaches_glibc's_cache");
    free_is_counted_by_glibc(medium, MEDIUM, false, "medium");
    free_is_counted_by_glibc(mapped, MAPPED, true, "mapped");
    free_is_counted_by_glibc(other, MEDIUM, false, "thread_arena");

    resize_stays_with_glibc(fill(libc_malloc(SMALL), SMALL), SMALL, 5000, "small");
    resize_stays_with_glibc(fill(libc_malloc(MEDIUM), MEDIUM), MEDIUM, 100, "medium");
    resize_stays_with_glibc(fill(libc_malloc(MAPPED), MAPPED), MAPPED, 400 << 10, "mapped");
    resize_stays_with_glibc(thread_arena_block(), MEDIUM, 6000, "thread_arena");
    ok(resize(fill(libc_malloc(MEDIUM), MEDIUM), 0) == NULL, "realloc_of_a_foreign_block_to_0_frees_it");
    give(barrier);
    ok(hak_check(), "the_heap_is_sound_at_the_end");
    return done_testing();
}
