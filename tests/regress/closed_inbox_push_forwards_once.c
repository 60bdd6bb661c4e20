/* closed_inbox_push_forwards_once - a push that meets a closed inbox leaves its list as it was.
 *
 * What went wrong once: push() had linked its chain to what was in the inbox. Before it could store, the
 * owner left: inbox forwarded, and closed. The second try saw that and gave up, but the list still went on into
 * the chains of the inbox, which were then delivered a second time.
 *
 * Shown: exactly that meeting, made by closing the inbox between push()'s link and its store; and a meeting
 * in which more mail arrives there. Afterwards each block is free once.
 */
#include <pthread.h>

#include "../../src/base/atomics.h"

/* What another thread does while this one is about to store. */
static void *(*meanwhile)(void *);

static inline void meet(void)
{
    pthread_t other;
    void *(*call)(void *) = meanwhile;
    meanwhile = NULL;
    if (call && pthread_create(&other, NULL, call, NULL) == 0) pthread_join(other, NULL);
}

#undef swap_if_release
#define swap_if_release(p, expected, v) \
    (meet(), __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED))

#include "whitebox.h"

enum { SIZE = 512, BLOCKS = 12 };

static struct heap *owner, *first_sender, *second_sender;
static void *block[BLOCKS];

static void *owner_leaves(void *unused)
{
    heap_leave(owner);
    return unused;
}

static void free_as(struct heap *heap, unsigned from, unsigned to)
{
    be(heap);
    for (unsigned i = from; i < to; i++) call_free(block[i]);
    lock_acquire(&heap->lock);
    outbox_post_all(heap);
    lock_release(&heap->lock);
}

static void *first_sender_posts(void *unused)
{
    free_as(first_sender, 4, 8);
    return unused;
}

static void set_up(void)
{
    owner = heap_enter();
    first_sender = heap_enter();
    second_sender = heap_enter();
    be(owner);
    for (unsigned i = 0; i < BLOCKS; i++) block[i] = call_malloc(SIZE);
}

static bool is_home(const void *p)
{
    const struct slab *s = slab_at(tagmap_get(p).record);
    return slab_is_free(s, slab_index(s, p));
}

static void each_block_is_free_once(const char *meeting, unsigned freed)
{
    unsigned class = class_of(SIZE);
    for (unsigned i = 0; i < freed; i++)
        expect(is_home(block[i]), "%s: block %u is not free", meeting, i);
    struct census c = census_take(class);
    expect(!c.broken, "%s: %s", meeting, c.broken);
    expect(c.used == BLOCKS - freed + c.binned + c.mailed, "%s: %lu used, %lu in bins, %lu in mail", meeting, c.used,
           c.binned, c.mailed);
    expect(balance_of(class) == BLOCKS - freed, "%s: balance %lu", meeting, balance_of(class));
}

static void clean_up(unsigned from)
{
    be(second_sender);
    for (unsigned i = from; i < BLOCKS; i++) call_free(block[i]);
    heap_leave(first_sender);
    heap_leave(second_sender);
}

static void inbox_closes_under_a_push(void)
{
    set_up();
    free_as(first_sender, 0, 4);
    expect(inbox_has_mail(owner), "the first mail waits");
    meanwhile = owner_leaves;
    free_as(second_sender, 4, 8);
    expect(!meanwhile, "the owner left during the push");
    each_block_is_free_once("the inbox closes", 8);
    clean_up(8);
    claim("a_chain_that_waited_in_a_closed_inbox_is_delivered_once");
}

static void mail_arrives_under_a_push(void)
{
    set_up();
    free_as(first_sender, 0, 4);
    meanwhile = first_sender_posts;
    free_as(second_sender, 8, 10);
    expect(!meanwhile, "the other mail came during the push");
    struct census c = census_take(class_of(SIZE));
    expect(c.mailed == 10, "%lu blocks in mail", c.mailed);
    (void)owner_leaves(NULL);
    each_block_is_free_once("other mail arrives", 10);
    clean_up(10);
    claim("a_push_that_meets_another_push_loses_nothing");
}

int main(void)
{
    inbox_closes_under_a_push();
    mail_arrives_under_a_push();
    be(heap_enter());
    ok(hak_check(), "all_invariants_hold_at_the_end");
    return done_testing();
}
