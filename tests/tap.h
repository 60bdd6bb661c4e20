/* tap.h - test results as TAP (Test Anything Protocol) on standard output, for C and C++.
 *
 * Uses:    write(2) and vsnprintf into the stack: a result line never allocates, so a test may count
 *          the allocator's calls around it, and report from before main or after exit.
 * Callers: test programs; any thread. Counters are atomic, a line is one write(2).
 * Locks:   none.
 *
 *   ok(cond, "name", ...)       one result; the name is a printf format
 *   expect(cond, "detail", ...) one check of many; a false one prints a "# " line and is remembered
 *   claim("name", ...)          one result for all expect()s since the last claim; red when one was
 *                               false, and when there was none at all
 *   skip("why", "name", ...)    one result that could not be had here
 *   diag("text", ...)           a remark
 *   plan(n)                     optional: announces the count; done_testing() compares
 *   return done_testing();      prints the count where plan() did not; the exit status, 0 or 1
 *
 * I1  results printed == tap_run
 * I2  done_testing() is 0 only when at least one result was printed, none was red, the plan was met,
 *     and no expect() was left without a claim
 */
#ifndef HAKMEM_TESTS_TAP_H
#define HAKMEM_TESTS_TAP_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TAP_UNUSED __attribute__((unused))

enum { TAP_LINE = 1024, TAP_DETAILS = 10 };

static int tap_run;          /* results printed */
static int tap_red;          /* of these, "not ok" */
static int tap_planned = -1; /* announced by plan(); -1 = not announced */
static int tap_expects;      /* expect() calls since the last claim */
static int tap_false;        /* of these, false ones */

/* One line in one write, so that lines of threads do not mix. errno is kept for the test. */
static void tap_write(const char *head, const char *fmt, va_list ap, const char *tail)
{
    char line[TAP_LINE];
    int saved = errno;
    int len = snprintf(line, sizeof line, "%s", head);
    int more = vsnprintf(line + len, sizeof line - (size_t)len, fmt, ap);
    len = more < 0 || len + more >= TAP_LINE ? (int)strlen(line) : len + more;
    if (len + (int)strlen(tail) + 1 >= TAP_LINE) len = TAP_LINE - (int)strlen(tail) - 2;
    len += snprintf(line + len, sizeof line - (size_t)len, "%s\n", tail);
    for (int done = 0; done < len;) {
        ssize_t n = write(STDOUT_FILENO, line + done, (size_t)(len - done));
        if (n < 0 && errno != EINTR) break;
        if (n > 0) done += (int)n;
    }
    errno = saved;
}

__attribute__((format(printf, 1, 2))) TAP_UNUSED static void diag(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    tap_write("# ", fmt, ap, "");
    va_end(ap);
}

__attribute__((format(printf, 1, 2))) static void tap_plain(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    tap_write("", fmt, ap, "");
    va_end(ap);
}

static bool tap_result(bool good, const char *file, int line, const char *what, const char *fmt,
                       va_list ap)
{
    char head[32], tail[256] = "";
    int number = __atomic_add_fetch(&tap_run, 1, __ATOMIC_SEQ_CST);
    if (!good) __atomic_add_fetch(&tap_red, 1, __ATOMIC_SEQ_CST);
    snprintf(head, sizeof head, "%sok %d - ", good ? "" : "not ", number);
    if (!good) snprintf(tail, sizeof tail, " # %s:%d: %s", file, line, what);
    tap_write(head, fmt, ap, tail);
    return good;
}

__attribute__((format(printf, 5, 6))) TAP_UNUSED static bool
tap_ok(bool good, const char *file, int line, const char *what, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    tap_result(good, file, line, what, fmt, ap);
    va_end(ap);
    return good;
}

/* The first few false ones are told in full; a broken cross product would print thousands. */
__attribute__((format(printf, 5, 6))) TAP_UNUSED static bool
tap_expect(bool good, const char *file, int line, const char *what, const char *fmt, ...)
{
    __atomic_add_fetch(&tap_expects, 1, __ATOMIC_SEQ_CST);
    if (good) return true;
    if (__atomic_add_fetch(&tap_false, 1, __ATOMIC_SEQ_CST) > TAP_DETAILS) return false;
    char head[256];
    snprintf(head, sizeof head, "# %s:%d: %s: ", file, line, what);
    va_list ap;
    va_start(ap, fmt);
    tap_write(head, fmt, ap, "");
    va_end(ap);
    return false;
}

__attribute__((format(printf, 3, 4))) TAP_UNUSED static bool
tap_claim(const char *file, int line, const char *fmt, ...)
{
    int made = __atomic_exchange_n(&tap_expects, 0, __ATOMIC_SEQ_CST);
    int wrong = __atomic_exchange_n(&tap_false, 0, __ATOMIC_SEQ_CST);
    char what[64];
    snprintf(what, sizeof what, made ? "%d of %d checks false" : "no check was made", wrong, made);
    va_list ap;
    va_start(ap, fmt);
    bool good = tap_result(made > 0 && wrong == 0, file, line, what, fmt, ap);
    va_end(ap);
    return good;
}

/* Counts as no success. */
__attribute__((format(printf, 2, 3))) TAP_UNUSED static void skip(const char *why, const char *fmt, ...)
{
    char head[32], tail[256];
    snprintf(head, sizeof head, "ok %d - ", __atomic_add_fetch(&tap_run, 1, __ATOMIC_SEQ_CST));
    snprintf(tail, sizeof tail, " # SKIP %s", why);
    va_list ap;
    va_start(ap, fmt);
    tap_write(head, fmt, ap, tail);
    va_end(ap);
}

#define ok(cond, ...) tap_ok((cond), __FILE__, __LINE__, #cond, __VA_ARGS__)
#define expect(cond, ...) tap_expect((cond), __FILE__, __LINE__, #cond, __VA_ARGS__)
#define claim(...) tap_claim(__FILE__, __LINE__, __VA_ARGS__)

TAP_UNUSED static void plan(int count)
{
    tap_planned = count;
    tap_plain("1..%d", count);
}

TAP_UNUSED static int done_testing(void)
{
    if (__atomic_load_n(&tap_expects, __ATOMIC_SEQ_CST) > 0) claim("every_check_belongs_to_a_claim");
    int run = __atomic_load_n(&tap_run, __ATOMIC_SEQ_CST);
    int red = __atomic_load_n(&tap_red, __ATOMIC_SEQ_CST);
    if (tap_planned < 0) tap_plain("1..%d", run);
    if (tap_planned >= 0 && run != tap_planned) diag("planned %d results, printed %d", tap_planned, run);
    if (red > 0) diag("%d of %d failed", red, run);
    return run > 0 && red == 0 && (tap_planned < 0 || run == tap_planned) ? 0 : 1;
}

/* For what makes going on senseless. _exit, since exit handlers may be what is broken. */
__attribute__((format(printf, 1, 2), noreturn)) TAP_UNUSED static void bail_out(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    tap_write("Bail out! ", fmt, ap, "");
    va_end(ap);
    _exit(1);
}

#endif
