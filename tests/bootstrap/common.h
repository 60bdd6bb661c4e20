/* common.h - what the bootstrap tests share: running themselves again, and a small workload.
 *
 * Uses:    tap.h, weak.h.
 * Callers: the tests of this folder. A test that needs a fresh process runs its own program again with
 *          arguments; the child answers by its exit status. An alarm turns every hang into a red result.
 */
#ifndef HAKMEM_TESTS_BOOTSTRAP_COMMON_H
#define HAKMEM_TESTS_BOOTSTRAP_COMMON_H

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>

#include "api/weak.h"
#include "tap.h"

enum { HANG_SECONDS = 60 };

/* Without stdio: may be called before main and after exit. */
static inline void complain(const char *text)
{
    if (write(STDERR_FILENO, text, strlen(text)) < 0 || write(STDERR_FILENO, "\n", 1) < 0) _exit(3);
}

/* Runs this program again with the arguments given (argv[0] included, NULL at the end). */
static inline int run_self(char *const *arguments)
{
    pid_t pid = fork();
    if (pid < 0) bail_out("fork failed: errno %d", errno);
    if (pid == 0) {
        execv("/proc/self/exe", arguments);
        _exit(127);
    }
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    return status;
}

static inline int run_self_with(const char *first, const char *second)
{
    char *arguments[] = {(char *)(uintptr_t) "self", (char *)(uintptr_t)first, (char *)(uintptr_t)second, NULL};
    return run_self(arguments);
}

static inline bool exited_well(int status) { return WIFEXITED(status) && WEXITSTATUS(status) == 0; }

/* As exited_well, and tells what happened otherwise. */
static inline bool succeeded(int status, const char *what)
{
    if (exited_well(status)) return true;
    if (WIFSIGNALED(status)) diag("%s: killed by signal %d", what, WTERMSIG(status));
    else diag("%s: exit status %d", what, WEXITSTATUS(status));
    return false;
}

/* The path of a file beside the folder of this program: of build/tests/bootstrap, for a program one folder below. */
static inline void beside_folder(char path[PATH_MAX], const char *name)
{
    char self[PATH_MAX - 64];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0) bail_out("readlink: errno %d", errno);
    self[n] = 0;
    for (int up = 0; up < 2; up++) *strrchr(self, '/') = 0;
    snprintf(path, PATH_MAX, "%s/%s", self, name);
}

static inline bool is_filled(const unsigned char *p, size_t size, unsigned char with)
{
    for (size_t i = 0; i < size; i++)
        if (p[i] != with) return false;
    return true;
}

static void *(*volatile take)(size_t) TAP_UNUSED = malloc;
static void *(*volatile take_zeroed)(size_t, size_t) TAP_UNUSED = calloc;
static void *(*volatile resize)(void *, size_t) TAP_UNUSED = realloc;
static void (*volatile give)(void *) TAP_UNUSED = free;

/* A little of everything; true when every block was good. */
static inline bool allocator_works(unsigned seed)
{
    enum { BLOCKS = 40 };
    unsigned char *block[BLOCKS];
    size_t size[BLOCKS];
    bool good = true;
    for (unsigned i = 0; i < BLOCKS; i++) {
        size[i] = i % 10 == 9 ? 30000 + seed * 977 % 200000 : (seed * 131 + i * 53) % 3000 + 1;
        block[i] = (unsigned char *)(i % 2 ? take(size[i]) : take_zeroed(1, size[i]));
        if (!block[i]) return false;
        if (i % 2 == 0) good = good && block[i][0] == 0 && block[i][size[i] - 1] == 0;
        memset(block[i], (int)i, size[i]);
    }
    for (unsigned i = 0; i < BLOCKS; i += 3) {
        unsigned char *moved = (unsigned char *)resize(block[i], size[i] * 2);
        if (!moved) return false;
        good = good && moved[0] == i && moved[size[i] - 1] == i;
        block[i] = moved;
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        good = good && block[i][0] == i && block[i][size[i] - 1] == i;
        give(block[i]);
    }
    return good;
}

/* The proof that hakmem is what is tested. */
static inline bool runs_on_hakmem(void)
{
    if (!ok(hak_version && hak_owns && hak_stats && hak_check, "hak_calls_are_reachable")) return false;
    void *p = take(100);
    bool ours = ok(hak_owns(p), "malloc_is_hakmem");
    give(p);
    return ours;
}

static inline size_t resident_bytes(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f || fscanf(f, "%*u %lu", &pages) != 1) bail_out("cannot read statm");
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

#endif
