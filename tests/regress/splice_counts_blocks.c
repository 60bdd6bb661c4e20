/* splice_counts_blocks - blocks moved by a splice are counted, wherever they go.
 *
 * What went wrong once: a batch moved from a slab's free list into a thread's list did not raise the slab's
 * count of used blocks.
 *
 * Shown: used + free + cached + remote == capacity after every operation, for classes of all kinds, with
 * three heaps that allocate, free each other's blocks, post, drain, flush, leave and come; with batch refill
 * and draining switched on and off meanwhile.
 */
#include "whitebox.h"

enum { HEAPS = 3, LIVE_MAX = 700, OPERATIONS = 60000 };

static const uint32_t sizes[] = {8, 16, 48, 112, 160, 512, 1024, 4096, 8192, 12288, 65536};

struct play {
    struct heap *heap[HEAPS];
    unsigned class;
    uint32_t size;
    uint32_t live;
    uint32_t live_max; /* a few slabs' worth */
    void *block[LIVE_MAX];
    struct random random;
};

static void take_block(struct play *play)
{
    if (play->live == play->live_max) return;
    unsigned char *p = call_malloc(play->size);
    expect(p != NULL, "memory for a block of %u", play->size);
    if (!p) return;
    memset(p, 0xa5, play->size);
    play->block[play->live++] = p;
}

static void give_block(struct play *play)
{
    if (play->live == 0) return;
    uint32_t i = random_below(&play->random, play->live);
    void *p = play->block[i];
    play->block[i] = play->block[--play->live];
    call_free(p);
}

static void drain(struct heap *heap)
{
    lock_acquire(&heap->lock);
    inbox_drain(heap);
    lock_release(&heap->lock);
}

static void post(struct heap *heap)
{
    lock_acquire(&heap->lock);
    outbox_post_all(heap);
    lock_release(&heap->lock);
}

static void flush(struct heap *heap)
{
    lock_acquire(&heap->lock);
    heap_flush_bins(heap);
    lock_release(&heap->lock);
}

static void replace_heap(struct play *play, uint32_t i)
{
    heap_leave(play->heap[i]);
    play->heap[i] = heap_enter();
}

/* A thread's first call finds the heap that another has left, with all that is in its bins. */
static void park_and_return(struct play *play, uint32_t i)
{
    detach(play->heap[i]);
    heap_self = &heap_none;
    take_block(play);
    play->heap[i] = heap_self == &heap_none ? heap_enter() : heap_of(heap_self);
}

static void rare_operation(struct play *play, uint32_t i)
{
    switch (random_below(&play->random, 8)) {
    case 0: drain(play->heap[i]); break;
    case 1: post(play->heap[i]); break;
    case 2: flush(play->heap[i]); break;
    case 3: (void)hak_purge(); break;
    case 4: replace_heap(play, i); break;
    case 5: option_set(OPTION_batch_refill, random_below(&play->random, 2)); break;
    case 6: option_set(OPTION_drain, random_below(&play->random, 2)); break;
    default: park_and_return(play, i); break;
    }
}

/* Long phases, mostly of one kind, so that bins overflow and run dry. */
static void operate(struct play *play, uint32_t step)
{
    bool filling = step / 400 % 2 == 0;
    uint32_t who = random_below(&play->random, HEAPS);
    be(play->heap[who]);
    uint32_t chance = random_below(&play->random, 100);
    if (chance < 3)
        rare_operation(play, who);
    else if ((chance < 75) == filling)
        take_block(play);
    else
        give_block(play);
}

static bool books_balance(struct play *play, uint32_t step)
{
    struct census c = census_take(play->class);
    uint64_t free_blocks = c.free + c.absent + (c.capacity - c.carved);
    bool good = expect(!c.broken, "%s (step %u, size %u)", c.broken, step, play->size);
    good &= expect(play->live + free_blocks + c.binned + c.mailed == c.capacity,
                   "step %u, size %u: used %u + free %lu + cached %lu + remote %lu, capacity %lu", step, play->size,
                   play->live, free_blocks, c.binned, c.mailed, c.capacity);
    good &= expect(c.used == play->live + c.binned + c.mailed, "step %u, size %u: the slabs count %lu", step,
                   play->size, c.used);
    good &= expect(balance_of(play->class) == play->live, "step %u, size %u: allocated less freed is %lu, live %u",
                   step, play->size, balance_of(play->class), play->live);
    return good;
}

static void play_class(uint32_t size, uint64_t seed)
{
    struct play play = {.size = size, .class = class_of(size), .random = random_stream(seed, size)};
    uint32_t few_slabs = 3 * class_capacity(play.class);
    play.live_max = few_slabs < 40 ? 40 : few_slabs < LIVE_MAX ? few_slabs : LIVE_MAX;
    for (unsigned i = 0; i < HEAPS; i++) play.heap[i] = heap_enter();
    bool good = true;
    for (uint32_t step = 0; good && step < OPERATIONS; step++) {
        operate(&play, step);
        good = books_balance(&play, step);
    }
    while (good && play.live > 0) {
        be(play.heap[play.live % HEAPS]);
        give_block(&play);
    }
    for (unsigned i = 0; i < HEAPS; i++) heap_leave(play.heap[i]);
    if (good) books_balance(&play, OPERATIONS);
    claim("used_free_cached_and_remote_make_the_capacity of blocks of %u", size);
}

int main(void)
{
    uint64_t seed = random_seed();
    for (unsigned i = 0; i < array_length(sizes); i++) play_class(sizes[i], seed);
    be(heap_enter());
    ok(hak_check(), "all_invariants_hold_at_the_end");
    ok(stats_verify_counters(), "all_counters_are_the_walked_truth");
    return done_testing();
}
