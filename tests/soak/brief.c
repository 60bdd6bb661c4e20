/* brief.c - one short process of the soak: it does one of several things for about a millisecond, and looks.
 *
 *   brief SEED
 *
 * Prints nothing and exits with 0, or says on standard error what was wrong. What hangs is killed by SIGALRM.
 * The seed chooses the kind (SEED modulo the number of kinds) and everything in it.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "block.h"

enum { SLOTS = 256, THREADS = 3, LIMIT_S = 120 };

extern bool hak_check(void) __attribute__((weak));

static struct block *_Atomic slot[SLOTS];
static uint64_t seed;

static void fail(const char *what)
{
    fprintf(stderr, "brief %llu: %s\n", (unsigned long long)seed, what);
    _exit(1);
}

/* `largest` is the size that one block in 16 may have; the others are small. */
static size_t draw_size(struct random *r, size_t largest)
{
    return BLOCK_MIN + random_below(r, random_below(r, 16) == 0 ? (uint32_t)largest : 600);
}

static void turn(struct random *r, size_t largest)
{
    unsigned at = random_below(r, SLOTS);
    struct block *b = atomic_exchange(&slot[at], NULL);
    size_t size = draw_size(r, largest);
    if (b && random_below(r, 4) == 0) b = block_resize(b, size);
    else if (!block_free(b)) fail("a block was damaged");
    else b = block_make(r, size);
    if (!b) fail("no block, or not as asked for");
    if (!block_free(atomic_exchange(&slot[at], b))) fail("a block was damaged");
}

static void turns(uint64_t stream, unsigned count, size_t largest)
{
    struct random r = random_stream(seed, stream);
    for (unsigned i = 0; i < count; i++) turn(&r, largest);
}

static void clear(void)
{
    for (unsigned i = 0; i < SLOTS; i++)
        if (!block_free(atomic_exchange(&slot[i], NULL))) fail("a block was damaged in the end");
}

static void *thread_of_turns(void *stream)
{
    turns((uint64_t)(uintptr_t)stream, 300, 9000);
    return NULL;
}

static void *thread_without_end(void *stream)
{
    for (;;) turns((uint64_t)(uintptr_t)stream, 300, 3000);
    return NULL;
}

static void start(pthread_t *thread, unsigned count, void *(*what)(void *))
{
    for (unsigned i = 0; i < count; i++)
        if (pthread_create(&thread[i], NULL, what, (void *)(uintptr_t)(i + 1)) != 0) fail("pthread_create");
}

/* ---- the kinds ---- */

static void small_blocks(void)
{
    turns(0, 2500, 1024);
    clear();
}

static void larger_blocks(void)
{
    turns(0, 300, 200000);
    clear();
}

static void huge_blocks(void)
{
    turns(0, 40, 9 << 20);
    clear();
}

static void threads(void)
{
    pthread_t thread[THREADS];
    start(thread, THREADS, thread_of_turns);
    turns(0, 300, 9000);
    for (unsigned i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
    clear();
}

static void child_of_threads(void)
{
    pthread_t thread[THREADS];
    int status = 1;
    start(thread, THREADS, thread_of_turns);
    turns(0, 100, 3000);
    pid_t pid = fork();
    if (pid < 0) fail("fork");
    if (pid == 0) {
        turns(9, 200, 3000);
        clear();
        exit(0);
    }
    for (unsigned i = 0; i < THREADS; i++) pthread_join(thread[i], NULL);
    if (waitpid(pid, &status, 0) != pid || status != 0) fail("the child failed");
    clear();
}

static void exit_among_threads(void)
{
    pthread_t thread[THREADS];
    start(thread, THREADS, thread_without_end);
    turns(0, 200, 3000);
}

static void *last_thread(void *first)
{
    pthread_join(*(pthread_t *)first, NULL);
    turns(1, 300, 3000);
    clear();
    exit(0);
}

static void first_thread_ends(void)
{
    static pthread_t first, thread;
    first = pthread_self();
    turns(0, 300, 3000);
    if (pthread_create(&thread, NULL, last_thread, &first) != 0) fail("pthread_create");
    pthread_exit(NULL);
}

static void growing(void)
{
    struct random r = random_stream(seed, 0);
    struct block *b = block_make(&r, 64);
    for (size_t size = 64; b && size < 3 << 20; size += size / 2 + random_below(&r, 100)) b = block_resize(b, size);
    if (!b) fail("realloc");
    if (!block_free(b)) fail("a block was damaged");
}

int main(int argc, char **argv)
{
    static void (*const kinds[])(void) = {
        small_blocks, larger_blocks, huge_blocks, threads, child_of_threads, exit_among_threads, first_thread_ends, growing,
    };
    if (argc != 2 || !hak_check) {
        fprintf(stderr, argc != 2 ? "usage: brief SEED\n" : "brief: hakmem is not in this process\n");
        return 2;
    }
    alarm(LIMIT_S);
    seed = strtoull(argv[1], NULL, 10);
    kinds[seed % (sizeof(kinds) / sizeof(kinds[0]))]();
    return 0;
}
