/* local_cxx_test.c - operator new fails in a program in C, which has no libstdc++ but that of its plugins, visible to
 * nobody else: bad_alloc is thrown, and new handlers are called. Where there is none at all, a line says so.
 *
 * A scene is a child, in which other plugins are loaded; 0 = as it shall be.
 */
#include "bootstrap/loading.h"

enum { FORMS = 8, THROWING_FORMS = 4 }; /* as in throwing_plugin.cc */

static const char dynamic[] = "throwing_plugin.so", static_inside[] = "throwing_plugin_static.so";

typedef char outcome_of(int form, int handler, int *handler_calls);

static outcome_of *open_plugin(const char *name)
{
    char path[PATH_MAX];
    outcome_of *outcome = NULL;
    beside_folder(path, name);
    void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!plugin) diag("%s", dlerror());
    else *(void **)&outcome = dlsym(plugin, "plugin_outcome");
    if (!outcome || dlsym(RTLD_DEFAULT, "__cxa_throw")) _exit(10);
    return outcome;
}

/* Every form, with each handler. */
static int fail_in(outcome_of *outcome)
{
    static const int wanted_calls[] = {0, 3, 2};
    int wrong = 0;
    for (int form = 0; form < FORMS; form++)
        for (int handler = 0; handler < 3; handler++) {
            int calls = -1;
            char wanted = form >= THROWING_FORMS ? '0' : handler == 1 ? 'o' : 't';
            errno = 0;
            char got = outcome(form, handler, &calls);
            if (got == wanted && calls == wanted_calls[handler] && errno == ENOMEM) continue;
            diag("form %d, handler %d: '%c' after %d calls, errno %d", form, handler, got, calls, errno);
            wrong++;
        }
    return wrong;
}

static int fail_in_dynamic(void) { return fail_in(open_plugin(dynamic)); }
static int fail_in_static(void) { return fail_in(open_plugin(static_inside)); }

static int fail_in_both(void)
{
    outcome_of *first = open_plugin(static_inside), *second = open_plugin(dynamic);
    return fail_in(second) + fail_in(first);
}

static outcome_of *of_other_thread;
static int wrong_in_other_thread;

static void fail_meanwhile(void) { wrong_in_other_thread = fail_in(of_other_thread); }

static int fail_while_loading(void)
{
    of_other_thread = open_plugin(dynamic);
    return can_be_done_while_loading(fail_meanwhile) ? wrong_in_other_thread : 11;
}

static int fail_in_nothrow_c(void)
{
    void *(*new_nothrow)(size_t, const void *);
    *(void **)&new_nothrow = dlsym(RTLD_DEFAULT, "_ZnwmRKSt9nothrow_t");
    return new_nothrow && new_nothrow(SIZE_MAX / 2 + 1, "") == NULL ? 0 : 12;
}

static int fail_in_c(void)
{
    void *(*new)(size_t);
    *(void **)&new = dlsym(RTLD_DEFAULT, "_Znwm");
    if (new) (void)new(SIZE_MAX / 2 + 1);
    return 13;
}

/* Gathers in `said` what the scene says on standard error. */
static int status_of(int (*scene)(void), char *said, size_t size)
{
    int ends[2], status = -1;
    if (said && pipe(ends) != 0) bail_out("pipe: errno %d", errno);
    pid_t pid = fork();
    if (pid < 0) bail_out("fork: errno %d", errno);
    if (pid == 0) {
        if (said && dup2(ends[1], STDERR_FILENO) < 0) _exit(14);
        _exit(scene());
    }
    if (said) {
        close(ends[1]);
        ssize_t n = read(ends[0], said, size - 1);
        said[n > 0 ? n : 0] = 0;
        close(ends[0]);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    return status;
}

static bool does(int (*scene)(void)) { return succeeded(status_of(scene, NULL, 0), "child"); }

static void there_is_no_runtime(void)
{
    static const char wanted[] = "hakmem: out of memory in operator new, and no C++ library to throw bad_alloc\n";
    char said[256];
    int status = status_of(fail_in_c, said, sizeof said);
    ok(strncmp(said, wanted, strlen(wanted)) == 0, "without_a_runtime_a_line_says_so (\"%.*s\")", (int)strcspn(said, "\n"), said);
    ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "and_the_process_aborts");
    ok(does(fail_in_nothrow_c), "new_nothrow_returns_NULL_then");
}

int main(void)
{
    alarm(HANG_SECONDS);
    if (!runs_on_hakmem()) return done_testing();
    there_is_no_runtime();
    ok(does(fail_in_dynamic), "a_libstdc++_that_others_do_not_see_is_found");
    ok(does(fail_in_static), "a_libstdc++_inside_of_a_plugin_is_found");
    ok(does(fail_in_both), "of_two_the_callers_is_taken");
    ok(does(fail_while_loading), "nobody_waits_for_who_is_in_dlopen");
    return done_testing();
}
