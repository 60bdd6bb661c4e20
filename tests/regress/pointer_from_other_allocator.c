/* pointer_from_other_allocator - memory of another allocator is never handed out, and finds its way home.
 *
 * What went wrong once: one path of malloc, when memory was out, took a block from the libc's allocator. Its
 * free then looked for a header that was not there, and aborted.
 *
 * Shown, with the library preloaded: when memory is out, every call returns NULL with ENOMEM or a block of
 * hakmem's own; blocks of libc's allocator are counted as freed there; everything else is refused with a
 * line that names the pointer. tests/abuse/foreign_test.c goes into more detail about libc's blocks.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "../api/weak.h"
#include "../tap.h"

enum { LIMIT_MIB = 256, BLOCKS_MAX = 1 << 16 };

static void *(*volatile call_malloc)(size_t) = malloc;
static void *(*volatile call_calloc)(size_t, size_t) = calloc;
static void *(*volatile call_realloc)(void *, size_t) = realloc;
static void *(*volatile call_aligned)(size_t, size_t) = aligned_alloc;
static void (*volatile call_free)(void *) = free;
static size_t (*volatile call_usable)(void *) = malloc_usable_size;

static void *(*libc_malloc)(size_t);
static struct mallinfo2 (*libc_info)(void);

static void *block[BLOCKS_MAX];

/* ---- memory is out ---- */

static void *take(unsigned call, size_t size)
{
    switch (call) {
    case 0: return call_malloc(size);
    case 1: return call_calloc(size / 8, 8);
    case 2: return call_realloc(NULL, size);
    case 3: return call_aligned(64, size);
    default: return call_aligned(1 << 17, size);
    }
}

/* 0 = all is well, else which rule was broken. Blocks are kept, so that each size finds memory out. */
static int when_memory_is_out(void)
{
    static const size_t sizes[] = {4 << 20, 1 << 20, 100 << 10, 64 << 10, 8 << 10, 1 << 10, 48};
    struct rlimit limit = {.rlim_cur = (size_t)LIMIT_MIB << 20, .rlim_max = (size_t)LIMIT_MIB << 20};
    uint32_t count = 0;
    if (setrlimit(RLIMIT_AS, &limit) != 0) return 2;
    for (unsigned s = 0; s < sizeof sizes / sizeof sizes[0]; s++)
        for (unsigned call = 0; call < 5; call++) {
            void *p;
            errno = 0;
            while (count < BLOCKS_MAX && (p = take(call, sizes[s]))) {
                if (!hak_owns(p)) return 3;
                block[count++] = p;
            }
            if (count < BLOCKS_MAX && errno != ENOMEM) return 4;
        }
    for (uint32_t i = 0; i < count; i++) {
        void *grown = call_realloc(block[i], 8 << 20);
        if (grown && !hak_owns(grown)) return 5;
        call_free(grown ? grown : block[i]);
    }
    return hak_check() ? 0 : 6;
}

static void out_of_memory(void)
{
    int status = -1; /* also where there is no child */
    pid_t child = fork();
    if (child == 0) _exit(when_memory_is_out());
    waitpid(child, &status, 0);
    ok(status == 0, "when_memory_is_out_no_call_hands_out_memory_of_another_allocator");
    if (status != 0) diag("status %#x", (unsigned)status);
}

/* ---- blocks of libc's ---- */

static void reaches_libc(size_t size)
{
    void *p = libc_malloc(size), *q = libc_malloc(size);
    if (!p || !q) bail_out("libc has no memory");
    expect(!hak_owns(p), "hakmem takes a block of libc's for its own");
    expect(call_usable(p) >= size, "usable size of libc's block of %zu", size);
    struct mallinfo2 before = libc_info();
    call_free(p);
    q = call_realloc(q, size * 2);
    expect(q && !hak_owns(q), "a block of libc's of %zu grows there", size);
    call_free(q);
    struct mallinfo2 after = libc_info();
    expect(after.uordblks + after.hblkhd < before.uordblks + before.hblkhd, "libc counts %zu bytes as freed", size);
}

/* libc keeps small blocks in a cache that it does not count, and hands the last one out again. */
static void small_ones_reach_libc(void)
{
    void *p = libc_malloc(40);
    call_free(p);
    void *again = libc_malloc(40);
    expect(p && again == p, "a small block of libc's is to be had from libc again");
    call_free(again);
}

static void blocks_of_libc(void)
{
    void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    if (!libc) bail_out("no libc.so.6");
    *(void **)&libc_malloc = dlsym(libc, "malloc");
    *(void **)&libc_info = dlsym(libc, "mallinfo2");
    if (!libc_malloc || (void *)libc_malloc == (void *)call_malloc) bail_out("libc's malloc is not to be had");
    static const size_t sizes[] = {2000, 50000, 300000};
    small_ones_reach_libc();
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) reaches_libc(sizes[i]);
    claim("blocks_of_libc_reach_libc");
}

/* ---- nobody's ---- */

static bool is_refused(void *p)
{
    int pipe_ends[2], status = 0;
    char text[256] = "", wanted[64];
    if (pipe(pipe_ends) != 0) bail_out("no pipe");
    pid_t child = fork();
    if (child == 0) {
        dup2(pipe_ends[1], STDERR_FILENO);
        call_free(p);
        _exit(0);
    }
    close(pipe_ends[1]);
    ssize_t length = read(pipe_ends[0], text, sizeof text - 1);
    close(pipe_ends[0]);
    waitpid(child, &status, 0);
    snprintf(wanted, sizeof wanted, "hakmem: invalid pointer: p=%p", p);
    bool aborted = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
    bool good = length > 0 && strncmp(text, wanted, strlen(wanted)) == 0 && aborted;
    if (!good) diag("for %p: %s", p, text);
    return good;
}

static void pointers_of_nobody(void)
{
    static char object[256];
    char local[256] = "";
    char *mapping = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *closed = mmap(NULL, 1 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    expect(is_refused(local + 64), "on the stack");
    expect(is_refused(object + 64), "a static object");
    expect(is_refused((void *)(uintptr_t)&when_memory_is_out), "a function");
    expect(is_refused(mapping + 4096 + 16), "a mapping of the program's");
    expect(is_refused(closed + 4096), "a mapping that cannot be read");
    expect(is_refused((void *)(uintptr_t)0x123450), "an address that is not mapped");
    expect(is_refused((void *)(uintptr_t)0xffff800000001000), "an address of the kernel's");
    claim("pointers_of_nobody_are_refused_by_name");
}

int main(void)
{
    if (!hak_owns) bail_out("hakmem is not in this process");
    out_of_memory();
    blocks_of_libc();
    pointers_of_nobody();
    ok(hak_check(), "all_invariants_hold_at_the_end");
    return done_testing();
}
