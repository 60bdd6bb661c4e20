/* inherited_test.c - the library's own thread keeps no rights that the process has given up.
 *
 * Root's, or capabilities: only root can show most of it.
 */
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "bootstrap/workers.h"

/* ---- rights: setuid() reaches the threads that libc knows. This one must go. ---- */

static bool starts_it(void)
{
    start_workers();
    return count_threads() == WORKERS + 2;
}

/* Without a handler of keys: its calls are those of another user. */
static int leave_once_it_is_gone(void)
{
    bool gone = within_time(has_only_own_threads);
    _exit(gone ? 0 : 9);
}

static int root_is_given_up(void)
{
    if (!starts_it()) return 1;
    if (setuid(65534) != 0) return 2;
    return leave_once_it_is_gone();
}

static int root_that_was_put_aside_is_given_up(void)
{
    if (seteuid(65534) != 0) return 1;
    if (!starts_it()) return 2;
    if (seteuid(0) != 0 || setuid(65534) != 0) return 3;
    return leave_once_it_is_gone();
}

static int a_group_that_was_put_aside_is_given_up(void)
{
    if (setresgid(65534, 65534, 1) != 0 || setuid(65534) != 0) return 1;
    if (!starts_it()) return 2;
    if (setresgid(65534, 65534, 65534) != 0) return 3;
    return leave_once_it_is_gone();
}

/* Of the first thread: it stands for the process. */
static bool give_up_capabilities(void)
{
    struct {
        uint32_t version;
        int thread;
    } whose = {0x20080522, 0};
    uint32_t none[6] = {0};
    return syscall(SYS_capset, &whose, none) == 0;
}

static int capabilities_are_given_up(void)
{
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || setresgid(65534, 65534, 65534) != 0 || setuid(65534) != 0) return 1;
    if (!starts_it()) return 2;
    if (!give_up_capabilities()) return 3;
    return leave_once_it_is_gone();
}

static bool has_slept(int number)
{
    char text[256];
    return blocks_all_signals(number) && status_of(number, "voluntary_ctxt_switches:", text, sizeof(text)) &&
           atoi(text) > 2;
}

static bool has_looked(void)
{
    int number;
    return count_threads_if(has_slept, &number) == 1;
}

/* And comes back to them. */
static int root_that_is_put_aside_stays(void)
{
    if (!starts_it()) return 1;
    if (seteuid(65534) != 0) return 2;
    if (!within_time(has_looked)) return 3;
    _exit(count_threads() == WORKERS + 2 ? 0 : 4);
}

static bool is_left(int number)
{
    char text[256];
    return number == getpid() && status_of(number, "State:\t", text, sizeof(text)) && text[0] == 'Z';
}

static bool has_first_thread_left(void)
{
    int number;
    return count_threads_if(is_left, &number) == 1;
}

static bool are_all_of_program(void)
{
    return count_threads() == WORKERS + 2; /* with the one that has left */
}

static void *give_up_late(void *unused)
{
    (void)unused;
    if (!within_time(has_first_thread_left) || setuid(65534) != 0) _exit(3);
    _exit(within_time(are_all_of_program) ? 0 : 9);
}

/* setuid() does not reach that one, either. */
static int rights_are_given_up_without_the_first_thread(void)
{
    pthread_t thread;
    if (!starts_it()) return 1;
    if (pthread_create(&thread, NULL, give_up_late, NULL) != 0) return 2;
    pthread_exit(NULL);
}

/* ---- */

static const struct scene scenes[] = {
    {"root_is_given_up", root_is_given_up, "auto", NULL},
    {"root_that_was_put_aside_is_given_up", root_that_was_put_aside_is_given_up, "auto", NULL},
    {"rights_are_given_up_in_a_long_round", root_is_given_up, "auto", "600000"},
    {"a_group_that_was_put_aside_is_given_up", a_group_that_was_put_aside_is_given_up, "auto", NULL},
    {"capabilities_are_given_up", capabilities_are_given_up, "auto", NULL},
    {"rights_are_given_up_without_the_first_thread", rights_are_given_up_without_the_first_thread, "auto", NULL},
    {"root_that_is_put_aside_stays", root_that_is_put_aside_stays, "auto", NULL},
};

static const char *why_not(const struct scene *scene)
{
    (void)scene;
    return geteuid() != 0 ? "this user has no rights to give up" : NULL;
}

int main(int argc, char **argv)
{
    return run_scenes(argc, argv, scenes, sizeof(scenes) / sizeof(*scenes), why_not);
}
