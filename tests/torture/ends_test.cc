// ends_test.cc - a process ends while its threads are in the middle of malloc and free: by every way there is, again
// and again. None hangs, none dies of anything but what it was told to.
//
// With an argument: the child, a fresh program with threads that churn until the end. What runs at the end
// allocates: exit handlers, destructors of static and thread-local objects.
#include <dlfcn.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "torture.h"

namespace {

enum { THREADS = 3, ENDED_WELL = 7 };

struct AtEnd {
    std::vector<std::string> texts;
    AtEnd() : texts(50, std::string(100, 'x')) {}
    ~AtEnd()
    {
        if (texts[49].size() != 100 || !allocator_works(4)) _exit(3);
    }
};

AtEnd static_object;
thread_local AtEnd thread_object;

void exit_handler()
{
    if (!allocator_works(5)) _exit(4);
}

volatile sig_atomic_t between;

void exit_in_handler(int)
{
    if (between) exit(ENDED_WELL); // the program's own code was interrupted, no call of the allocator
}

void leave_in_handler(int) { _exit(ENDED_WELL); } // wherever the thread is

void alarm_in_us(long us)
{
    const itimerspec once = {{0, 0}, {0, us * 1000}};
    sigevent event = {};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGUSR1;
    timer_t timer;
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) bail_out("timer_create");
    timer_settime(timer, 0, &once, nullptr);
}

void on_signal(void (*handler)(int))
{
    struct sigaction action = {};
    action.sa_handler = handler;
    sigaction(SIGUSR1, &action, nullptr);
}

void block_signal(bool block)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(block ? SIG_BLOCK : SIG_UNBLOCK, &set, nullptr);
}

// The first thread has left before this one ends the process.
void *outlive_first(void *)
{
    for (unsigned i = 0; i < 20; i++)
        if (!allocator_works(i)) _exit(5);
    churn_let_run();
    exit(ENDED_WELL);
}

void *exit_here(void *)
{
    if (thread_object.texts.empty()) _exit(6);
    exit(ENDED_WELL);
}

void *work_a_little(void *argument)
{
    if (thread_object.texts.empty() || !allocator_works(8)) _exit(6);
    return argument;
}

void end_by_signal(void (*handler)(int))
{
    on_signal(handler);
    alarm_in_us(1000);
    block_signal(false);
    for (unsigned i = 0;; i++) {
        if (!allocator_works(i)) _exit(9);
        between = 1;
        for (volatile int spin = 0; spin < 3000; spin = spin + 1) {}
        between = 0;
        if (handler == exit_in_handler) alarm_in_us(100);
    }
}

// What valgrind and others call at the end: libc gives back all that it holds.
void end_freed()
{
    auto freeres = reinterpret_cast<void (*)()>(dlsym(RTLD_DEFAULT, "__libc_freeres"));
    if (!churn_stop()) _exit(10);
    if (freeres) freeres();
    void *p = take(1000);
    give(p);
    _exit(p && hak_check() ? ENDED_WELL : 10);
}

int child(const char *how)
{
    alarm(CHILD_SECONDS);
    std::atexit(exit_handler);
    std::at_quick_exit(exit_handler);
    block_signal(true); // for all but the first thread
    churn_start(THREADS);
    pthread_join(start_thread(work_a_little, nullptr), nullptr);
    if (strcmp(how, "return") == 0) return ENDED_WELL;
    if (strcmp(how, "exit") == 0) exit(ENDED_WELL);
    if (strcmp(how, "quick_exit") == 0) quick_exit(ENDED_WELL);
    if (strcmp(how, "_exit") == 0) _exit(ENDED_WELL);
    if (strcmp(how, "abort") == 0) abort();
    if (strcmp(how, "exit_in_handler") == 0) end_by_signal(exit_in_handler);
    if (strcmp(how, "_exit_in_handler") == 0) end_by_signal(leave_in_handler);
    if (strcmp(how, "exit_in_thread") == 0) pthread_join(start_thread(exit_here, nullptr), nullptr);
    if (strcmp(how, "freeres") == 0) end_freed();
    if (strcmp(how, "first_thread_leaves") == 0) {
        start_thread(outlive_first, nullptr);
        pthread_exit(nullptr);
    }
    return 1;
}

const char *const ways[] = {"return", "exit", "quick_exit", "_exit", "abort", "exit_in_handler", "_exit_in_handler",
                            "exit_in_thread", "freeres", "first_thread_leaves"};

bool ended_as_told(const char *how, int status)
{
    if (strcmp(how, "abort") == 0) return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
    return WIFEXITED(status) && WEXITSTATUS(status) == ENDED_WELL;
}

void many_end(const char *how, int count)
{
    for (int i = 0; i < count; i++) {
        setenv("HAKMEM_BACKGROUND", i % 3 == 0 ? "on" : "auto", 1);
        setenv("HAKMEM_PURGE_DELAY", i % 3 == 0 ? "2" : "1000", 1);
        int status = run_self_with(how, nullptr);
        expect(ended_as_told(how, status), "%s, process %d: status %x", how, i, static_cast<unsigned>(status));
    }
    claim("processes_end_by_%s_while_threads_allocate", how);
}

} // namespace

int main(int argc, char **argv)
{
    for (const char *how : ways)
        if (argc > 1 && strcmp(argv[1], how) == 0) return child(how);
    start_test(argc, argv);
    if (!runs_on_hakmem()) return done_testing();
    for (const char *how : ways) many_end(how, times(12, 1500));
    return done_testing();
}
