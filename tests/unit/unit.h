/* unit.h - what the unit tests share: the whole library on the fake system, and tests that each have a
 * process of their own.
 *
 * Uses:    the library (as one include, so that every static function can be called), cmocka.
 * Callers: *_test.c.
 *
 * The library's state is that of a process, and cannot be reset. So each test forks, and its body runs in
 * a library that nobody has called yet; a crash, a hang or a failed requirement there is a failure here.
 * All checks in a body are require(); cmocka runs the tests and prints TAP.
 */
#ifndef HAKMEM_TESTS_UNIT_H
#define HAKMEM_TESTS_UNIT_H

#include "../../src/hakmem.c"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "../regress/sanitized.h"

enum { SECONDS_MAX = SANITIZED ? 600 : 120 };

/* A row of a table of tests. */
#define TEST(body) {#body, run_isolated, NULL, NULL, (void *)(uintptr_t)(body)}

/* A false condition ends the test. The rest is a printf format with what is worth knowing. */
#define require(cond, ...) \
    do { \
        if (!(cond)) requirement_failed(__FILE__, __LINE__, #cond, " " __VA_ARGS__); \
    } while (0)

/* The statement must end in os_abort(), after a text that contains `text`. */
#define require_abort(text, statement) \
    do { \
        jmp_buf here; \
        (void)fake_take_printed(); \
        fake.abort_to = &here; \
        if (setjmp(here) == 0) { \
            statement; \
            requirement_failed(__FILE__, __LINE__, #statement, "did not abort"); \
        } \
        fake.abort_to = NULL; \
        require_text(text); \
    } while (0)

/* What was printed since the last look contains the text. */
#define require_text(text) \
    do { \
        const char *printed = fake_take_printed(); \
        require(strstr(printed, text) != NULL, "printed: %s", printed); \
    } while (0)

/* What was printed since the last look is the text. */
#define require_only_text(text) \
    do { \
        const char *printed = fake_take_printed(); \
        require(strcmp(printed, text) == 0, "printed: %s", printed); \
    } while (0)

/* A verify function must name exactly this. */
#define require_broken(verdict, text) \
    do { \
        const char *found = (verdict); \
        require(found && strstr(found, text), "verify said: %s", found ? found : "nothing"); \
    } while (0)

__attribute__((format(printf, 4, 5), noreturn)) UNUSED static void
requirement_failed(const char *file, int line, const char *what, const char *format, ...)
{
    char text[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    dprintf(STDOUT_FILENO, "# %s:%d: %s: %s\n", file, line, what, text);
    if (fake.printed_length > 0) dprintf(STDOUT_FILENO, "# printed: %s\n", fake_take_printed());
    _exit(1);
}

UNUSED static int run_forked(void (*body)(void))
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGSYS};
        for (unsigned i = 0; i < array_length(faults); i++) signal(faults[i], SIG_DFL); /* cmocka's would go on here */
        alarm(SECONDS_MAX);
        body();
        _exit(0);
    }
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child) return -1;
    return status;
}

UNUSED static void run_isolated(void **state)
{
    int status = run_forked((void (*)(void))(uintptr_t)*state);
    if (WIFSIGNALED(status)) fail_msg("killed by signal %d", WTERMSIG(status));
    if (status != 0) fail_msg("exit status %d", status);
}

/* ---- used by several tests ---- */

/* The calls, so that no compiler knows what they do. */
UNUSED static void *(*volatile do_malloc)(size_t) = hak_malloc;
UNUSED static void (*volatile do_free)(void *) = hak_free;
UNUSED static void *(*volatile do_calloc)(size_t, size_t) = hak_calloc;
UNUSED static void *(*volatile do_realloc)(void *, size_t) = hak_realloc;
UNUSED static void *(*volatile do_aligned)(size_t, size_t) = hak_aligned_alloc;

/* The whole heap is in order, and every counter tells the truth. */
#define require_sound() \
    do { \
        (void)fake_take_printed(); \
        bool sound = hak_check(); \
        require(sound, "%s", fake_take_printed()); \
        bool exact = stats_verify_counters(); \
        require(exact, "%s", fake_take_printed()); \
        (void)fake_take_printed(); \
    } while (0)

UNUSED static bool reads_as_zero(const void *p, size_t size)
{
    const unsigned char *c = p;
    for (size_t i = 0; i < size; i++)
        if (c[i] != 0) return false;
    return true;
}

UNUSED static struct heap *my_heap(void)
{
    return heap_self == &heap_called ? heap_mine : heap_of(heap_self);
}

/* A block in a mapping of its own, whatever the size. The library must be in use. */
UNUSED static void *malloc_mapping(size_t size)
{
    return mapping_alloc(size, 1, false);
}

/* Runs a function in another thread, to its end. */
UNUSED static void in_thread(void *(*function)(void *), void *argument)
{
    pthread_t thread;
    require(pthread_create(&thread, NULL, function, argument) == 0);
    require(pthread_join(thread, NULL) == 0);
}

/* Starts a program's tests. */
#define run_unit_tests(tests) (cmocka_set_message_output(CM_OUTPUT_TAP), cmocka_run_group_tests(tests, NULL, NULL))

#endif
