/* late_test.c - hakmem is loaded late, by dlopen: into a program whose blocks come from libc, from an allocator of its
 * own, from the stack and from mmap. What libc made before or after goes to libc; all else is refused, and not touched.
 */
#include <dlfcn.h>
#include <limits.h>
#include <malloc.h>
#include <sys/mman.h>

#include "hakmem/hakmem.h"
#include "tap.h"

static void *(*volatile libc_malloc)(size_t) = malloc;
static void (*late_free)(void *);
static void (*late_free_sized)(void *, size_t);
static void (*late_free_aligned)(void *, size_t, size_t);
static void *(*late_realloc)(void *, size_t);
static size_t (*late_usable)(const void *);
static bool (*late_check)(void);
static int (*late_set)(const char *, long);
static int message_pipe[2];

/* Blocks of 16 bytes and more in a row, with a header that says how long each is. */
static char pool[1 << 16] __attribute__((aligned(64)));

static void *pool_take(size_t size)
{
    static size_t end;
    size_t *header = (size_t *)(void *)(pool + end);
    end += 16 + (size + 15) / 16 * 16;
    header[1] = size + 16 + 1; /* what glibc's looks like */
    return header + 2;
}

static bool load(void)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 64);
    if (n < 0) bail_out("readlink: errno %d", errno);
    path[n] = 0;
    for (int up = 0; up < 4; up++) *strrchr(path, '/') = 0;
    strcat(path, "/libhakmem.so");
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) return diag("%s", dlerror()), false;
    *(void **)&late_free = dlsym(library, "hak_free");
    *(void **)&late_free_sized = dlsym(library, "hak_free_sized");
    *(void **)&late_free_aligned = dlsym(library, "hak_free_aligned_sized");
    *(void **)&late_realloc = dlsym(library, "hak_realloc");
    *(void **)&late_usable = dlsym(library, "hak_usable_size");
    *(void **)&late_check = dlsym(library, "hak_check");
    *(void **)&late_set = dlsym(library, "hak_option_set");
    return late_free && late_free_sized && late_free_aligned && late_realloc && late_usable && late_check && late_set;
}

/* Exactly this was said since the last look. */
static void expect_refused(const void *p)
{
    char wanted[128], got[256];
    int length = snprintf(wanted, sizeof wanted, "hakmem: invalid pointer: p=%p (see hakmem-errors(7))\n", p);
    ssize_t n = read(message_pipe[0], got, sizeof got - 1);
    got[n > 0 ? n : 0] = 0;
    expect(n == length && strcmp(got, wanted) == 0, "\"%s\" in place of \"%s\"", got, wanted);
}

static void refuse(void *p, const char *what)
{
    late_free(p);
    expect_refused(p);
    late_free_sized(p, 32);
    expect_refused(p);
    late_free_aligned(p, 16, 32);
    expect_refused(p);
    errno = 0;
    expect(late_realloc(p, 100) == NULL && errno == ENOMEM, "realloc");
    expect_refused(p);
    expect(late_usable(p) == 0, "usable size");
    claim("what_%s_is_refused", what);
}

/* libc counts it as freed. */
static void forward(void *p, size_t size, const char *what)
{
    struct mallinfo2 before = mallinfo2();
    late_free(p);
    struct mallinfo2 after = mallinfo2();
    size_t freed = before.uordblks + before.hblkhd - after.uordblks - after.hblkhd;
    expect(freed >= size, "%zu bytes came back", freed);
    claim("libc_gets_%s", what);
}

static void refuse_all(void *early)
{
    char local[128] __attribute__((aligned(16))) = "";
    char *mapped = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *closed = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *moved = sbrk(1 << 16);
    (void)pool_take(100);
    refuse(pool_take(100), "another_allocator_made");
    refuse(local + 64, "is_on_the_stack");
    refuse(mapped + 4096, "mmap_gave");
    refuse(closed + 4096, "cannot_be_read");
    memset(moved, 0x5a, 1 << 16);
    refuse((char *)(((uintptr_t)moved + 15) & ~(uintptr_t)15) + 1024, "sbrk_gave");
    refuse((char *)early + 64, "is_inside_of_a_block_of_libc");
}

int main(void)
{
    char *early = libc_malloc(5000), *early_mapped = libc_malloc(400000), *barrier = libc_malloc(100);
    if (!early || !early_mapped || !barrier) bail_out("no memory");
    memset(early, 0x41, 5000);
    if (!ok(load(), "hakmem_is_loaded")) return done_testing();
    char *late = libc_malloc(6000), *late_barrier = libc_malloc(100);
    if (pipe(message_pipe) != 0 || dup2(message_pipe[1], STDERR_FILENO) < 0) bail_out("pipe");
    late_set("on_error", 1);
    refuse_all(early);
    forward(early, 5000, "a_block_from_before");
    forward(early_mapped, 400000, "a_mapping_from_before");
    forward(late, 6000, "a_block_from_after");
    ok(late_check(), "the_heap_is_sound_at_the_end");
    free(barrier);
    free(late_barrier);
    return done_testing();
}
