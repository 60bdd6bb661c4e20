/* signal_test.c - a handler may jump out of code that runs between allocator calls, and may interrupt the
 * calls themselves.
 *
 * malloc is not async-signal-safe: the handler jumps only where the flag says that no call is under way.
 */
#include <setjmp.h>
#include <time.h>

#include "bootstrap/common.h"

enum { JUMPS = 200, INTERRUPTS = 200, BLOCKS = 256 };

static sigjmp_buf way_out;
static volatile sig_atomic_t between; /* no allocator call is under way */
static volatile sig_atomic_t signals;
static unsigned char *volatile block[BLOCKS];

static void jump(int number)
{
    (void)number;
    signals++;
    if (!between) return;
    between = 0;
    siglongjmp(way_out, 1);
}

static timer_t timer;

static void every_millisecond(bool on)
{
    struct timespec step = {0, on ? 1000000 : 0};
    timer_settime(timer, 0, &(struct itimerspec){step, step}, NULL);
}

static void replace(unsigned i)
{
    unsigned slot = i % BLOCKS;
    unsigned char *old = block[slot];
    block[slot] = NULL;
    give(old);
    size_t size = i * 73 % 5000 + 1;
    unsigned char *fresh = take(size);
    if (!fresh) bail_out("malloc failed");
    fresh[0] = fresh[size - 1] = (unsigned char)i;
    block[slot] = fresh;
}

static void jumping_out_is_harmless(void)
{
    static volatile int jumps;
    static volatile unsigned i;
    every_millisecond(true);
    if (sigsetjmp(way_out, 1)) jumps++;
    while (jumps < JUMPS) {
        for (int n = 0; n < 20; n++) replace(i++);
        between = 1;
        for (volatile int spin = 0; spin < 2000; spin++) {}
        between = 0;
    }
    every_millisecond(false);
    expect(jumps == JUMPS, "%d jumps", jumps);
    expect(allocator_works(i), "a bad block");
    expect(hak_check(), "the heap is corrupt");
    claim("jumping_out_between_calls_is_harmless");
}

static void interrupting_is_harmless(void)
{
    signals = 0;
    every_millisecond(true);
    for (unsigned i = 0; signals < INTERRUPTS; i++) replace(i);
    every_millisecond(false);
    expect(signals >= INTERRUPTS, "%d signals", (int)signals);
    expect(hak_check(), "the heap is corrupt");
    claim("signals_during_calls_are_harmless");
}

int main(void)
{
    struct sigaction action = {.sa_handler = jump};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    alarm(HANG_SECONDS);
    if (!runs_on_hakmem()) return done_testing();
    sigaction(SIGUSR1, &action, NULL);
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) bail_out("timer_create: errno %d", errno);
    jumping_out_is_harmless();
    interrupting_is_harmless();
    for (int i = 0; i < BLOCKS; i++) give(block[i]);
    return done_testing();
}
