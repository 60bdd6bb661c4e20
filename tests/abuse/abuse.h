/* abuse.h - what the misuses share. One misuse per file; each is run by abuse_test.py, which reads what
 * must happen from the comment at the head of the file:
 *
 *   expect:  a regular expression for the whole first line of standard error; {p} is the address that
 *            misused() printed
 *   env:     a variable to set
 *   outcome: "goes on" (exit status 0) in place of SIGABRT
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
