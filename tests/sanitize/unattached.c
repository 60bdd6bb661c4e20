/* unattached.c - a thread without a heap may ask for a check or figures, or fork, while another makes the first heap.
 *
 * The two tell each other by relaxed atomics only: what the library itself does not put in order is a race, which the
 * sanitizer reports in every run.
 *
 * Uses:    the library as one include, on the real system; tap.h.
 * Callers: `make check`, under ThreadSanitizer.
 */
#include "../../src/hakmem.c"

#include "../tap.h"

static bool (*volatile do_check)(void) = hak_check;
static int (*volatile do_stats)(struct hak_stats *) = hak_stats;

static int begun; /* the common heap is there, no other */

/* What a first call does, as far as the common heap: its own heap would put all in order. */
static void *begin(void *unused)
{
    lock_acquire(&registry_lock);
    bool ready = make_ready();
    lock_release(&registry_lock);
    store_relaxed(&begun, ready ? 1 : -1);
    return unused;
}

static void *check_then(void *sound)
{
    while (!load_relaxed(&begun)) sched_yield();
    struct hak_stats stats;
    bool told = do_stats(&stats) == 0 && stats.threads == 0;
    *(bool *)sound = do_check() && told;
    return NULL;
}

int main(void)
{
    pthread_t one, other;
    bool sound = false;
    if (pthread_create(&one, NULL, check_then, &sound) != 0) bail_out("pthread_create");
    if (pthread_create(&other, NULL, begin, NULL) != 0) bail_out("pthread_create");
    pthread_join(one, NULL);
    pthread_join(other, NULL);
    ok(begun == 1 && heap_common && heap_last_id() == HEAP_COMMON, "the_common_heap_is_all_there_is");
    ok(sound, "a_check_by_a_thread_without_a_heap_is_sound");
    return done_testing();
}
