/* hitpath.c - makes malloc and free hits in windows that callgrind counts one by one.
 *
 *     hitpath WINDOWS [operators]
 *
 * Callers: hitpath.py, which runs it under callgrind with the library preloaded. callgrind counts inside of
 *          the functions window_*, and writes the counts out after each call of one.
 *
 * Runs each of four patterns: first the warm-up, which is not counted, then WINDOWS windows of 100 mallocs
 * and 100 frees.
 *
 *     single        64 B, one at a time
 *     mixed         16 to 1024 B, one at a time
 *     burst         100 mallocs of 64 B, then 100 frees
 *     burst_mixed   the same with 16 to 1024 B
 *
 * With "operators", C++'s new stands for malloc, and delete with a size for free.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CALLS = 100, WARM_UP = 200, LOW = 16, HIGH = 1024 };

void *operator_new(size_t size) __asm__("_Znwm") __attribute__((weak));
void operator_delete(void *p, size_t size) __asm__("_ZdlPvm") __attribute__((weak));

/* A free takes the size from where a delete finds it, and does not look at it. Compilers delete malloc/free pairs whose
 * block they can follow; they cannot follow these. */
static void *(*volatile call_malloc)(size_t) = malloc;
static void (*volatile call_free)(void *, size_t);

static size_t equal_sizes[CALLS];
static size_t mixed_sizes[CALLS];

__attribute__((always_inline)) static inline void one_at_a_time(const size_t *sizes)
{
    for (int i = 0; i < CALLS; i++)
        call_free(call_malloc(sizes[i]), sizes[i]);
}

__attribute__((always_inline)) static inline void burst(const size_t *sizes)
{
    void *blocks[CALLS];
    for (int i = 0; i < CALLS; i++)
        blocks[i] = call_malloc(sizes[i]);
    for (int i = 0; i < CALLS; i++)
        call_free(blocks[i], sizes[i]);
}

/* callgrind finds these by name: each must stay a function, called and returned from. */
#define WINDOW __attribute__((noinline)) static void

WINDOW window_single(void)      { one_at_a_time(equal_sizes); }
WINDOW window_mixed(void)       { one_at_a_time(mixed_sizes); }
WINDOW window_burst(void)       { burst(equal_sizes); }
WINDOW window_burst_mixed(void) { burst(mixed_sizes); }

static void choose_sizes(void)
{
    uint64_t state = 12345;
    for (int i = 0; i < CALLS; i++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        equal_sizes[i] = 64;
        mixed_sizes[i] = LOW + (size_t)(state >> 33) % (HIGH - LOW + 1);
    }
}

static bool choose_functions(bool operators)
{
    union {
        void (*of_block)(void *);
        void (*of_block_and_size)(void *, size_t);
    } release = {.of_block = free};
    call_free = operators ? operator_delete : release.of_block_and_size;
    if (operators) call_malloc = operator_new;
    return call_malloc && call_free;
}

int main(int argc, char **argv)
{
    long windows = argc == 2 || argc == 3 ? strtol(argv[1], NULL, 10) : 0;
    if (windows < 1 || (argc == 3 && strcmp(argv[2], "operators") != 0)) {
        fputs("usage: hitpath WINDOWS [operators]\n", stderr);
        return 2;
    }
    if (!choose_functions(argc == 3)) {
        fputs("hitpath: no operators: the library is not there\n", stderr);
        return 1;
    }
    choose_sizes();

    for (int i = 0; i < WARM_UP; i++) one_at_a_time(equal_sizes);
    for (long i = 0; i < windows; i++) window_single();
    for (int i = 0; i < WARM_UP; i++) one_at_a_time(mixed_sizes);
    for (long i = 0; i < windows; i++) window_mixed();
    for (int i = 0; i < WARM_UP; i++) burst(equal_sizes);
    for (long i = 0; i < windows; i++) window_burst();
    for (int i = 0; i < WARM_UP; i++) burst(mixed_sizes);
    for (long i = 0; i < windows; i++) window_burst_mixed();
    return 0;
}
