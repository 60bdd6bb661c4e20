/* keys_test.c - allocator calls inside pthread key destructors, in all four rounds, and with every key
 * of the process taken.
 *
 * With the argument "burn": takes all keys in .preinit_array, before a static program's first allocator
 * call, then works with threads.
 */
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>

#include "bootstrap/common.h"
#include "own_thread.h"

enum { ROUNDS = PTHREAD_DESTRUCTOR_ITERATIONS, KEYS = 4, THREADS = 100, FOREIGN = 64 };

static pthread_key_t keys[KEYS];
static atomic_int destructor_runs, bad_blocks;
static _Atomic(void *) others[FOREIGN]; /* blocks of other threads, for whoever comes to free them */

/* What a key holds: the block of the last round and the number of rounds so far. */
struct parcel {
    pthread_key_t key;
    int round;
    size_t size;
    unsigned char *block;
};

static void check_and_give(struct parcel *parcel)
{
    for (size_t i = 0; i < parcel->size; i++)
        if (parcel->block[i] != (unsigned char)parcel->round) {
            atomic_fetch_add(&bad_blocks, 1);
            break;
        }
    give(parcel->block);
}

/* Frees a block that another thread left, and leaves one of its own. */
static void swap_with_others(unsigned slot)
{
    give(atomic_exchange(&others[slot % FOREIGN], take(slot * 37 % 4000)));
}

/* Frees what the round before allocated, allocates anew, and asks for another round. */
static void destroy(void *value)
{
    struct parcel *parcel = value;
    unsigned run = (unsigned)atomic_fetch_add(&destructor_runs, 1);
    check_and_give(parcel);
    swap_with_others(run);
    if (!allocator_works(run)) atomic_fetch_add(&bad_blocks, 1);
    if (++parcel->round == ROUNDS) {
        give(parcel);
        return;
    }
    parcel->size = (size_t)parcel->round * 700 + run % 600;
    parcel->block = take(parcel->size);
    memset(parcel->block, parcel->round, parcel->size);
    pthread_setspecific(parcel->key, parcel);
}

static void *leave_parcels(void *unused)
{
    for (int i = 0; i < KEYS; i++) {
        struct parcel *parcel = take(sizeof *parcel);
        *parcel = (struct parcel){.key = keys[i], .size = 100, .block = take_zeroed(1, 100)};
        pthread_setspecific(keys[i], parcel);
    }
    return unused;
}

/* Only the destructors allocate: the thread meets the allocator for the first time while it ends. */
static void *leave_parcels_of_another(void *parcels)
{
    struct parcel **parcel = parcels;
    for (int i = 0; i < KEYS; i++) pthread_setspecific(keys[i], parcel[i]);
    return NULL;
}

static void create_keys(int from, int to)
{
    for (int i = from; i < to; i++)
        if (pthread_key_create(&keys[i], destroy) != 0) bail_out("no key");
}

static void run_threads(int count, bool from_main)
{
    for (int t = 0; t < count; t++) {
        pthread_t thread;
        struct parcel *parcel[KEYS];
        for (int i = 0; i < KEYS && from_main; i++) {
            parcel[i] = take(sizeof *parcel[i]);
            *parcel[i] = (struct parcel){.key = keys[i], .size = 100, .block = take_zeroed(1, 100)};
        }
        int status = from_main ? pthread_create(&thread, NULL, leave_parcels_of_another, parcel)
                               : pthread_create(&thread, NULL, leave_parcels, NULL);
        if (status != 0) bail_out("pthread_create: %d", status);
        pthread_join(thread, NULL);
    }
}

static void empty_others(void)
{
    for (int i = 0; i < FOREIGN; i++) give(atomic_exchange(&others[i], NULL));
}

static void destructors_may_allocate(bool from_main, const char *name)
{
    struct hak_stats before, after;
    run_threads(1, from_main); /* libc and the key table allocate what they keep */
    empty_others();
    hak_stats(&before);
    atomic_store(&destructor_runs, 0);
    atomic_store(&bad_blocks, 0);
    run_threads(THREADS, from_main);
    empty_others();
    hak_stats(&after);
    int wanted = THREADS * KEYS * ROUNDS;
    expect(atomic_load(&destructor_runs) == wanted, "%d of %d runs", atomic_load(&destructor_runs), wanted);
    expect(atomic_load(&bad_blocks) == 0, "%d bad blocks", atomic_load(&bad_blocks));
    expect(after.live == before.live, "live %zu became %zu", before.live, after.live);
    expect(after.mallocs - before.mallocs == after.frees - before.frees, "%zu mallocs, %zu frees",
           after.mallocs - before.mallocs, after.frees - before.frees);
    expect(after.threads == 1, "%zu heaps attached", after.threads);
    expect(hak_check(), "the heap is corrupt");
    claim("%s", name);
}

/* ---- the first call of a thread in one of the last rounds ---- */

static pthread_key_t first_call_key;
static uintptr_t first_call_round;

static void call_in_one_round(void *value)
{
    uintptr_t round = (uintptr_t)value;
    if (round == first_call_round && !allocator_works(7)) atomic_fetch_add(&bad_blocks, 1);
    if (round < ROUNDS) pthread_setspecific(first_call_key, (void *)(round + 1));
}

static void *end_with_a_call(void *unused)
{
    pthread_setspecific(first_call_key, (void *)(uintptr_t)1);
    return unused;
}

/* A thread may be joined shortly before it is gone. */
static struct hak_stats stats_when_purged(void)
{
    struct hak_stats stats;
    for (int tries = 0; tries < 1000; tries++) {
        hak_purge();
        hak_stats(&stats);
        if (stats.threads == 1) break;
        usleep(1000);
    }
    return stats;
}

/* What such threads leave behind is found by a purge, and the next ones use it. */
static void late_first_calls_lose_no_heap(pthread_key_t key, uintptr_t round, const char *name)
{
    struct hak_stats stats;
    size_t records = 0;
    first_call_key = key;
    first_call_round = round;
    atomic_store(&bad_blocks, 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, end_with_a_call, NULL) != 0) bail_out("pthread_create");
        pthread_join(thread, NULL);
        stats = stats_when_purged();
        if (i == 10) records = stats.records;
    }
    expect(atomic_load(&bad_blocks) == 0, "%d bad blocks", atomic_load(&bad_blocks));
    expect(stats.threads == 1, "%zu heaps attached", stats.threads);
    expect(stats.records == records, "records grew from %zu to %zu bytes", records, stats.records);
    expect(hak_check(), "the heap is corrupt");
    claim("%s", name);
}

static int burn_all_keys(void)
{
    int taken = 0;
    pthread_key_t key;
    while (pthread_key_create(&key, NULL) == 0) taken++;
    return taken;
}

static int burnt; /* keys taken before main */

static void before_constructors(int argc, char **argv, char **environment)
{
    (void)environment;
    if (argc == 2 && strcmp(argv[1], "burn") == 0) burnt = burn_all_keys();
}
__attribute__((section(".preinit_array"), used)) static void (*const preinit)(int, char **, char **) = before_constructors;

static void *work(void *argument)
{
    bool *good = argument;
    *good = allocator_works((unsigned)(uintptr_t)argument);
    swap_with_others((unsigned)((uintptr_t)argument >> 4));
    return NULL;
}

static bool threads_work(int rounds)
{
    enum { AT_ONCE = 8 };
    bool good[AT_ONCE], all = true;
    for (int r = 0; r < rounds; r++) {
        pthread_t thread[AT_ONCE];
        for (int i = 0; i < AT_ONCE; i++)
            if (pthread_create(&thread[i], NULL, work, &good[i]) != 0) return false;
        for (int i = 0; i < AT_ONCE; i++) pthread_join(thread[i], NULL), all = all && good[i];
    }
    empty_others();
    return all;
}

/* ---- blocks cached by calls that come after hakmem's own exit handler ---- */

static pthread_key_t late_key;

/* Asks for all rounds; the call in the last one may come when the thread's heap is gone. */
static void call_in_the_last_round(void *value)
{
    uintptr_t round = (uintptr_t)value;
    if (round < ROUNDS) pthread_setspecific(late_key, (void *)(round + 1));
    else give(take(100));
}

static void *allocate_and_end(void *unused)
{
    pthread_setspecific(late_key, (void *)(uintptr_t)1);
    (void)unused;
    return take(100);
}

static void end_a_thread(void)
{
    pthread_t thread;
    void *block;
    if (pthread_create(&thread, NULL, allocate_and_end, NULL) != 0) bail_out("pthread_create");
    pthread_join(thread, &block);
    give(block);
}

/* Others take over the slab of such blocks, and then all caches are flushed: nothing is corrupt. */
static int late_child(void)
{
    enum { MANY = 5000 };
    static void *block[MANY];
    give(take(10)); /* hakmem's key comes first */
    if (pthread_key_create(&late_key, call_in_the_last_round) != 0) return 2;
    for (int round = 0; round < 10; round++) {
        end_a_thread();
        for (int i = 0; i < MANY; i++) block[i] = take(100);
        if (!hak_check()) return 3;
        hak_purge();
        end_a_thread();
        for (int i = 0; i < MANY; i++) give(block[i]);
        if (!hak_check()) return 4;
    }
    return 0;
}

/* ---- no keys left ---- */

static int burnt_child(void)
{
    if (burnt < PTHREAD_KEYS_MAX / 2) return 2;
    if (!allocator_works(1) || !threads_work(100)) return 3;
    return hak_check() ? 0 : 4;
}

int main(int argc, char **argv)
{
    alarm(HANG_SECONDS);
    if (argc == 2 && strcmp(argv[1], "burn") == 0) return burnt_child();
    if (argc == 2 && strcmp(argv[1], "late") == 0) return late_child();
    pthread_key_t early, late;
    create_keys(0, KEYS / 2); /* their destructors run before hakmem's, unless libc's start has allocated */
    if (pthread_key_create(&early, call_in_one_round) != 0) bail_out("no key");
    if (!runs_on_hakmem()) return done_testing();
    create_keys(KEYS / 2, KEYS); /* and these after it */
    if (pthread_key_create(&late, call_in_one_round) != 0) bail_out("no key");
    destructors_may_allocate(false, "key_destructors_may_allocate_and_free_in_all_four_rounds");
    destructors_may_allocate(true, "the_first_call_of_a_thread_may_come_from_a_key_destructor");
    if (no_own_thread_here()) skip("a filter may kill for asking whether a thread is there", "late_first_calls");
    for (uintptr_t round = 1; round <= ROUNDS && !no_own_thread_here(); round++) {
        late_first_calls_lose_no_heap(early, round, "the_first_call_may_come_in_any_round_from_a_key_before_hakmems");
        late_first_calls_lose_no_heap(late, round, "the_first_call_may_come_in_any_round_from_a_key_behind_hakmems");
    }
    ok(succeeded(run_self_with("late", NULL), "late"), "blocks_cached_after_the_exit_handler_are_sound_when_others_adopt_their_slab");
    ok(succeeded(run_self_with("burn", NULL), "burn"), "works_when_all_keys_were_taken_before_the_first_call");
    ok(burn_all_keys() > PTHREAD_KEYS_MAX / 2 && threads_work(100), "works_when_all_keys_are_taken_later");
    destructors_may_allocate(false, "key_destructors_may_allocate_with_all_keys_taken");
    return done_testing();
}
