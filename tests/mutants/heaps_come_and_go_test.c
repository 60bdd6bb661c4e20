/* heaps_come_and_go_test - each thread has a heap of its own, and whatever is sent to it arrives. */
#include <pthread.h>

#include "../regress/whitebox.h"

enum { THREADS = 40, SIZE = 200, BLOCKS = 30000 };

static struct heap *heap_of_thread[THREADS];
static pthread_barrier_t barrier;
static void *block[BLOCKS];

/* ---- attach I1, I2 ---- */

static void *enter(void *argument)
{
    uintptr_t i = (uintptr_t)argument;
    call_free(call_malloc(SIZE));
    heap_of_thread[i] = heap_of(heap_self);
    pthread_barrier_wait(&barrier); /* all live at once */
    return NULL;
}

static void run_generation(void)
{
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, enter, (void *)i) != 0) bail_out("no thread");
    for (unsigned i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    unsigned shared = 0;
    for (unsigned i = 0; i < THREADS; i++)
        for (unsigned j = 0; j < i; j++) shared += heap_of_thread[i] == heap_of_thread[j];
    expect(shared == 0, "%u pairs of threads share a heap", shared);
}

static void each_thread_has_its_own(void)
{
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (int i = 0; i < 5; i++) {
        run_generation();
        if (i == 2) heap_dissolve_parked();
    }
    claim("no_two_threads_share_a_heap_in_five_generations");
}

static void check_inbox(struct heap *heap, void *context)
{
    unsigned *seen = context;
    if (heap == heap_common) return;
    bool open = heap->state == HEAP_LIVE || heap->state == HEAP_PARKED;
    expect((load_relaxed(&heap->inbox) == INBOX_CLOSED) != open, "heap %u, state %u: inbox %#lx", heap->front.id,
           heap->state, heap->inbox);
    seen[heap->state]++;
}

static void inboxes_are_open_where_somebody_reads(void)
{
    unsigned seen[HEAP_GONE + 1] = {0};
    heap_each(check_inbox, seen);
    expect(seen[HEAP_LIVE] > 0 && seen[HEAP_PARKED] > 0 && seen[HEAP_FREE] > 0, "live %u, parked %u, free %u",
           seen[HEAP_LIVE], seen[HEAP_PARKED], seen[HEAP_FREE]);
    claim("inboxes_are_open_where_somebody_reads");
}

/* ---- inbox I2 ---- */

static void take_blocks(struct heap *heap, unsigned count)
{
    be(heap);
    for (unsigned i = 0; i < count; i++) block[i] = call_malloc(SIZE);
}

static void send_blocks(struct heap *heap, unsigned from, unsigned to)
{
    be(heap);
    for (unsigned i = from; i < to; i++) call_free(block[i]);
    lock_acquire(&heap->lock);
    outbox_post_all(heap);
    lock_release(&heap->lock);
}

static void nothing_is_astray(const char *when, uint64_t live)
{
    struct census c = census_take(class_of(SIZE));
    expect(!c.broken, "%s: %s", when, c.broken);
    expect(c.used == live + c.binned + c.mailed, "%s: %lu used, %lu live, %lu in bins, %lu in mail", when, c.used, live,
           c.binned, c.mailed);
}

/* What dissolve() does, with mail that arrives after the last drain. */
static void mail_in_an_inbox_that_closes(void)
{
    struct heap *owner = heap_enter(), *sender = heap_enter();
    take_blocks(owner, 100);
    send_blocks(sender, 0, 100);
    expect(inbox_has_mail(owner), "there is mail");
    lock_acquire(&owner->lock);
    heap_flush_bins(owner);
    heap_orphan_slabs(owner);
    inbox_close(owner);
    lock_release(&owner->lock);
    nothing_is_astray("closed with mail inside", 0);
    expect(census_take(class_of(SIZE)).mailed == 0, "mail is left in a closed inbox");
    lock_acquire(&owner->lock);
    inbox_open(owner);
    lock_release(&owner->lock);
    heap_leave(owner);
    heap_leave(sender);
    claim("mail_in_an_inbox_that_closes_is_forwarded");
}

static void mail_for_slabs_that_moved(void)
{
    struct heap *owner = heap_enter(), *sender = heap_enter(), *heir = heap_enter();
    take_blocks(owner, 400);
    send_blocks(sender, 0, 200);
    lock_acquire(&owner->lock); /* the slabs go, the mail stays */
    heap_orphan_slabs(owner);
    lock_release(&owner->lock);
    be(heir);
    for (unsigned i = 0; i < 200; i++) block[i] = call_malloc(SIZE); /* adopts some */
    lock_acquire(&owner->lock);
    heap_flush_bins(owner);
    lock_release(&owner->lock);
    nothing_is_astray("mail for the old owner", 400);
    lock_acquire(&owner->lock);
    inbox_drain(owner);
    lock_release(&owner->lock);
    nothing_is_astray("the old owner drains", 400);
    send_blocks(sender, 0, 400);
    heap_leave(owner);
    heap_leave(heir);
    heap_leave(sender);
    nothing_is_astray("all left", 0);
    claim("mail_follows_slabs_to_their_new_owner");
}

/* Frees every `step`-th block, from each start; what waits meanwhile, at the most, in KiB. */
static uint64_t most_that_waits(struct heap *owner, struct heap *sender, unsigned step)
{
    uint64_t most = 0;
    take_blocks(owner, BLOCKS);
    be(sender);
    for (unsigned start = 0; start < step; start++)
        for (unsigned i = start; i < BLOCKS; i += step) {
            call_free(block[i]);
            uint64_t kib = load_relaxed(&owner->inbox) >> POINTER_BITS;
            if (kib > most) most = kib;
        }
    return most;
}

static void idle_owners_do_not_hoard(void)
{
    struct heap *owner = heap_enter(), *sender = heap_enter();
    uint64_t most = most_that_waits(owner, sender, 1);
    expect(most > INBOX_KIB_MAX / 2 && most <= INBOX_KIB_MAX, "%lu KiB waited", most);
    most = most_that_waits(owner, sender, 331); /* the neighbours in a chain lie far apart */
    expect(most > INBOX_KIB_MAX / 2 && most <= INBOX_KIB_MAX, "%lu KiB waited", most);
    heap_leave(owner);
    heap_leave(sender);
    nothing_is_astray("an idle owner", 0);
    claim("what_waits_for_an_idle_owner_is_bounded");
}

/* ---- threads without a heap ---- */

/* After its exit handler a thread allocates from the common heap, and what it frees goes to its owner at once. */
static void a_thread_without_a_heap(void)
{
    struct heap *owner = heap_enter();
    unsigned class = class_of(SIZE);
    take_blocks(owner, 50);
    heap_self = &heap_exited;
    for (unsigned i = 50; i < 150; i++) block[i] = call_malloc(SIZE);
    for (unsigned i = 0; i < 100; i++) call_free(block[i]);
    expect(balance_of(class) == 50, "allocated less freed is %lu of 50", balance_of(class));
    nothing_is_astray("without a heap", 50);
    send_blocks(owner, 100, 150);
    heap_leave(owner);
    expect(balance_of(class) == 0, "allocated less freed is %lu of 0", balance_of(class));
    nothing_is_astray("all left", 0);
    claim("a_thread_without_a_heap_allocates_and_frees");
}

/* ---- the counters, under the eyes of another thread ---- */

static void a_look_at_the_worst_moment(void)
{
    struct heap *heap = heap_enter();
    unsigned class = class_of(64), n = 5000;
    struct hak_stats before, after;
    hak_stats(&before);
    for (unsigned i = 0; i < n; i++) block[i] = call_malloc(64);
    struct bin *bin = &heap->front.bin[class];
    while (bin->budget >> BIN_LEFT_BITS) call_free(block[--n]);
    bool pushed = add_carries(&bin->budget, BIN_PUSH); /* free, up to its branch */
    hak_stats(&after);
    front_free_full(block[--n], bin_offset(class)); /* the rest of it */
    hak_stats(&after);
    expect(!pushed, "the bin was full");
    size_t mallocs = after.mallocs - before.mallocs, frees = after.frees - before.frees;
    expect(mallocs == 5000 && frees == 5000 - n, "%zu mallocs, %zu frees of %u", mallocs, frees, 5000 - n);
    while (n > 0) call_free(block[--n]);
    heap_leave(heap);
    claim("counters_survive_a_look_between_a_push_that_fails_and_its_undoing");
}

int main(void)
{
    struct heap *heap = heap_enter();
    each_thread_has_its_own();
    inboxes_are_open_where_somebody_reads();
    mail_in_an_inbox_that_closes();
    mail_for_slabs_that_moved();
    idle_owners_do_not_hoard();
    a_thread_without_a_heap();
    a_look_at_the_worst_moment();
    be(heap);
    ok(hak_check(), "all_invariants_hold_at_the_end");
    ok(stats_verify_counters(), "all_counters_are_the_walked_truth");
    return done_testing();
}
