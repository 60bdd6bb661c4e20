/* lost_threads_test.c - threads end without a word, and their storage is unmapped, while others ask memory back.
 *
 * Half of them end by a bare system call, half make their first call in the last round of destructors. Both leave a
 * heap behind that knows nothing of it. Memory is asked back by calls, and then as the command-line tool asks: the
 * library's own thread follows.
 */
#include <limits.h>
#include <malloc.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "../../src/service/block.h"
#include "torture.h"

enum { STACK = 256 << 10, BEARERS = 2, TRIMMERS = 4, LIVES = 16, WORK = 3000 };

static void *(*volatile get)(size_t) = malloc;
static void (*volatile put)(void *) = free;
static int (*volatile trim)(size_t) = malloc_trim;
static pthread_key_t late_key;
static atomic_bool stop;
static atomic_ulong born, asked;
extern const struct block hakmem_block __attribute__((weak));

static void idle(unsigned turns)
{
    for (volatile unsigned i = 0; i < turns; i++) {}
}

static void *end_by_system_call(void *turns)
{
    put(get(100));
    idle((unsigned)(uintptr_t)turns);
    syscall(SYS_exit, 0);
    return NULL;
}

static void call_in_last_round(void *round)
{
    uintptr_t now = (uintptr_t)round;
    if (now < PTHREAD_DESTRUCTOR_ITERATIONS)
        pthread_setspecific(late_key, (void *)(now + 1));
    else
        put(get(100));
}

static void *end_late(void *turns)
{
    idle((unsigned)(uintptr_t)turns);
    pthread_setspecific(late_key, (void *)(uintptr_t)1);
    return NULL;
}

static void *bear(void *unused)
{
    (void)unused;
    for (unsigned i = 0; !stop; i++) {
        pthread_attr_t attributes;
        pthread_t thread;
        void *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (stack == MAP_FAILED) bail_out("mmap: %d", errno);
        pthread_attr_init(&attributes);
        pthread_attr_setstack(&attributes, stack, STACK);
        void *turns = (void *)(uintptr_t)(i % LIVES * WORK);
        int failed = pthread_create(&thread, &attributes, i % 2 ? end_by_system_call : end_late, turns);
        if (failed != 0) bail_out("pthread_create: %d", failed);
        pthread_join(thread, NULL);
        munmap(stack, STACK);
        born++;
    }
    return NULL;
}

static void *trim_all(void *unused)
{
    for (; !stop; asked++) trim(0);
    return unused;
}

static void *request_all(void *unused)
{
    for (; !stop; pause_us(100)) {
        if (load_relaxed(hakmem_block.reclaim_request) != 0) continue;
        store_relaxed(hakmem_block.reclaim_request, 1);
        asked++;
    }
    return unused;
}

static void ask_while_threads_end(void *(*ask)(void *), unsigned askers)
{
    pthread_t thread[BEARERS + TRIMMERS];
    stop = false;
    born = asked = 0;
    for (unsigned i = 0; i < BEARERS + askers; i++) thread[i] = start_thread(i < BEARERS ? bear : ask, NULL);
    pause_us(times(4, 300) * 1000000L);
    stop = true;
    for (unsigned i = 0; i < BEARERS + askers; i++) pthread_join(thread[i], NULL);
    diag("%lu threads ended, memory was asked back %lu times", born, asked);
    expect(born > 0 && asked > 0, "%lu, %lu", born, asked);
    expect(hak_check(), "all books are right");
}

int main(int argc, char **argv)
{
    start_test(argc, argv);
    if (!runs_on_hakmem()) return done_testing();
    if (pthread_key_create(&late_key, call_in_last_round) != 0) bail_out("no key");
    put(get(1));
    ask_while_threads_end(trim_all, TRIMMERS);
    claim("memory_is_asked_back_while_threads_end_without_a_word");
    expect(hak_option_set("background", BACKGROUND_ON) == 0 && hak_option_set("purge_delay", 2) == 0, "options");
    ask_while_threads_end(request_all, 1);
    claim("memory_is_asked_back_from_outside_while_threads_end_without_a_word");
    return done_testing();
}
