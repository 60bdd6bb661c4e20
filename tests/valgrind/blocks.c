/* blocks.c - what a program does with blocks, for memcheck to judge: blocks right, or blocks wrong.
 *
 * Callers: memcheck_test.py. Built with malloc and its kin, and with the library's own names.
 * Every call goes through a volatile pointer, or the compiler would leave it out.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef OWN_NAMES
#include <hakmem/hakmem.h>
#define NAME(name) hak_##name
#define SIZE_OF hak_usable_size
#else
extern __attribute__((weak)) void free_sized(void *p, size_t size);
extern __attribute__((weak)) void free_aligned_sized(void *p, size_t alignment, size_t size);
#define NAME(name) name
#define SIZE_OF malloc_usable_size
#endif

static void *(*volatile take)(size_t) = NAME(malloc);
static void *(*volatile take_zeroed)(size_t, size_t) = NAME(calloc);
static void *(*volatile resize)(void *, size_t) = NAME(realloc);
static void *(*volatile resize_array)(void *, size_t, size_t) = NAME(reallocarray);
static void *(*volatile take_aligned)(size_t, size_t) = NAME(aligned_alloc);
static void *(*volatile take_memalign)(size_t, size_t) = NAME(memalign);
static int (*volatile take_posix)(void **, size_t, size_t) = NAME(posix_memalign);
static void *(*volatile take_page)(size_t) = NAME(valloc);
static void *(*volatile take_pages)(size_t) = NAME(pvalloc);
static void (*volatile give)(void *) = NAME(free);
static void (*volatile give_sized)(void *, size_t) = NAME(free_sized);
static void (*volatile give_aligned)(void *, size_t, size_t) = NAME(free_aligned_sized);
static void *volatile kept;

static const size_t sizes[] = {0, 1, 8, 24, 100, 1000, 5000, 64 * 1024, 300000, 5 << 20};
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]), ROUNDS = 300 };

static void fill(void *p, size_t size)
{
    if (!p) exit(2);
    memset(p, 0x5a, size);
}

static void expect(int good, const char *what)
{
    if (good) return;
    fprintf(stderr, "wrong: %s\n", what);
    exit(3);
}

/* Every call, every size, as a program may use them. */
static void use_everything(void)
{
    for (unsigned i = 0; i < SIZES; i++) {
        size_t size = sizes[i];
        char *p = take(size);
        fill(p, SIZE_OF(p));
        p = resize(p, size * 2 + 1);
        fill(p, size * 2 + 1);
        p = resize_array(p, 3, size + 1);
        fill(p, SIZE_OF(p));
        p = resize(p, size / 2 + 1);
        expect(p[size / 2] == 0x5a, "realloc keeps what both sizes have");
        give(p);
        p = take_zeroed(2, size + 1);
        for (size_t at = 0; at < 2 * size + 2; at++) expect(p[at] == 0, "calloc gives zeros");
        if (give_sized) give_sized(p, 2 * size + 2);
        else give(p);
        for (size_t alignment = 8; alignment <= 4 << 20; alignment *= 8) {
            void *q = NULL;
            p = take_aligned(alignment, size);
            expect((uintptr_t)p % alignment == 0 && take_posix(&q, alignment, size) == 0, "aligned blocks");
            fill(p, size);
            fill(q, SIZE_OF(q));
            if (give_aligned) give_aligned(p, alignment, size);
            else give(p);
            give(q);
        }
        give(take_memalign(256, size));
        give(take_page(size));
        p = take_pages(size);
        fill(p, size);
        give(p);
    }
    expect(take(PTRDIFF_MAX - 4096) == NULL && resize(NULL, PTRDIFF_MAX - 100) == NULL, "too much is refused");
    give(NULL);
}

static void *work(void *argument)
{
    char *block[ROUNDS];
    for (unsigned i = 0; i < ROUNDS; i++) {
        block[i] = take(i * 37 % 3000);
        fill(block[i], i * 37 % 3000);
    }
    for (unsigned i = 0; i < ROUNDS; i += 2) give(block[i]);
    give(argument);
    argument = take(77);
    for (unsigned i = 1; i < ROUNDS; i += 2) give(block[i]);
    return argument;
}

/* What is left at the end is still reachable, and no leak. */
static void right(void)
{
    pthread_t thread[3];
    for (int i = 0; i < 3; i++)
        if (pthread_create(&thread[i], NULL, work, take(100)) != 0) exit(2);
    use_everything();
    for (int i = 0; i < 3; i++) {
        void *block;
        pthread_join(thread[i], &block);
        give(block);
    }
    kept = take(2345);
}

/* ---- misuse: each of a size of its own, by which memcheck's report is known ---- */

static void leak(void)
{
    kept = take(1234);
    kept = take(70000);
    kept = NULL;
}

static void overflow(size_t size)
{
    volatile char *p = take(size);
    p[size] = 1;
    give((void *)p);
}

static void overflow_aligned(void)
{
    volatile char *p = take_aligned(64, 8192);
    p[8192] = 1;
    give((void *)p);
}

static void underflow(size_t size)
{
    volatile char *p = take(size);
    p[-1] = 1;
    give((void *)p);
}

static void use_after_free(size_t size)
{
    volatile char *p = take(size);
    p[size / 2] = 1;
    give((void *)p);
    for (int i = 0; i < 20; i++) give(take(size));
    p[size / 2] = 2;
}

static void use_after_realloc(void)
{
    volatile char *p = take(105);
    give(resize((void *)p, 90));
    p[0] = 1;
}

static void use_uninitialised(void)
{
    char *p = take(106);
    if (p[50] == 7) puts("seven");
    give(p);
}

static void free_twice(void)
{
    void *p = take(107);
    give(p);
    give(p);
}

static void free_inside(void)
{
    char *p = take(108);
    give(p + 16);
    give(p);
}

static void wrong(void)
{
    overflow(20);
    overflow(200000);
    overflow_aligned();
    underflow(21);
    underflow(200001);
    use_after_free(102);
    use_after_free(100000);
    use_after_realloc();
    use_uninitialised();
    free_twice();
    free_inside();
    leak();
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "wrong") == 0) wrong();
    else right();
    return 0;
}
