/* edge.c - programs on a machine that has no more memory: NULL, or the end by the kernel's hand; nothing else.
 *
 *   edge until_killed SIZE THREADS    takes blocks of the size and fills them, until NULL; then frees all, and so again
 *   edge refused MIB                  one block of so many MiB must be NULL with ENOMEM, and a small one not
 *
 * The taker is a child, the one process that the kernel is told to kill. Exits with 0 when it was killed by the kernel
 * or exits with 0 itself, and says which; with 1 when it ends otherwise.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)

enum { THREADS_MAX = 4, ROUNDS = 2, SECONDS = 200, STACK = 64 * 1024 };
enum wrong { WRONG_ERRNO = 3, NO_THREAD, NO_SMALL_BLOCK, NOT_REFUSED, NO_SETTING }; /* exit statuses */

static void *(*volatile do_malloc)(size_t) = malloc;
static void (*volatile do_free)(void *) = free;

static size_t block_size;

/* The number of blocks until NULL; they are freed again. Wrong errno ends the program. */
static size_t take_and_free(void)
{
    void **last = NULL, **next;
    size_t count = 0;
    errno = 0;
    for (void **p; (p = do_malloc(block_size)); last = p, count++) {
        memset(p, 0x5a, block_size);
        *p = last;
    }
    if (errno != ENOMEM) _exit(WRONG_ERRNO);
    for (; last; last = next) next = *last, do_free(last);
    return count;
}

static void *take_in_rounds(void *argument)
{
    for (int round = 0; round < ROUNDS; round++) (void)take_and_free();
    return argument;
}

/* ---- children ---- */

static int until_killed(unsigned threads)
{
    pthread_t thread[THREADS_MAX];
    pthread_attr_t small; /* stacks may be charged like all else */
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, STACK);
    for (unsigned i = 0; i < threads; i++)
        if (pthread_create(&thread[i], &small, take_in_rounds, NULL) != 0) return NO_THREAD;
    for (unsigned i = 0; i < threads; i++) pthread_join(thread[i], NULL);
    return do_malloc(100) ? 0 : NO_SMALL_BLOCK;
}

static int refused(unsigned threads)
{
    (void)threads;
    errno = 0;
    bool good = do_malloc(block_size) == NULL && errno == ENOMEM;
    return good && do_malloc(1000) ? 0 : NOT_REFUSED;
}

static int in_child(int (*run)(unsigned), unsigned threads)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        int file = open("/proc/self/oom_score_adj", O_WRONLY);
        if (file < 0 || write(file, "1000", 4) != 4) _exit(NO_SETTING);
        close(file);
        alarm(SECONDS);
        exit(run(threads));
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) puts("killed by the kernel");
    else if (WIFSIGNALED(status)) printf("ended by signal %d\n", WTERMSIG(status));
    else printf("exit status %d\n", WEXITSTATUS(status));
    bool killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    return killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0) ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc < 3) return 2;
    size_t number = strtoul(argv[2], NULL, 10);
    unsigned threads = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 1;
    bool fills = strcmp(argv[1], "until_killed") == 0;
    block_size = fills ? number : number * MIB;
    if (threads == 0 || threads > THREADS_MAX || block_size < sizeof(void *)) return 2;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (fills) return in_child(until_killed, threads);
    return strcmp(argv[1], "refused") == 0 ? in_child(refused, threads) : 2;
}
