// signals_test.cc - a thousand signals a second into each thread: handlers walk the stack through the library's frames,
// jump out of the program's own code, and come while exceptions fly.
//
// What is promised: a handler may interrupt any call and return; it may walk the stack from there. It may jump out, or
// throw, where it has interrupted no call: malloc is not async-signal-safe, here as elsewhere.
#include <execinfo.h>
#include <setjmp.h>
#include <sys/syscall.h>
#include <unwind.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <vector>

#include "torture.h"

namespace {

enum { THREADS = 4, STACK_MARK = 64, JUMP_WORK = 20 };

thread_local volatile sig_atomic_t signals;
std::atomic<int> bad;

struct Timer {
    timer_t id;
    explicit Timer(int signal_number)
    {
        sigevent event = {};
        event.sigev_notify = SIGEV_THREAD_ID;
        event.sigev_signo = signal_number;
        event._sigev_un._tid = static_cast<pid_t>(syscall(SYS_gettid));
        if (timer_create(CLOCK_MONOTONIC, &event, &id) != 0) bail_out("timer_create: errno %d", errno);
        const timespec step = {0, 1000000};
        const itimerspec every = {step, step};
        timer_settime(id, 0, &every, nullptr);
    }
    void stop()
    {
        const itimerspec never = {};
        timer_settime(id, 0, &never, nullptr);
    }
    ~Timer() { timer_delete(id); }
};

void handle(int number, void (*handler)(int), int flags)
{
    struct sigaction action = {};
    action.sa_handler = handler;
    action.sa_flags = flags;
    sigaction(number, &action, nullptr);
}

// ---- walks ----

thread_local uintptr_t bottom_low, bottom_high; // of the function that the walk has to reach
thread_local unsigned walks, short_walks;

struct Walk {
    bool arrived;
    int frames;
};

_Unwind_Reason_Code step(_Unwind_Context *context, void *argument)
{
    auto *walk = static_cast<Walk *>(argument);
    uintptr_t at = _Unwind_GetIP(context);
    walk->frames++;
    if (at >= bottom_low && at < bottom_high) walk->arrived = true;
    return walk->frames < STACK_MARK ? _URC_NO_REASON : _URC_END_OF_STACK;
}

void walk_in_handler(int)
{
    int saved = errno;
    Walk walk = {false, 0};
    void *address[STACK_MARK];
    _Unwind_Backtrace(step, &walk);
    bool seen = false;
    int count = backtrace(address, STACK_MARK);
    for (int i = 0; i < count; i++) {
        auto at = reinterpret_cast<uintptr_t>(address[i]);
        seen = seen || (at >= bottom_low && at < bottom_high);
    }
    walks++;
    if (!walk.arrived || !seen) short_walks++;
    signals = signals + 1;
    errno = saved;
}

extern "C" __attribute__((noinline)) void *walked_body(void *argument)
{
    bottom_low = reinterpret_cast<uintptr_t>(walked_body);
    bottom_high = bottom_low + 4096; // its code is shorter; what follows it is not on this thread's stack
    unsigned wanted = *static_cast<unsigned *>(argument);
    Timer timer(SIGUSR1);
    for (unsigned i = 0; signals < static_cast<sig_atomic_t>(wanted); i++) {
        void *p = take(i % 3000), *q = take(i % 97);
        give(q);
        p = resize(p, i % 5000 + 1);
        give(p);
        if (i % 64 == 0) give(take(100000));
    }
    return nullptr;
}

void *walked(void *argument)
{
    walked_body(argument);
    if (walks == 0) bad++;
    if (short_walks > 0) diag("%u of %u walks did not come through", short_walks, walks);
    if (short_walks > 0) bad++;
    return nullptr;
}

void in_threads(void *(*body)(void *), void *argument)
{
    pthread_t thread[THREADS];
    for (auto &t : thread) t = start_thread(body, argument);
    for (auto &t : thread) pthread_join(t, nullptr);
}

void walks_come_through()
{
    unsigned wanted = static_cast<unsigned>(times(400, 60000));
    void *address[4];
    backtrace(address, 4); // loads what it needs
    handle(SIGUSR1, walk_in_handler, SA_RESTART);
    in_threads(walked, &wanted);
    ok(bad == 0, "handlers_walk_the_stack_through_interrupted_calls");
    ok(hak_check(), "the_heap_is_sound_after_the_walks");
}

// ---- jumps out of the program's own code ----

thread_local sigjmp_buf way_out;
thread_local volatile sig_atomic_t between; // no call of the allocator is under way
thread_local volatile int jumps;

void jump(int)
{
    signals = signals + 1;
    if (!between) return;
    between = 0;
    siglongjmp(way_out, 1);
}

void *jumping(void *argument)
{
    int wanted = *static_cast<int *>(argument);
    std::vector<char> other(65536);
    stack_t stack = {};
    stack.ss_sp = other.data();
    stack.ss_size = other.size();
    sigaltstack(&stack, nullptr); // every handler of this thread runs there
    static thread_local unsigned char *volatile block[64];
    static thread_local volatile unsigned i;
    Timer timer(SIGUSR2);
    if (sigsetjmp(way_out, 1)) jumps = jumps + 1;
    while (jumps < wanted) {
        for (int n = 0; n < JUMP_WORK; n++) {
            unsigned slot = i % 64;
            if (!give_marked(block[slot])) bad++;
            block[slot] = marked_block(i * 73 % 5000);
            i = i + 1;
        }
        between = 1;
        for (volatile int spin = 0; spin < 3000; spin = spin + 1) {}
        between = 0;
    }
    timer.stop();
    for (auto &p : block)
        if (!give_marked(p)) bad++;
    stack.ss_flags = SS_DISABLE;
    sigaltstack(&stack, nullptr);
    return nullptr;
}

void jumps_are_harmless()
{
    int wanted = times(100, 20000);
    bad = 0;
    handle(SIGUSR2, jump, SA_ONSTACK | SA_RESTART);
    in_threads(jumping, &wanted);
    ok(bad == 0 && hak_check(), "handlers_jump_out_of_code_between_calls");
}

// ---- exceptions ----

struct Holder {
    std::string text;
    std::vector<int> numbers;
    Holder() : text(200, 'x'), numbers(500, 7) {}
    ~Holder()
    {
        if (text[199] != 'x' || numbers[499] != 7) bad++;
    }
};

[[gnu::noinline]] void throw_from(int depth)
{
    Holder holder;
    if (depth == 0) throw std::runtime_error(std::string(300, 'e'));
    throw_from(depth - 1);
    holder.numbers[0] = depth;
}

void count_signal(int) { signals = signals + 1; }

void *throwing(void *argument)
{
    unsigned wanted = *static_cast<unsigned *>(argument);
    Timer timer(SIGUSR1);
    while (signals < static_cast<sig_atomic_t>(wanted)) {
        try {
            throw_from(10);
            bad++;
        } catch (const std::exception &e) {
            if (strlen(e.what()) != 300) bad++;
        }
    }
    return nullptr;
}

void exceptions_under_signals()
{
    unsigned wanted = static_cast<unsigned>(times(200, 20000));
    bad = 0;
    handle(SIGUSR1, count_signal, SA_RESTART);
    in_threads(throwing, &wanted);
    ok(bad == 0 && hak_check(), "exceptions_are_thrown_while_signals_come");
}

} // namespace

int main(int argc, char **argv)
{
    start_test(argc, argv);
    if (!runs_on_hakmem()) return done_testing();
    walks_come_through();
    jumps_are_harmless();
    exceptions_under_signals();
    return done_testing();
}
