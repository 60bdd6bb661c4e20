/* births_test.c - a million threads one after another leave the memory flat; ten thousand live at once.
 *
 * Each thread frees what the one before has left, and leaves a block for the next. Memory is read when a tenth of the
 * threads have been there, and at the end.
 */
#include <limits.h>
#include <stdatomic.h>

#include "regress/sanitized.h"
#include "torture.h"

enum { MARGIN = 768 << 10, STACK = 32 << 10, ALIVE_MAX = 10000, CROWD_MIN = 100, BLOCKS_EACH = 8 };

static _Atomic(unsigned char *) left; /* by the last thread for the next */
static atomic_int bad;

static void *short_life(void *argument)
{
    unsigned number = (unsigned)(uintptr_t)argument;
    unsigned char *mine = marked_block(number * 61 % 9000);
    if (!mine || !give_marked(atomic_exchange(&left, mine))) atomic_fetch_add(&bad, 1);
    unsigned char *more = marked_block(number * 37 % 700);
    if (!more || !give_marked(more)) atomic_fetch_add(&bad, 1);
    return NULL;
}

static void births(int from, int to)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    for (int i = from; i < to; i++) {
        pthread_t thread;
        int failed = pthread_create(&thread, &attributes, short_life, (void *)(uintptr_t)i);
        if (failed != 0) bail_out("pthread_create %d: %d", i, failed);
        pthread_join(thread, NULL);
    }
    pthread_attr_destroy(&attributes);
}

static void memory_stays_flat(void)
{
    int total = times(50000, 1000000);
    struct hak_stats first, last;
    double begin = now_s();
    births(0, total / 10);
    hak_purge();
    size_t early = resident_bytes();
    hak_stats(&first);
    births(total / 10, total);
    hak_purge();
    size_t late = resident_bytes();
    hak_stats(&last);
    diag("%d births in %.1f s; RSS after a tenth %zu KiB, at the end %zu KiB; records %zu, then %zu", total,
         now_s() - begin, early >> 10, late >> 10, first.records, last.records);
    if (SANITIZED) diag("RSS is not judged: a sanitizer keeps something of every thread");
    else expect(late <= early + MARGIN, "RSS grew by %zu", late - early);
    expect(last.mapped <= first.mapped + ((size_t)4 << 20), "mapped %zu became %zu", first.mapped, last.mapped);
    expect(last.records == first.records, "records %zu became %zu", first.records, last.records);
    expect(last.threads == 1, "%zu heaps attached", last.threads);
    expect(atomic_load(&bad) == 0, "%d bad blocks", atomic_load(&bad));
    expect(give_marked(atomic_exchange(&left, NULL)), "the last block");
    claim("births_one_after_another_leave_memory_flat");
}

/* ---- many at once ---- */

static pthread_mutex_t door = PTHREAD_MUTEX_INITIALIZER; /* closed until all have come */
static pthread_barrier_t gate;
static unsigned char *block_of[ALIVE_MAX][BLOCKS_EACH];
static pthread_t crowd[ALIVE_MAX];
static int alive; /* written while the door is closed */

static void *long_life(void *argument)
{
    size_t number = (size_t)(uintptr_t)argument;
    pthread_mutex_lock(&door);
    pthread_mutex_unlock(&door);
    for (unsigned i = 0; i < BLOCKS_EACH; i++) block_of[number][i] = marked_block(16u << i);
    pthread_barrier_wait(&gate);
    pthread_barrier_wait(&gate);
    size_t other = (number + 1) % (size_t)alive;
    for (unsigned i = 0; i < BLOCKS_EACH; i++)
        if (!block_of[other][i] || !give_marked(block_of[other][i])) atomic_fetch_add(&bad, 1);
    return NULL;
}

/* As many as are wanted, or as the system's limit on threads lets come. */
static void gather(int wanted)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    pthread_mutex_lock(&door);
    for (alive = 0; alive < wanted; alive++) {
        int failed = pthread_create(&crowd[alive], &attributes, long_life, (void *)(uintptr_t)alive);
        if (failed == EAGAIN) break;
        if (failed != 0) bail_out("pthread_create %d: %d", alive, failed);
    }
    if (alive < wanted) diag("%d threads of %d: the system allows no more", alive, wanted);
    pthread_barrier_init(&gate, NULL, (unsigned)alive + 1);
    pthread_mutex_unlock(&door);
    pthread_attr_destroy(&attributes);
}

static void many_live_at_once(void)
{
    static const char name[] = "a_crowd_of_threads_allocates_at_once_and_frees_each_other's_blocks";
    struct hak_stats during, after;
    gather(times(2000, ALIVE_MAX));
    pthread_barrier_wait(&gate);
    hak_stats(&during);
    bool sound = hak_check();
    pthread_barrier_wait(&gate);
    for (int i = 0; i < alive; i++) pthread_join(crowd[i], NULL);
    if (alive < CROWD_MIN) {
        skip("the system allows no crowd of threads", "%s", name);
        return;
    }
    hak_stats(&after);
    expect(during.threads == (size_t)alive + 1, "%zu heaps attached", during.threads);
    expect(sound, "the heap is corrupt with %d threads alive", alive);
    expect(after.threads == 1, "%zu heaps attached", after.threads);
    expect(atomic_load(&bad) == 0, "%d bad blocks", atomic_load(&bad));
    diag("%d threads at once: mapped %zu MiB, afterwards live %zu bytes", alive, during.mapped >> 20, after.live);
    claim("%s", name);
}

/* ---- threads that only free ---- */

enum { BATCH = 500 };

static void *free_batch(void *argument)
{
    unsigned char **batch = argument;
    for (int i = 0; i < BATCH; i++)
        if (!give_marked(batch[i])) atomic_fetch_add(&bad, 1);
    return NULL;
}

/* They never allocate: their heap is made for frees of another thread's blocks. */
static void threads_may_only_free(void)
{
    static unsigned char *batch[BATCH];
    struct hak_stats before, after;
    int rounds = times(200, 10000);
    pthread_join(start_thread(free_batch, batch), NULL); /* of NULLs */
    hak_stats(&before);
    for (int r = 0; r < rounds; r++) {
        for (int i = 0; i < BATCH; i++) batch[i] = marked_block((size_t)(r * 131 + i * 7) % 3000);
        pthread_join(start_thread(free_batch, batch), NULL);
    }
    hak_stats(&after);
    expect(after.live == before.live, "live %zu became %zu", before.live, after.live);
    expect(after.mapped < before.mapped + ((size_t)64 << 20), "mapped %zu became %zu", before.mapped, after.mapped);
    expect(atomic_load(&bad) == 0, "%d bad blocks", atomic_load(&bad));
    claim("threads_may_come_only_to_free");
}

/* ---- no keys left: nobody tells of a thread's end ---- */

static int with_all_keys_taken(bool before_first_call)
{
    pthread_key_t key;
    int births_total = times(2000, 10000);
    if (!before_first_call) give(take(10));
    int taken = 0;
    while (pthread_key_create(&key, NULL) == 0) taken++;
    if (taken < PTHREAD_KEYS_MAX - 16) return 2;
    births(0, births_total / 10);
    size_t early = resident_bytes();
    births(births_total / 10, births_total);
    size_t late = resident_bytes();
    if (!SANITIZED && late > early + MARGIN) return diag("RSS %zu KiB became %zu KiB", early >> 10, late >> 10), 3;
    return atomic_load(&bad) == 0 && hak_check() ? 0 : 4;
}

int main(int argc, char **argv)
{
    start_test(argc, argv);
    if (argc > 1 && strcmp(argv[1], "keys-first") == 0) return with_all_keys_taken(true);
    if (argc > 1 && strcmp(argv[1], "keys-later") == 0) return with_all_keys_taken(false);
    if (!runs_on_hakmem()) return done_testing();
    memory_stays_flat();
    threads_may_only_free();
    many_live_at_once();
    const char *length = whole ? "--whole" : NULL;
    ok(succeeded(run_self_with("keys-first", length), "keys"), "memory_is_flat_when_keys_were_gone_before_the_first_call");
    ok(succeeded(run_self_with("keys-later", length), "keys"), "memory_is_flat_when_keys_are_gone_later");
    ok(hak_check(), "the_heap_is_sound_at_the_end");
    return done_testing();
}
