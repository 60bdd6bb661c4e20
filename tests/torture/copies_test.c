/* copies_test.c - several copies of the library in one process, each with blocks of its own: one that is preloaded, one
 * of another name beside it, and one inside a plugin.
 *
 * A copy takes another's block for a foreign pointer: it refuses it with a message, and never confuses it with one
 * of its own. Both copies' fork handlers, threads and exit hooks run side by side.
 */
#include <dlfcn.h>
#include <limits.h>
#include <stdatomic.h>

#include "torture.h"

enum { THREADS = 4, BLOCKS = 64 };

struct copy {
    void *(*take)(size_t);
    void (*give)(void *);
    bool (*owns)(const void *);
    bool (*check)(void);
};

static struct copy copies[3];
enum { COPIES = 3 };
static atomic_int bad;

static void *open_beside(const char *name)
{
    char self[PATH_MAX - 64], path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0) bail_out("readlink: errno %d", errno);
    self[n] = 0;
    for (int up = 0; up < 2; up++) *strrchr(self, '/') = 0;
    snprintf(path, sizeof path, "%s/%s", self, name);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) bail_out("%s", dlerror());
    return library;
}

static struct copy find_copy(void *library, const char *prefix, const char *const *names)
{
    void *address[4];
    for (int i = 0; i < 4; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s_%s", prefix, names[i]);
        address[i] = dlsym(library, name);
        if (!address[i]) bail_out("no %s", name);
    }
    struct copy copy;
    memcpy(&copy, address, sizeof copy);
    return copy;
}

static void find_copies(void)
{
    static const char *const calls[] = {"malloc", "free", "owns", "check"};
    static const char *const holder_calls[] = {"take", "give", "owns", "check"};
    copies[0] = find_copy(RTLD_DEFAULT, "hak", calls);
    copies[1] = find_copy(open_beside("libcopy.so"), "hak", calls);
    copies[2] = find_copy(open_beside("holder.so"), "holder", holder_calls);
}

static bool use_copies(unsigned seed)
{
    unsigned char *block[BLOCKS];
    bool good = true;
    for (unsigned i = 0; i < BLOCKS; i++) {
        size_t size = i % 16 == 0 ? 70000 + seed % 1000 : (seed * 31 + i * 97) % 4000 + 1;
        block[i] = copies[i % COPIES].take(size);
        if (!block[i]) return false;
        memset(block[i], (int)i, size);
        for (unsigned c = 0; c < COPIES; c++) good = good && copies[c].owns(block[i]) == (c == i % COPIES);
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        good = good && block[i][0] == (unsigned char)i;
        copies[i % COPIES].give(block[i]);
    }
    return good;
}

static void *use_often(void *argument)
{
    unsigned seed = (unsigned)(uintptr_t)argument;
    for (int i = 0; i < 50; i++)
        if (!use_copies(seed + (unsigned)i)) atomic_fetch_add(&bad, 1);
    return NULL;
}

static bool use_in_threads(unsigned seed)
{
    pthread_t thread[THREADS];
    for (size_t i = 0; i < THREADS; i++) thread[i] = start_thread(use_often, (void *)(seed + i));
    for (size_t i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
    return atomic_load(&bad) == 0;
}

static bool all_are_sound(void)
{
    bool good = true;
    for (int i = 0; i < COPIES; i++) good = copies[i].check() && good;
    return good;
}

static void forks_beside_threads(void)
{
    pthread_t thread[THREADS];
    for (int round = 0; round < times(20, 500); round++) {
        for (size_t i = 0; i < THREADS; i++) thread[i] = start_thread(use_often, (void *)i);
        pid_t pid = fork();
        if (pid == 0) {
            alarm(CHILD_SECONDS);
            exit(use_copies(3) && use_in_threads(5) && all_are_sound() ? 0 : 1);
        }
        expect(succeeded(status_of(pid), "child"), "fork %d", round);
        for (size_t i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
    }
    claim("forks_leave_every_copy_whole");
}

/* A child that frees one copy's block by another: its first line on standard error goes to the pipe. */
static int free_by_another(int from, int by, int size, int to)
{
    dup2(to, STDERR_FILENO);
    void *p = copies[from].take((size_t)size);
    memset(p, 0xff, (size_t)size); /* whatever lies before a block must not look like a header */
    copies[by].give(p);
    return 0;
}

static void foreign_blocks_are_refused(void)
{
    static const int sizes[] = {24, 1000, 40000, 200000, 3000000};
    for (int n = 0; n < COPIES * COPIES * 5; n++) {
        int from = n % COPIES, by = n / COPIES % COPIES, size = sizes[n / COPIES / COPIES], ends[2];
        char text[256] = "";
        if (from == by || pipe(ends) != 0) continue;
        pid_t pid = fork();
        if (pid == 0) _exit(free_by_another(from, by, size, ends[1]));
        close(ends[1]);
        ssize_t got = read(ends[0], text, sizeof text - 1);
        close(ends[0]);
        int status = status_of(pid);
        text[got > 0 ? got : 0] = 0;
        expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "%d bytes of copy %d freed by %d: status %x", size, from,
               by, (unsigned)status);
        expect(strstr(text, "hakmem: invalid pointer") == text, "%d bytes of copy %d freed by %d: '%s'", size, from, by, text);
    }
    claim("a_block_of_another_copy_is_refused_with_a_message");
}

int main(int argc, char **argv)
{
    start_test(argc, argv);
    if (!runs_on_hakmem()) return done_testing();
    find_copies();
    for (int i = 0; i < times(20, 2000); i++) expect(use_copies((unsigned)i), "round %d", i);
    expect(use_in_threads(1), "threads");
    expect(all_are_sound(), "a heap is corrupt");
    claim("copies_work_side_by_side");
    foreign_blocks_are_refused();
    forks_beside_threads();
    return done_testing();
}
