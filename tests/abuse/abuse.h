/* abuse.h - what the misuses share. One misuse per file; each is run by abuse_test.py, which reads what
 * must happen from the comment at the head of the file:
 *
 *   expect:   what the library does as it comes:
 *             a regular expression for the only line of standard error, after which the process aborts; {p} is the
 *               address that misused() printed
 *             "not caught": nothing is said, and the program comes to its end, other blocks unharmed;
 *               docs/ERRORS.md lists these programs
 *             "defined": the same, since a standard says what the call does
 *             "SIGSEGV": the system stops it
 *   failfast: the same with HAKMEM_FAILFAST=1, where it differs
 *   env:      a variable to set
 *   outcome:  "goes on" (exit status 0) in place of SIGABRT
 *
 * Every program returns 0 when it gets to its end with a working allocator.
 */
#ifndef HAKMEM_TESTS_ABUSE_H
#define HAKMEM_TESTS_ABUSE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/weak.h"

/* Volatile: compilers see through wrong frees, and warn or do as they like. */
static void *(*volatile take)(size_t) = malloc;
static void *(*volatile resize)(void *, size_t) __attribute__((unused)) = realloc;
static void (*volatile give)(void *) = free;

/* Tells the test which pointer comes next; without stdio, which would allocate. */
static inline void *misused(void *p)
{
    char line[64];
    int n = snprintf(line, sizeof line, "p=%p\n", p);
    if (write(STDOUT_FILENO, line, (size_t)n) != n) _exit(3);
    return p;
}

/* The first frees of a size are looked at one by one. A program that is past them has hits. */
static inline void warm_up(size_t size)
{
    for (int i = 0; i < 1500; i++) give(take(size));
}

/* Blocks that have nothing to do with it. */
enum { OTHERS = 16 };

struct others {
    size_t size;
    unsigned char *block[OTHERS];
};

static inline struct others take_others(size_t size)
{
    struct others o = {.size = size};
    for (int i = 0; i < OTHERS; i++) o.block[i] = memset(take(size), 'a' + i, size);
    return o;
}

/* 0 = they are as they were; the exit status. */
static inline int are_intact(const struct others *o)
{
    for (int i = 0; i < OTHERS; i++)
        for (size_t k = 0; k < o->size; k++)
            if (o->block[i][k] != 'a' + i) return 6;
    return 0;
}

/* Where the heap of so small a program begins. */
static inline char *lowest_block(void)
{
    return (char *)((uintptr_t)take(64) & ~(uintptr_t)((2 << 20) - 1));
}

/* Is hakmem there, and can the program go on? */
static inline int still_works(void)
{
    for (size_t size = 1; size < (8 << 20); size = size * 3 + 1) {
        char *p = take(size);
        if (!p || !hak_owns || !hak_owns(p)) return 2;
        memset(p, 1, size);
        give(p);
    }
    return hak_check() ? 0 : 4;
}

#endif
