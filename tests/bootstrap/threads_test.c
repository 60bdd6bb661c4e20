/* threads_test.c - ten thousand threads one after another leave the memory flat; two thousand at once
 * all get what they ask for.
 */
#include <pthread.h>
#include <stdatomic.h>

#include "bootstrap/common.h"
#include "regress/sanitized.h"

enum {
    WARM = 1000,
    TOTAL = 10000,
    MARGIN = 512 << 10, /* bytes: 9,000 births may add this at most, 58 bytes each */
    ALIVE = 2000,
    STACK = 64 << 10,
    KEPT = 16
};

static atomic_int failures;
static _Atomic(void *) kept[KEPT]; /* blocks that outlive their thread; the next ones free them */

static void *short_life(void *argument)
{
    unsigned number = (unsigned)(uintptr_t)argument;
    if (!allocator_works(number)) atomic_fetch_add(&failures, 1);
    give(atomic_exchange(&kept[number % KEPT], take(number * 61 % 9000)));
    return NULL;
}

static void one_after_another(int from, int to)
{
    for (int i = from; i < to; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, short_life, (void *)(uintptr_t)i) != 0) bail_out("pthread_create, thread %d", i);
        pthread_join(thread, NULL);
    }
}

/* Without the free memory that waits for its date, which is a matter of timing. */
static size_t settled_bytes(void)
{
    hak_purge();
    return resident_bytes();
}

static void births_leave_memory_flat(void)
{
    one_after_another(0, WARM);
    size_t early = settled_bytes();
    struct hak_stats first, last;
    hak_stats(&first);
    one_after_another(WARM, TOTAL);
    size_t late = settled_bytes();
    hak_stats(&last);
    diag("RSS after %d threads %zu KiB, after %d %zu KiB", WARM, early >> 10, TOTAL, late >> 10);
    if (SANITIZED || is_emulated()) diag("RSS is not judged: an emulator or a sanitizer keeps something of every thread");
    else expect(late <= early + MARGIN, "RSS grew by %zu, margin %d", late - early, MARGIN);
    expect(last.mapped <= first.mapped + (4 << 20), "mapped %zu became %zu", first.mapped, last.mapped);
    expect(last.records <= first.records + MARGIN, "records %zu became %zu", first.records, last.records);
    expect(last.threads == 1, "%zu heaps attached", last.threads);
    expect(atomic_load(&failures) == 0, "%d threads failed", atomic_load(&failures));
    claim("ten_thousand_births_leave_memory_flat");
}

static pthread_barrier_t gate;
static unsigned char *block_of[ALIVE];

static unsigned char mark_of(size_t number) { return (unsigned char)(number * 7 + 1); }

static void *long_life(void *argument)
{
    size_t number = (size_t)(uintptr_t)argument, size = 64 + number % 500;
    block_of[number] = take(size);
    if (block_of[number]) memset(block_of[number], mark_of(number), size);
    pthread_barrier_wait(&gate);
    pthread_barrier_wait(&gate);
    size_t other = (number + 1) % ALIVE, other_size = 64 + other % 500;
    unsigned char *block = block_of[other];
    if (!block || block[0] != mark_of(other) || block[other_size - 1] != mark_of(other)) atomic_fetch_add(&failures, 1);
    give(block);
    return NULL;
}

static void many_live_at_once(void)
{
    static pthread_t thread[ALIVE];
    pthread_attr_t attributes;
    struct hak_stats before, during, after;
    atomic_store(&failures, 0);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    pthread_barrier_init(&gate, NULL, ALIVE + 1);
    hak_stats(&before);
    for (size_t i = 0; i < ALIVE; i++)
        if (pthread_create(&thread[i], &attributes, long_life, (void *)i) != 0) bail_out("pthread_create, thread %zu", i);
    pthread_barrier_wait(&gate);
    hak_stats(&during);
    expect(during.threads == ALIVE + 1, "%zu heaps attached", during.threads);
    expect(hak_check(), "the heap is corrupt with %d threads alive", ALIVE);
    pthread_barrier_wait(&gate);
    for (size_t i = 0; i < ALIVE; i++) pthread_join(thread[i], NULL);
    hak_stats(&after);
    expect(after.threads == 1, "%zu heaps attached", after.threads);
    expect(atomic_load(&failures) == 0, "%d threads failed", atomic_load(&failures));
    claim("two_thousand_threads_allocate_at_once_and_free_each_other's_blocks");
}

int main(void)
{
    alarm(2 * HANG_SECONDS);
    if (!runs_on_hakmem()) return done_testing();
    births_leave_memory_flat();
    many_live_at_once();
    for (int i = 0; i < KEPT; i++) give(atomic_exchange(&kept[i], NULL));
    ok(hak_check(), "the_heap_is_sound_at_the_end");
    return done_testing();
}
