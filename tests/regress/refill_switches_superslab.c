/* refill_switches_superslab - a refill that goes on in another SuperSlab charges the right one.
 *
 * What went wrong once: a pointer to the thread's slab was kept across a refill that switched slabs. The
 * blocks taken afterwards were charged to the SuperSlab before, whose count of live blocks fell below zero.
 *
 * Shown: for every SuperSlab, the used blocks of its slabs are the blocks that the test holds there and
 * those in bins and mail; looked at after every visit of the slow side, while several SuperSlabs are filled,
 * thinned out, refilled from scattered slabs, emptied by another heap, and filled again. And a slab that is
 * given back more blocks than it has out refuses.
 */
#include "whitebox.h"

enum { SUPERSLABS_MAX = 64, BLOCKS_MAX = 60000, SUPERSLABS_WANTED = 3, REMOTE_CHECK = 16 };

static const uint32_t sizes[] = {64, 128, 513, 1024, 4096, 8192, 20000, 65536};

struct count {
    const struct superslab *superslab;
    int64_t live; /* as the test knows */
    int64_t used; /* as the slabs say */
    int64_t cached;
};

static struct {
    struct heap *heap;
    struct heap *other;
    unsigned class;
    uint32_t size;
    uint32_t live;
    uint32_t checks;
    uint32_t superslabs;
    struct count count[SUPERSLABS_MAX];
    void *block[BLOCKS_MAX];
    struct random random;
} play;

static struct count *count_at(uint32_t record)
{
    const struct superslab *s = chunk_superslab_of(record);
    for (uint32_t i = 0; i < play.superslabs; i++)
        if (play.count[i].superslab == s) return &play.count[i];
    if (play.superslabs == SUPERSLABS_MAX) bail_out("more than %d SuperSlabs", SUPERSLABS_MAX);
    play.count[play.superslabs] = (struct count){.superslab = s};
    return &play.count[play.superslabs++];
}

static struct count *count_of(const void *block)
{
    return count_at(tagmap_get(block).record);
}

/* ---- what the slabs say ---- */

static void count_slabs(struct heap *heap, void *context)
{
    (void)context;
    for (unsigned place = SLAB_PARTIAL; place < SLAB_PLACES; place++) {
        struct list *head = &heap->class[play.class].slabs[place];
        for (struct list *i = list_first(head); i != head; i = i->next) {
            const struct slab *s = container_of(i, struct slab, link);
            expect(s->used <= s->carved, "a count fell below zero: used %u of %u", s->used, s->carved);
            count_at(s->number)->used += s->used;
        }
    }
    for (const void *b = heap->front.bin[play.class].head; b; b = link_get(b)) count_of(b)->cached++;
}

static void count_mail(struct heap *heap, void *context)
{
    uint64_t *blocks = context;
    *blocks += walk_mail(heap, play.class);
}

/* In mail, blocks are only counted together: the figures of all SuperSlabs then differ by as many. */
static void check_superslabs(void)
{
    uint64_t mailed = 0;
    int64_t missing = 0;
    for (uint32_t i = 0; i < play.superslabs; i++) play.count[i].used = play.count[i].cached = 0;
    heap_each(count_slabs, NULL);
    heap_each(count_mail, &mailed);
    for (uint32_t i = 0; i < play.superslabs; i++) {
        const struct count *c = &play.count[i];
        int64_t differs = c->used - c->cached - c->live;
        expect(mailed > 0 ? differs >= 0 && differs <= (int64_t)mailed : differs == 0,
               "size %u, SuperSlab %u: %ld used, %ld in bins, %ld live", play.size, i, c->used, c->cached, c->live);
        missing += differs;
    }
    expect(missing == (int64_t)mailed, "size %u: %ld blocks astray, %lu in mail", play.size, missing, mailed);
    play.checks++;
}

/* What makes malloc and free turn to the slow side. */
static bool malloc_will_visit(void)
{
    return !heap_self->bin[play.class].head;
}

static bool free_will_visit(const void *p)
{
    if (tag_owner(tagmap_get(p)) != heap_self->id) return play.live % REMOTE_CHECK == 0; /* now and then it posts */
    return heap_self->bin[play.class].budget >> BIN_LEFT_BITS == 0;
}

/* ---- moves ---- */

static void fill(uint32_t blocks)
{
    while (play.live < blocks) {
        bool visits = malloc_will_visit();
        void *p = call_malloc(play.size);
        if (!p) bail_out("no memory for a block of %u", play.size);
        play.block[play.live++] = p;
        count_of(p)->live++;
        if (visits) check_superslabs();
    }
}

static void give(uint32_t i)
{
    void *p = play.block[i];
    play.block[i] = play.block[--play.live];
    count_of(p)->live--;
    bool visits = free_will_visit(p);
    call_free(p);
    if (visits) check_superslabs();
}

static void thin_out(uint32_t blocks)
{
    while (play.live > blocks) give(random_below(&play.random, play.live));
}

static void post(struct heap *heap)
{
    lock_acquire(&heap->lock);
    outbox_post_all(heap);
    lock_release(&heap->lock);
}

/* ---- the tests ---- */

static void play_size(uint32_t size, uint64_t seed)
{
    play.size = size;
    play.class = class_of(size);
    play.random = random_stream(seed, size);
    play.superslabs = play.checks = play.live = 0;
    uint32_t slabs = SUPERSLABS_WANTED * SUPERSLAB_UNITS / class_units(play.class);
    uint32_t blocks = slabs * class_capacity(play.class);
    if (blocks > BLOCKS_MAX) blocks = BLOCKS_MAX;
    be(play.heap);
    fill(blocks);
    uint32_t spread = play.superslabs;
    thin_out(blocks / 2);
    fill(blocks);
    be(play.other);
    thin_out(blocks / 3);
    post(play.other);
    be(play.heap);
    fill(blocks);
    thin_out(blocks / 10);
    be(play.other);
    fill(blocks / 2);
    thin_out(0);
    post(play.other);
    (void)hak_purge();
    be(play.heap);
    (void)hak_purge();
    check_superslabs();
    expect(spread > 1, "blocks of %u came from %u SuperSlabs", size, spread);
    expect(play.checks > 20, "only %u checks for blocks of %u", play.checks, size);
    claim("every_superslab_has_the_live_blocks_that_it_counts with blocks of %u", size);
}

static void refuses_more_than_is_out(void)
{
    be(play.heap);
    void *other = call_malloc(48);
    void *p = call_malloc(48);
    struct slab *s = slab_at(tagmap_get(p).record);
    call_free(p);
    heap_flush_bins(play.heap);
    struct slab before = *s;
    ok(!slab_give(s, slab_index(s, p)) && memcmp(&before, s, sizeof before) == 0, "a_decrement_below_zero_is_refused");
    call_free(other);
}

int main(void)
{
    uint64_t seed = random_seed();
    play.heap = heap_enter();
    play.other = heap_enter();
    refuses_more_than_is_out();
    for (unsigned i = 0; i < array_length(sizes); i++) play_size(sizes[i], seed);
    ok(hak_check(), "all_invariants_hold_at_the_end");
    return done_testing();
}
