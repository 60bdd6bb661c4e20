/* inherited_test.c - the library's own thread keeps no rights that the process has given up, and has nothing of the
 * thread that made it.
 *
 * Only root can show most of it, and only with the capabilities that a scene asks for.
 */
#include <fcntl.h>
#include <mqueue.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "bootstrap/workers.h"

/* A round is half of it: longer than any scene, so the thread does not end for want of work. */
#define LONG "600000"

/* ---- rights: setuid() reaches the threads that libc knows. This one must go. ---- */

static bool starts_it(void)
{
    start_workers();
    return count_threads() == WORKERS + 2;
}

/* Of a call for another identity: root may be without the capability, or without the user. */
static int refused_or(int status)
{
    return errno == EPERM || errno == EINVAL ? NOT_HERE : status;
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
    if (setuid(65534) != 0) return refused_or(2);
    return leave_once_it_is_gone();
}

static int root_that_was_put_aside_is_given_up(void)
{
    if (seteuid(65534) != 0) return refused_or(1);
    if (!starts_it()) return 2;
    if (seteuid(0) != 0 || setuid(65534) != 0) return 3;
    return leave_once_it_is_gone();
}

static int a_group_that_was_put_aside_is_given_up(void)
{
    if (setresgid(65534, 65534, 1) != 0 || setuid(65534) != 0) return refused_or(1);
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
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return 1;
    if (setresgid(65534, 65534, 65534) != 0 || setuid(65534) != 0) return refused_or(2);
    if (!starts_it()) return 3;
    if (!give_up_capabilities()) return 4;
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
    if (seteuid(65534) != 0) return refused_or(2);
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
    if (!within_time(has_first_thread_left)) _exit(3);
    if (setuid(65534) != 0) _exit(refused_or(4));
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

/* ---- folders and namespaces ---- */

static int own_thread; /* its number; it may just have begun */

static bool finds_it(void)
{
    start_workers();
    return count_threads_if(blocks_all_signals, &own_thread) == 1;
}

static bool leads_to(const char *link, const char *where)
{
    char text[PATH_MAX];
    ssize_t length = readlink(link, text, sizeof(text) - 1);
    text[length > 0 ? length : 0] = 0;
    return strcmp(text, where) == 0;
}

static bool is_in_root_folder(void)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/task/%d/cwd", own_thread);
    return leads_to(path, "/");
}

static int it_is_in_no_folder(void)
{
    if (chdir("/tmp") != 0) return 1;
    if (!finds_it()) return 2;
    if (!within_time(is_in_root_folder)) return 3;
    if (!leads_to("/proc/self/cwd", "/tmp")) return 4;
    end_workers();
    return 0;
}

static int failures; /* of workers */
static int refusals; /* of these, to workers that have not the right */

static void count_failure(bool good)
{
    if (good) return;
    if (errno == EPERM) __atomic_fetch_add(&refusals, 1, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&failures, 1, __ATOMIC_SEQ_CST);
}

static void leave_folders(void)
{
    count_failure(unshare(CLONE_FS) == 0);
}

static void join_own_namespace(void)
{
    int file = open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC);
    bool good = setns(file, CLONE_NEWNS) == 0; /* needs folders that nobody else has */
    if (!good && errno != EPERM) diag("setns: errno %d", errno);
    count_failure(good);
    close(file);
}

static int a_thread_with_folders_of_its_own_keeps_them_to_itself(void)
{
    at_start = leave_folders;
    at_end = join_own_namespace;
    if (!finds_it()) return 1;
    if (failures > 0) return NOT_HERE;
    end_workers();
    return failures > 0 && failures == refusals ? NOT_HERE : failures;
}

static void leave_network(void)
{
    count_failure(unshare(CLONE_NEWNET) == 0);
}

static void leave_mounts(void)
{
    count_failure(unshare(CLONE_NEWNS) == 0);
}

static int it_does_not_stay_where(void (*leave)(void))
{
    at_start = leave;
    start_workers();
    if (failures > 0) return NOT_HERE;
    bool gone = within_time(has_only_own_threads);
    end_workers();
    return !gone;
}

static int another_network_is_not_held(void)
{
    return it_does_not_stay_where(leave_network);
}

static int other_mounts_are_not_held(void)
{
    return it_does_not_stay_where(leave_mounts);
}

static bool is_it_gone(void)
{
    return syscall(SYS_tgkill, getpid(), own_thread, 0) != 0;
}

static int a_root_folder_that_the_process_leaves_is_not_held(void)
{
    if (!finds_it()) return 1;
    if (chroot("/tmp") != 0) return NOT_HERE;
    _exit(within_time(is_it_gone) ? 0 : 3);
}

/* ---- when and where it runs ---- */

static int first_processor(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) != 0) return 0;
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, &set)) return i;
    return 0;
}

static void go_first(void)
{
    struct sched_param priority = {.sched_priority = 1};
    count_failure(sched_setscheduler(0, SCHED_FIFO, &priority) == 0);
}

static void go_elsewhere(void)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(first_processor(), &one);
    count_failure(sched_setaffinity(0, sizeof(one), &one) == 0);
    count_failure(setpriority(PRIO_PROCESS, 0, -5) == 0);
}

static void go_last(void)
{
    struct sched_param none = {.sched_priority = 0};
    count_failure(sched_setscheduler(0, SCHED_IDLE, &none) == 0);
    count_failure(setpriority(PRIO_PROCESS, 0, 19) == 0);
}

static bool runs_as_the_first_thread(void)
{
    cpu_set_t of_first, of_own;
    if (sched_getscheduler(own_thread) != SCHED_OTHER) return false;
    if (getpriority(PRIO_PROCESS, (id_t)own_thread) != getpriority(PRIO_PROCESS, 0)) return false;
    if (sched_getaffinity(0, sizeof(of_first), &of_first) != 0) return false;
    return sched_getaffinity(own_thread, sizeof(of_own), &of_own) == 0 && CPU_EQUAL(&of_first, &of_own);
}

static int it_runs_as_the_first_thread_and_not_as(void (*go)(void))
{
    at_start = go;
    bool found = finds_it();
    if (failures > 0) return NOT_HERE;
    if (!found) return 1;
    bool good = within_time(runs_as_the_first_thread);
    end_workers();
    return good ? 0 : 2;
}

static int it_runs_where_and_when_the_first_thread_does(void)
{
    return it_runs_as_the_first_thread_and_not_as(go_elsewhere);
}

/* It could be kept from running, and who waits for it with it. */
static int a_thread_that_runs_before_others_makes_none(void)
{
    at_start = go_first;
    start_workers();
    if (failures > 0) return NOT_HERE;
    bool none = count_threads() == WORKERS + 1;
    end_workers();
    return !none;
}

static int beside_a_first_thread_that_runs_before_others_there_is_none(void)
{
    struct sched_param none = {.sched_priority = 0};
    if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &(struct sched_param){.sched_priority = 1}) != 0)
        return NOT_HERE;
    start_workers(); /* ordinary threads */
    bool good = sched_getscheduler(0) == (SCHED_FIFO | SCHED_RESET_ON_FORK) && count_threads() == WORKERS + 1;
    end_workers();
    (void)sched_setscheduler(0, SCHED_OTHER, &none);
    return !good;
}

/* The right to run before others is that to come back from behind them. */
static bool may_go_before_others(void)
{
    int mine = getpriority(PRIO_PROCESS, 0);
    return setpriority(PRIO_PROCESS, 0, mine - 1) == 0 && setpriority(PRIO_PROCESS, 0, mine) == 0;
}

static int it_runs_not_after_others(void)
{
    if (!may_go_before_others()) return NOT_HERE;
    return it_runs_as_the_first_thread_and_not_as(go_last);
}

/* Without rights there is no way back. */
static int where_it_would_hardly_run_it_ends(void)
{
    if (setuid(65534) != 0) return refused_or(2);
    return it_does_not_stay_where(go_last);
}

/* ---- descriptors ---- */

/* Which ends with any descriptor of the queue that is closed in this process. What the library's thread begins with has
 * happened when the other threads have ended: one of them has started it, and the last waits for it. */
static int a_queue_keeps_its_notification(void)
{
    struct mq_attr form = {.mq_maxmsg = 2, .mq_msgsize = 8};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct timespec time = {.tv_sec = SECONDS_MAX};
    sigset_t notice;
    char name[32];
    snprintf(name, sizeof(name), "/hakmem-%d", (int)getpid());
    mqd_t queue = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, &form);
    if (queue < 0) return NOT_HERE;
    mq_unlink(name);
    sigemptyset(&notice);
    sigaddset(&notice, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &notice, NULL);
    if (mq_notify(queue, &event) != 0) return 1;
    start_workers();
    end_workers();
    if (mq_send(queue, "text", 4, 0) != 0) return 2;
    return sigtimedwait(&notice, NULL, &time) == SIGUSR1 ? 0 : 3;
}

/* ---- */

static const struct scene scenes[] = {
    {"root_is_given_up", root_is_given_up, "auto", LONG},
    {"root_that_was_put_aside_is_given_up", root_that_was_put_aside_is_given_up, "auto", LONG},
    {"a_group_that_was_put_aside_is_given_up", a_group_that_was_put_aside_is_given_up, "auto", LONG},
    {"capabilities_are_given_up", capabilities_are_given_up, "auto", LONG},
    {"rights_are_given_up_without_the_first_thread", rights_are_given_up_without_the_first_thread, "auto", LONG},
    {"root_that_is_put_aside_stays", root_that_is_put_aside_stays, "auto", LONG},
    {"it_is_in_no_folder", it_is_in_no_folder, "auto", LONG},
    {"a_thread_with_folders_of_its_own_keeps_them_to_itself", a_thread_with_folders_of_its_own_keeps_them_to_itself,
     "auto", LONG},
    {"another_network_is_not_held", another_network_is_not_held, "auto", LONG},
    {"other_mounts_are_not_held", other_mounts_are_not_held, "auto", LONG},
    {"a_root_folder_that_the_process_leaves_is_not_held", a_root_folder_that_the_process_leaves_is_not_held, "auto",
     LONG},
    {"it_runs_where_and_when_the_first_thread_does", it_runs_where_and_when_the_first_thread_does, "auto", LONG},
    {"a_thread_that_runs_before_others_makes_none", a_thread_that_runs_before_others_makes_none, "auto", LONG},
    {"beside_a_first_thread_that_runs_before_others_there_is_none",
     beside_a_first_thread_that_runs_before_others_there_is_none, "auto", LONG},
    {"it_runs_not_after_others", it_runs_not_after_others, "auto", LONG},
    {"where_it_would_hardly_run_it_ends", where_it_would_hardly_run_it_ends, "auto", LONG},
    {"a_queue_keeps_its_notification", a_queue_keeps_its_notification, "auto", LONG},
};

static const char *why_not(const struct scene *scene)
{
    bool needs_none = scene->run == it_is_in_no_folder || scene->run == a_queue_keeps_its_notification;
    return !needs_none && geteuid() != 0 ? "this user has no rights" : NULL;
}

int main(int argc, char **argv)
{
    return run_scenes(argc, argv, scenes, sizeof(scenes) / sizeof(*scenes), why_not);
}
