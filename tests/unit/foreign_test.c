/* foreign_test.c - pointers that hakmem did not hand out: libc's reach libc, all others are refused. */
#include "unit.h"

#include <malloc.h>
#include <sys/mman.h>

extern char end; /* of the program's data: the break begins behind it */

static void *(*volatile libc_malloc)(size_t) = malloc;

static void start(void)
{
    break_seen = 0;
    fake.break_end = (uintptr_t)&end;
    foreign_init();
    fake.break_end = (uintptr_t)sbrk(0);
    do_free(do_malloc(1));
}

static const char *line_for(const void *p)
{
    static char line[128];
    sprintf(line, "hakmem: invalid pointer: p=0x%lx (see hakmem-errors(7))\n", (uintptr_t)p);
    return line;
}

static void require_refused(void *p)
{
    require_abort(line_for(p), do_free(p));
    require_abort(line_for(p), (void)do_realloc(p, 100));
    require(!hak_owns(p) && hak_usable_size(p) == 0 && front_usable_size(p) == 0);
    require_only_text("");
}

static size_t libc_holds(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* ---- libc's ---- */

static void libcs_blocks_are_freed_by_libc(void)
{
    static const size_t sizes[] = {2000, 5000, 50000, 100000, 400000, 5000000, 100000000};
    start();
    for (unsigned i = 0; i < array_length(sizes); i++) {
        size_t before = libc_holds();
        char *p = libc_malloc(sizes[i]);
        fake.break_end = (uintptr_t)sbrk(0);
        require(libc_holds() >= before + sizes[i]);
        require(!hak_owns(p) && hak_usable_size(p) == 0);
        require(front_usable_size(p) == malloc_usable_size(p), "size %zu", sizes[i]);
        p[0] = p[sizes[i] - 1] = 1;
        errno = 77;
        do_free(p);
        require(errno == 77);
        require(libc_holds() <= before, "size %zu: libc did not get it", sizes[i]);
        require_only_text("");
    }
    require_sound();
}

static void libcs_small_blocks_are_recognised(void)
{
    start();
    for (size_t size = 0; size < 3000; size += 7) {
        void *p = libc_malloc(size);
        fake.break_end = (uintptr_t)sbrk(0);
        require(front_usable_size(p) == malloc_usable_size(p), "size %zu", size);
        do_free(p);
    }
    require_only_text("");
}

static void libcs_blocks_are_resized_by_libc(void)
{
    static const size_t sizes[] = {10, 3000, 200000, 3000000};
    start();
    for (unsigned i = 0; i < array_length(sizes); i++) {
        unsigned char *p = libc_malloc(sizes[i]);
        fake.break_end = (uintptr_t)sbrk(0);
        memset(p, 0x5a, sizes[i]);
        unsigned char *q = do_realloc(p, sizes[i] * 3);
        fake.break_end = (uintptr_t)sbrk(0);
        require(q && malloc_usable_size(q) >= sizes[i] * 3 && !hak_owns(q));
        for (size_t k = 0; k < sizes[i]; k++) require(q[k] == 0x5a, "size %zu byte %zu", sizes[i], k);
        do_free(q);
    }
    require_only_text("");
    require_sound();
}

static void *thread_block;

static void *allocate_in_an_arena(void *argument)
{
    thread_block = libc_malloc((size_t)(uintptr_t)argument);
    memset(thread_block, 1, (size_t)(uintptr_t)argument);
    do_free(libc_malloc(50)); /* from this thread's own arena */
    return NULL;
}

static void blocks_of_libcs_other_arenas_are_recognised(void)
{
    start();
    for (size_t size = 40; size < 100000; size *= 3) {
        in_thread(allocate_in_an_arena, (void *)size);
        size_t usable = malloc_usable_size(thread_block);
        require(usable >= size && front_usable_size(thread_block) == usable, "size %zu", size);
        void *p = do_realloc(thread_block, 2 * size);
        require(p && malloc_usable_size(p) >= 2 * size);
        fake.break_end = (uintptr_t)sbrk(0);
        do_free(p);
    }
    require_only_text("");
}

/* As where a mapping stops the break, or libc was told never to use it. */
static void libcs_blocks_need_no_break(void)
{
    void *block[300];
    start();
    fake.break_end = (uintptr_t)&end;
    for (unsigned i = 0; i < array_length(block); i++) block[i] = libc_malloc(i * 97 % 5000);
    for (unsigned i = 0; i < array_length(block); i++)
        require(front_usable_size(block[i]) == malloc_usable_size(block[i]), "block %u", i);
    for (unsigned i = 0; i < array_length(block); i++) {
        if (i % 2) block[i] = do_realloc(block[i], 6000);
        require(block[i]);
        do_free(block[i]);
    }
    require_only_text("");
}

/* What is cut or joined by another thread at this moment is read again. */
static void a_look_at_moving_blocks_is_taken_again(void)
{
    _Alignas(16) static uint64_t block[4096];
    start();
    block[1] = 32 | LIBC_BEFORE_IN_USE;
    block[5] = 64 | LIBC_BEFORE_IN_USE;
    block[13] = 2048;
    block[13 + 256] = 4096 | LIBC_BEFORE_IN_USE;
    for (uint64_t look = 2; look < 12; look++) {
        fake_fail(FAKE_PEEK, 2, look);
        require(is_from_libc(block + 2), "look %lu", look);
    }
    fake_fail_nothing();
}

static void no_thread_needs_a_heap_for_it(void)
{
    break_seen = (uintptr_t)&end;
    void *p = libc_malloc(100);
    fake.break_end = (uintptr_t)sbrk(0);
    do_free(p);
    require(heap_self == &heap_none);
    require_only_text("");
}

static void without_a_look_nothing_is_passed_on(void)
{
    start();
    void *p = libc_malloc(100);
    fake_fail(FAKE_PEEK, 1, FAKE_FOR_GOOD);
    require_refused(p);
}

/* ---- others ---- */

static void pointers_of_the_program_are_refused(void)
{
    _Alignas(64) static char global[256];
    _Alignas(64) char local[256] = {0};
    start();
    require_refused(global + 64);
    require_refused(local + 64);
    require_refused(local + 1);
    require_refused((void *)(uintptr_t)start);
    require_refused((void *)"text");
}

static void wild_pointers_are_refused(void)
{
    static const uintptr_t wild[] = {
        1, 8, 16, 4095, 4096, 0x10000, UINT64_C(0x123456789000), UINT64_C(0x7ffffffff000), UINT64_C(0x7fffffffffff),
        UINT64_C(0x800000000000), UINT64_C(0xdeadbeefdeadbeef), UINT64_C(0xffff800000000000), UINTPTR_MAX,
        UINTPTR_MAX - 15, UINTPTR_MAX - 4095,
    };
    start();
    for (volatile unsigned i = 0; i < array_length(wild); i++) require_refused((void *)wild[i]);
    require_sound();
}

/* A header is no block: others that follow have to be sane. */
static void what_only_begins_like_a_block_is_refused(void)
{
    static const uint64_t wrong[] = {
        0, 1, 8, 15, 16, 64, 64 | LIBC_MAPPED | LIBC_BEFORE_IN_USE, 64 | LIBC_OTHER_ARENA | LIBC_BEFORE_IN_USE, 64 + 8,
        UINT64_MAX, INT64_MIN | LIBC_BEFORE_IN_USE, UINT64_C(0x555555550001),
    };
    _Alignas(16) static uint64_t block[64];
    start();
    for (volatile unsigned i = 0; i < array_length(wrong); i++) {
        memset(block, 0, sizeof(block));
        block[1] = 32 | LIBC_BEFORE_IN_USE;
        block[5] = wrong[i];
        require_refused(block + 2);
        block[5] = 64 | LIBC_BEFORE_IN_USE; /* and what follows that */
        block[13] = wrong[i] == 16 || wrong[i] == 64 ? 0 : wrong[i];
        require_refused(block + 2);
    }
}

static void mapped_pages_are_refused(void)
{
    char *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    start();
    require(p != MAP_FAILED);
    require_refused(p);
    require_refused(p + 16);
    require_refused(p + 65536);
    char *none = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    require(none != MAP_FAILED);
    require_refused(none + 16);
    require_refused(none + 4096);
    require(munmap(p, 1 << 20) == 0);
    require_refused(p + 65536);
}

static void unaligned_pointers_of_libc_are_refused(void)
{
    start();
    char *p = libc_malloc(300000);
    fake.break_end = (uintptr_t)sbrk(0);
    require_refused(p + 1);
    require_refused(p + 8);
    require_refused(p + 16); /* its header would be zero bytes of the block */
    do_free(p);
    require_only_text("");
}

static void interior_pointers_of_ours_are_never_foreign(void)
{
    static const size_t sizes[] = {100, 5000, 30000, 300000, 1 << 20, 5 << 20, 70 << 20};
    start();
    struct heap_front *mine = heap_self;
    for (volatile unsigned i = 0; i < array_length(sizes); i++) {
        uint64_t *volatile q = do_malloc(sizes[i]);
        q[0] = 0;
        q[1] = 8192 | LIBC_MAPPED; /* what libc's header of a mapping looks like */
        require(front_classify(q + 2) == FRONT_INTERIOR);
        heap_self = &heap_exited; /* a thread's own slabs are not looked at when it frees */
        require_refused(q + 2);
        heap_self = mine;
        do_free(q);
    }
    require_sound();
}

static void freed_pointers_of_ours_are_double_frees(void)
{
    char line[128];
    start();
    for (volatile unsigned i = 0; i < 3; i++) {
        void *volatile p = i < 2 ? do_malloc(i ? 5 << 20 : 1 << 20) : malloc_mapping(5 << 20);
        do_free(p);
        sprintf(line, "hakmem: double free: p=0x%lx (see hakmem-errors(7))\n", (uintptr_t)p);
        require_abort(line, do_free(p));
        require_abort(line, (void)do_realloc(p, 10));
    }
}

static void a_reported_pointer_changes_nothing(void)
{
    static char global[256];
    start();
    require(option_set(OPTION_on_error, ON_ERROR_REPORT));
    errno = 77;
    do_free(global + 64);
    require_only_text(line_for(global + 64));
    require(errno == 77, "errno %d", errno);
    require(!do_realloc(global + 64, 10) && errno == ENOMEM);
    require_only_text(line_for(global + 64));
    require(reads_as_zero(global, sizeof(global)));
    require_sound();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(libcs_blocks_are_freed_by_libc),
        TEST(libcs_small_blocks_are_recognised),
        TEST(libcs_blocks_are_resized_by_libc),
        TEST(blocks_of_libcs_other_arenas_are_recognised),
        TEST(libcs_blocks_need_no_break),
        TEST(a_look_at_moving_blocks_is_taken_again),
        TEST(no_thread_needs_a_heap_for_it),
        TEST(without_a_look_nothing_is_passed_on),
        TEST(pointers_of_the_program_are_refused),
        TEST(wild_pointers_are_refused),
        TEST(what_only_begins_like_a_block_is_refused),
        TEST(mapped_pages_are_refused),
        TEST(unaligned_pointers_of_libc_are_refused),
        TEST(interior_pointers_of_ours_are_never_foreign),
        TEST(freed_pointers_of_ours_are_double_frees),
        TEST(a_reported_pointer_changes_nothing),
    };
    return run_unit_tests(tests);
}
