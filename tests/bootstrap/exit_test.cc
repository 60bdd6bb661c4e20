// exit_test.cc - allocator calls while the process and its threads end: atexit handlers, .fini_array,
// destructors of static and thread_local objects.
//
// With an argument: the child, which writes one letter per stage to the file descriptor named there.
#include <pthread.h>

#include <algorithm>
#include <cstdlib>
#include <thread>
#include <vector>

#include "bootstrap/common.h"

namespace {

int report_to = -1;

// A stage frees what an earlier stage left, leaves a block for a later one, and works in between.
void *volatile left;

void stage(char letter)
{
    if (report_to < 0) return;
    give(left);
    left = take(static_cast<unsigned char>(letter) * 100);
    bool good = left && hak_owns(left) && allocator_works(static_cast<unsigned>(letter));
    char told = good ? letter : '!';
    if (write(report_to, &told, 1) != 1) _exit(9);
}

struct AtEnd {
    char letter;
    std::vector<int> numbers;
    explicit AtEnd(char c) : letter(c), numbers(1000, c) {}
    ~AtEnd()
    {
        if (numbers[999] != letter) letter = '?';
        stage(letter);
    }
};

AtEnd static_object('s');
thread_local AtEnd thread_object('t');

void exit_handler() { stage('a'); }
void quick_handler() { stage('q'); }

__attribute__((destructor)) void destructor_function() { stage('d'); }

void fini() { stage('f'); }
__attribute__((section(".fini_array"), used)) void (*fini_entry)() = fini;

// All letters of `wanted` in some order, and nothing else.
bool same_letters(const char *got, const char *wanted)
{
    return std::is_permutation(got, got + strlen(got), wanted, wanted + strlen(wanted));
}

int child(const char *how)
{
    alarm(HANG_SECONDS);
    report_to = atoi(how + 1);
    std::atexit(exit_handler);
    std::at_quick_exit(quick_handler);
    std::thread([] { thread_object.letter = 'T'; std::fill(thread_object.numbers.begin(), thread_object.numbers.end(), 'T'); }).join();
    if (how[0] == 'q') std::quick_exit(0);
    thread_object.letter = 't';
    if (how[0] == 'x') std::exit(0);
    if (how[0] == 'p') pthread_exit(nullptr); // the last thread: the process ends with status 0
    return 0;
}

void ending(const char *how, const char *wanted, const char *name)
{
    int ends[2];
    char argument[16], got[32] = "";
    if (pipe(ends) != 0) bail_out("pipe");
    snprintf(argument, sizeof argument, "%s%d", how, ends[1]);
    int status = run_self_with(argument, nullptr);
    close(ends[1]);
    ssize_t n = read(ends[0], got, sizeof got - 1);
    close(ends[0]);
    got[n > 0 ? n : 0] = 0;
    expect(succeeded(status, name), "%s", name);
    expect(same_letters(got, wanted), "stages '%s', wanted '%s'", got, wanted);
    claim("%s", name);
}

} // namespace

int main(int argc, char **argv)
{
    if (argc == 2) return child(argv[1]);
    if (!runs_on_hakmem()) return done_testing();
    ending("m", "Ttsadf", "every_stage_after_main_may_allocate_and_free");
    ending("x", "Ttsadf", "every_stage_after_exit_may_allocate_and_free");
    ending("q", "Tq", "quick_exit_handlers_may_allocate_and_free");
    ending("p", "Ttsadf", "every_stage_after_the_last_thread's_exit_may_allocate_and_free");
    return done_testing();
}
