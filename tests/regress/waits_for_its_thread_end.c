/* waits_for_its_thread_end - who waits for the end of the library's own thread goes on when that takes too long.
 *
 * What went wrong once: the program's last other thread waited without an end for the library's, which may wait for a
 * file system to take what another thread had written, or for a processor that a real-time thread does not leave.
 *
 * Shown: a thread that does not end is waited for, and not for long; one that ends is waited for to its end.
 */
#include <time.h>

#include "whitebox.h"

enum { LEAST_MS = 200, MOST_MS = 20000 };

static struct os_thread own;
static uint32_t may_end;

static int stay(bool alone)
{
    (void)alone;
    while (!load_acquire(&may_end)) os_wait_for(&may_end, 0, 100);
    return 0;
}

static uint64_t join_ms(void)
{
    uint64_t start = os_now_ms();
    os_thread_join(&own, load_acquire(&own.id));
    return os_now_ms() - start;
}

int main(void)
{
    alarm(60);
    if (!os_thread_start(&own, stay)) {
        skip("no thread of its own here", "waits_for_its_thread_end");
        return done_testing();
    }
    uint64_t waited = join_ms();
    expect(waited >= LEAST_MS && waited <= MOST_MS, "%lu ms", waited);
    expect(load_acquire(&own.id) != 0, "it has not ended");
    store_release(&may_end, 1);
    os_wake_one(&may_end);
    for (unsigned i = 0; i < 10 && load_acquire(&own.id) != 0; i++) (void)join_ms();
    expect(load_acquire(&own.id) == 0, "it has ended");
    claim("a_thread_that_does_not_end_is_not_waited_for_for_ever");
    return done_testing();
}
