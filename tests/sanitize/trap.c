/* trap.c - a build with TRAP=1 stops at undefined behaviour; otherwise its tests would prove nothing.
 *
 * Uses:    tap.h, and the flags of such a build.
 * Callers: `make sanitize-trap`.
 */
#include <limits.h>
#include <signal.h>
#include <sys/wait.h>

#include "../tap.h"

static volatile int one = 1;
static volatile int result;

static void overflow(void)
{
    int most = INT_MAX;
    result = most + one;
}

static void shift_too_far(void)
{
    result = one << (31 + one);
}

static void read_misaligned(void)
{
    static char bytes[16];
    result = *(int *)(void *)(bytes + one);
}

static void expect_trap(const char *name, void (*fault)(void))
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        fault();
        _exit(0);
    }
    bool waited = child > 0 && waitpid(child, &status, 0) == child;
    ok(waited && WIFSIGNALED(status) && (WTERMSIG(status) == SIGILL || WTERMSIG(status) == SIGTRAP), "%s", name);
}

int main(void)
{
    expect_trap("overflow_traps", overflow);
    expect_trap("shift_too_far_traps", shift_too_far);
    expect_trap("misaligned_read_traps", read_misaligned);
    return done_testing();
}
