/* inbox_test.c - blocks on their way home: chains, letters, closed inboxes, changed owners, exact counts. What an
 * owner does with them is in arrival_test.c. */
#include "mail.h"

enum { BLOCKS = 60000 };

static void *held[BLOCKS];
static unsigned seed = 17;

static void take_many(struct heap *heap, unsigned class, unsigned count)
{
    for (unsigned i = 0; i < count; i++) held[i] = take(heap, class);
}

/* ---- sealed chains ---- */

/* `count` carved blocks of the slab in any order, linked. */
static struct chain any_chain(const struct slab *s, void **block, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        unsigned k;
        do {
            block[i] = slab_block(s, (unsigned)rand_r(&seed) % s->capacity);
            for (k = 0; k < i && block[k] != block[i]; k++) continue;
        } while (k < i);
        if (i > 0) link_set(block[i - 1], block[i]);
    }
    return (struct chain){.first = block[0], .last = block[count - 1], .count = count};
}

static void require_same_chain(const struct opened *o, void **block, unsigned count, unsigned class)
{
    const struct chain *got = &o->chain;
    require(o->class == class, "class %u count %u: class %u", class, count, o->class);
    require(got->count == count, "class %u count %u: %u", class, count, got->count);
    require(got->first == block[0] && got->last == block[count - 1], "class %u count %u", class, count);
    for (unsigned i = 0; i + 1 < count; i++)
        require(link_get(block[i]) == block[i + 1], "class %u count %u block %u", class, count, i);
}

static void chains_of_every_class_and_count_survive_sealing(void)
{
    void *block[CHAIN_BLOCKS_MAX];
    start();
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        struct slab *s = slab_holding(take(owner, class));
        if (s->carved < s->capacity) (void)slab_carve(s, s->capacity);
        for (unsigned count = 1; count <= chain_limit(class) && count <= s->capacity; count++) {
            struct opened o;
            struct chain chain = any_chain(s, block, count);
            chain_seal(&chain);
            require(sealed_next(chain.last) == NULL, "class %u count %u", class, count);
            void *next = (void *)(UINT64_C(0x7ffffffffff8) - 8 * count);
            sealed_set(chain.last, sealed_count(chain.last), next);
            require(chain_open(chain.last, &o) && o.next == next, "class %u count %u", class, count);
            require_same_chain(&o, block, count, class);
            require(!chain_open(chain.last, &o), "class %u count %u: opened twice", class, count);
        }
    }
}

static void a_chain_holds_at_most_its_blocks_and_bytes(void)
{
    start();
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        uint32_t stride = class_stride(class);
        take_many(owner, class, 40);
        for (unsigned i = 0; i < 40; i++) {
            outbox(held[i]);
            for (unsigned k = 0; k < OUTBOX_SLOTS; k++) {
                if (me->outbox[k].tag == 0) continue;
                uint32_t count = me->outbox[k].chain.count;
                require(stride >= 16, "blocks of 8 bytes were joined");
                require(count < CHAIN_BLOCKS_MAX && count * stride < CHAIN_BYTES_MAX, "class %u", class);
            }
            for (unsigned k = 0; k < LETTERS; k++) {
                require(me->letter[k].blocks < LETTER_BLOCKS_MAX && me->letter[k].bytes < LETTER_BYTES_MAX);
                require(me->letter[k].owner || !me->letter[k].first);
            }
        }
        outbox_post_all(me);
        drain(owner);
    }
    require_home();
}

/* ---- the way home ---- */

static void blocks_of_every_class_come_home(void)
{
    start();
    for (unsigned class = 0; class < CLASS_COUNT; class++)
        for (unsigned count = 1; count <= 70; count += class % 3 + 1) {
            take_many(owner, class, count);
            for (unsigned i = 0; i < count; i++) outbox(held[i]);
            require_held(class, 0);
            outbox_post_all(me);
            require(mail_of(me, class) == 0);
            bool is_much = count * class_stride(class) > INBOX_KIB_MAX * 512; /* some is home already */
            require(is_much || inbox_of(owner, class) == count, "class %u count %u", class, count);
            drain(owner);
            require(used_of(owner, class) == 0, "class %u count %u: %lu out", class, count, used_of(owner, class));
            const char *broken = heap_verify_slabs(owner);
            require(!broken, "%s", broken);
        }
    require_home();
}

static void a_letter_costs_one_shared_write_for_64_blocks(void)
{
    start();
    unsigned sizes[] = {8, 16, 64, 128}, writes;
    for (unsigned k = 0; k < array_length(sizes); k++) {
        take_many(owner, class_of(sizes[k]), 640);
        writes = 0;
        for (unsigned i = 0; i < 640; i++) {
            uint64_t before = owner->inbox;
            outbox(held[i]);
            writes += owner->inbox != before;
        }
        require(writes == 10, "size %u: %u", sizes[k], writes);
        drain(owner);
    }
    require_home();
}

static void remote_frees_are_counted_at_once(void)
{
    start();
    take_many(owner, class_of(48), 20);
    for (unsigned i = 0; i < 20; i++) {
        outbox(held[i]);
        require(me->class[class_of(48)].remote_frees == i + 1);
        require_sound();
    }
}

/* At each station of a block's way the statistics count it once: as cached, until it is home. */
static void cached_is_right_at_every_station(void)
{
    start();
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        void *p = take(owner, class), *q = take(owner, class);
        require_held(class, 2);
        outbox(p);
        require_held(class, 1); /* in the outbox, or in a letter */
        for (unsigned i = 0; i < OUTBOX_SLOTS; i++)
            if (me->outbox[i].tag != 0) slot_send(me, &me->outbox[i]);
        require_held(class, 1); /* in a letter */
        require(walk_class(class).mailed == 1, "class %u", class);
        outbox_post_all(me);
        require(inbox_of(owner, class) == 1, "class %u", class);
        require_held(class, 1);
        owner->class[class].capacity = 8;
        drain_as(owner);
        require(bin_of_heap(owner, class) == 1, "class %u", class);
        require_held(class, 1); /* in the bin */
        heap_flush_bins(owner);
        require(walk_class(class).used == 1, "class %u", class);
        require_held(class, 1); /* home */
        outbox(q);
        require_held(class, 0);
        require_sound();
    }
}

/* Many owners and classes: slots and letters are displaced all the time, and nobody gets another's blocks. */
static void mail_is_counted_exactly_at_every_step(void)
{
    enum { OWNERS = 2 * LETTERS + 5, MANY = 5000 };
    struct heap *other[OWNERS];
    uint64_t out[CLASS_COUNT] = {0};
    start();
    for (unsigned i = 0; i < OWNERS; i++) other[i] = make_heap();
    for (unsigned i = 0; i < MANY; i++) {
        unsigned class = i % 7 ? i % 5 : i % CLASS_COUNT;
        held[i] = take(other[(unsigned)rand_r(&seed) % OWNERS], class);
        out[class]++;
    }
    for (unsigned i = 0; i < MANY; i++) {
        unsigned k = i + (unsigned)rand_r(&seed) % (MANY - i);
        void *p = held[k];
        held[k] = held[i];
        unsigned class = slab_holding(p)->class;
        outbox(p);
        out[class]--;
        if (i % 100 == 0) drain(other[i / 100 % OWNERS]);
        if (i % 250 == 0)
            for (unsigned c = 0; c < CLASS_COUNT; c++) require_held(c, out[c]);
    }
    outbox_post_all(me);
    for (unsigned o = 0; o < OWNERS; o++) drain(other[o]);
    require_home();
}

static void owners_that_share_a_place_do_not_share_chains(void)
{
    struct heap *other = NULL;
    start();
    while (!other || other->front.id - owner->front.id < OUTBOX_SLOTS) other = make_heap();
    for (unsigned i = 0; i < 10; i++) {
        outbox(take(owner, 5));
        outbox(take(other, 5));
        require(mail_of(me, 5) + mail_of(owner, 5) + mail_of(other, 5) == 2 * i + 2);
    }
    outbox_post_all(me);
    require(inbox_of(owner, 5) == 10 && inbox_of(other, 5) == 10);
    drain(owner);
    drain(other);
    require_home();
}

/* ---- owners that are gone ---- */

/* A chain of `owner`'s blocks that has left an outbox. */
static struct chain sealed(unsigned class, unsigned count)
{
    take_many(owner, class, count);
    me->class[class].remote_frees += count;
    for (unsigned i = 0; i + 1 < count; i++) link_set(held[i], held[i + 1]);
    struct chain chain = {.first = held[0], .last = held[count - 1], .count = count};
    chain_seal(&chain);
    return chain;
}

static void a_push_into_a_closed_inbox_changes_nothing(void)
{
    start();
    struct chain chain = sealed(class_of(32), 5);
    inbox_close(owner);
    require(owner->inbox == INBOX_CLOSED);
    require(!push(owner, chain.last, chain.last, 160));
    require(owner->inbox == INBOX_CLOSED && sealed_next(chain.last) == NULL);
    require(sealed_count(chain.last) == 5 && sealed_first(chain.last) == chain.first);
    inbox_open(owner);
    require(push(owner, chain.last, chain.last, 160));
    drain(owner);
    require_home();
}

static void a_letter_for_a_closed_inbox_is_forwarded_whole(void)
{
    start();
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        take_many(owner, class, 3);
        for (unsigned i = 0; i < 2; i++) outbox(held[i]);
        for (unsigned i = 0; i < OUTBOX_SLOTS; i++)
            if (me->outbox[i].tag) slot_send(me, &me->outbox[i]); /* the letter says: owner */
        heap_orphan_slabs(owner);
        inbox_close(owner);
        outbox_post_all(me);
        require(used_of(heap_common, class) == 1 && walk_class(class).mailed == 0, "class %u", class);
        inbox_open(owner);
        outbox(held[2]); /* the letter says: common */
        outbox_post_all(me);
        require(walk_class(class).used == 0, "class %u", class);
    }
    require_home();
}

static void mail_that_arrived_before_follows_the_orphans(void)
{
    start();
    take_many(owner, class_of(80), 10);
    for (unsigned i = 0; i < 10; i++) outbox(held[i]);
    outbox_post_all(me);
    heap_orphan_slabs(owner);
    require(inbox_of(owner, class_of(80)) == 10 && used_of(heap_common, class_of(80)) == 10);
    drain(owner);
    require(!inbox_has_mail(owner) && heap_common->class[class_of(80)].arrived == 10);
    require_home();
}

/* Blocks of all classes, whose slabs are partly the common heap's and partly `third`'s by now. */
static struct heap *scatter(void)
{
    struct heap *third = make_heap();
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        take_many(owner, class, 20);
        for (unsigned i = 0; i < 19; i++) outbox(held[i]);
        if (class % 2) continue;
        heap_orphan_slabs(owner);
        (void)take(third, class); /* adopts, where there is room */
    }
    outbox_post_all(me);
    heap_orphan_slabs(owner);
    return third;
}

static void closing_forwards_everything(void)
{
    start();
    struct heap *third = scatter();
    unsigned forwarded = 0;
    inbox_close(owner);
    require(owner->inbox == INBOX_CLOSED);
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        require(mail_of(owner, class) == 0, "class %u", class);
        require(inbox_of(third, class) == 0 || inbox_of(third, class) <= 19, "class %u", class);
        require_held(class, class % 2 ? 1 : 2);
        forwarded += inbox_of(third, class) > 0;
    }
    require(forwarded > CLASS_COUNT / 4, "%u classes", forwarded);
    drain(third);
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        require(walk_class(class).mailed == 0, "class %u", class);
        require_held(class, class % 2 ? 1 : 2);
    }
    require_sound();
}

static void a_drain_forwards_what_is_not_its_own(void)
{
    start();
    struct heap *third = scatter();
    drain(owner);
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        require(inbox_of(owner, class) == 0 && owner->class[class].arrived <= 19, "class %u", class);
        require_held(class, class % 2 ? 1 : 2);
    }
    drain(third);
    for (unsigned class = 0; class < CLASS_COUNT; class++) require_held(class, class % 2 ? 1 : 2);
    require_sound();
}

/* ---- owners that do not look ---- */

static uint64_t bytes_waiting(struct heap *heap, unsigned class)
{
    return inbox_of(heap, class) * class_stride(class);
}

static void an_idle_owner_is_drained_past_the_bound(void)
{
    unsigned sizes[] = {8, 100, 1000, 65536};
    start();
    for (unsigned k = 0; k < array_length(sizes); k++) {
        unsigned class = class_of(sizes[k]), count = sizes[k] > 60000 ? 200 : BLOCKS;
        uint64_t most = 0;
        take_many(owner, class, count);
        for (unsigned i = 0; i < count; i++) {
            outbox(held[i]);
            require(kib_waiting(owner) <= INBOX_KIB_MAX, "%lu after %u", kib_waiting(owner), i);
            if (i % (count / 500 + 1) && i + 1 < count) continue;
            require(bytes_waiting(owner, class) <= INBOX_KIB_MAX * 1024, "%lu bytes", bytes_waiting(owner, class));
            if (bytes_waiting(owner, class) > most) most = bytes_waiting(owner, class);
        }
        require(used_of(owner, class) < count || sizes[k] == 8, "size %u: nothing was drained", sizes[k]);
        require(most > INBOX_KIB_MAX * 1024 / 3 || sizes[k] == 8, "size %u: %lu bytes", sizes[k], most);
        require(bin_of_heap(owner, class) == 0, "in a bin of another thread");
        require_held(class, 0);
        outbox_post_all(me);
        drain(owner);
    }
    require_home();
}

static void an_owner_inside_its_slow_side_is_not_waited_for(void)
{
    start();
    take_many(owner, class_of(64), BLOCKS);
    lock_acquire_peer(&owner->lock);
    for (unsigned i = 0; i < BLOCKS - 64; i++) outbox(held[i]);
    require(kib_waiting(owner) > INBOX_KIB_MAX);
    lock_release_peer(&owner->lock);
    for (unsigned i = BLOCKS - 64; i < BLOCKS; i++) outbox(held[i]);
    require(kib_waiting(owner) <= INBOX_KIB_MAX);
    outbox_post_all(me);
    drain(owner);
    require_home();
}

static void the_count_of_what_waits_does_not_wrap(void)
{
    start();
    unsigned count = 70000 / 64 * 2; /* 64 KiB and more each: 140,000 KiB */
    unsigned class = class_of(65536);
    lock_acquire_peer(&owner->lock);
    for (unsigned i = 0; i < count; i++) {
        outbox(take(owner, class));
        uint64_t least = i * 64 < 0xffff ? i * 64 : 0xffff;
        require(kib_waiting(owner) >= least, "%lu KiB after %u blocks", kib_waiting(owner), i);
    }
    require(inbox_of(owner, class) == count);
    lock_release_peer(&owner->lock);
    drain(owner);
    require_home();
}

/* ---- without a heap ---- */

static void blocks_freed_without_a_heap_come_home(void)
{
    start();
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        void *p = take(owner, class), *q = heap_common_malloc(class), *late = take(owner, class);
        heap_self = &heap_exited;
        do_free(p);
        do_free(q);
        require(!inbox_has_mail(owner) && used_of(heap_common, class) == 0, "class %u", class);
        lock_acquire_peer(&owner->lock); /* its owner is at work */
        do_free(late);
        lock_release_peer(&owner->lock);
        be(me);
        require(mail_of(owner, class) == 1, "class %u", class);
        require_held(class, 0);
        drain(owner);
    }
    require_home();
}

static void blocks_freed_without_a_heap_do_not_pile_up(void)
{
    start();
    take_many(owner, class_of(64), 4 * INBOX_KIB_MAX);
    heap_self = &heap_exited;
    for (unsigned i = 0; i < 4 * INBOX_KIB_MAX; i++) {
        do_free(held[i]);
        require(kib_waiting(owner) <= INBOX_KIB_MAX, "%lu KiB wait", kib_waiting(owner));
    }
    be(me);
    drain(owner);
    require_home();
}

/* ---- threads ---- */

enum { THREADS = 4, EACH = 4000 };

static void *free_a_quarter(void *argument)
{
    unsigned from = (unsigned)(uintptr_t)argument * EACH;
    for (unsigned i = from; i < from + EACH; i++) do_free(held[i]);
    return NULL;
}

static void threads_that_free_at_once_lose_nothing(void)
{
    pthread_t thread[THREADS];
    start();
    for (unsigned i = 0; i < THREADS * EACH; i++) held[i] = do_malloc(i % 300);
    for (uintptr_t i = 0; i < THREADS; i++) require(pthread_create(&thread[i], NULL, free_a_quarter, (void *)i) == 0);
    for (unsigned i = 0; i < 50000; i++) do_free(do_malloc(i % 300)); /* drains at the same time */
    for (unsigned i = 0; i < THREADS; i++) require(pthread_join(thread[i], NULL) == 0);
    drain(me);
    require_home();
    heap_flush_bins(me);
    for (unsigned c = 0; c < CLASS_COUNT; c++) require(used_of(me, c) == 0, "class %u", c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(chains_of_every_class_and_count_survive_sealing),
        TEST(a_chain_holds_at_most_its_blocks_and_bytes),
        TEST(blocks_of_every_class_come_home),
        TEST(a_letter_costs_one_shared_write_for_64_blocks),
        TEST(remote_frees_are_counted_at_once),
        TEST(cached_is_right_at_every_station),
        TEST(mail_is_counted_exactly_at_every_step),
        TEST(owners_that_share_a_place_do_not_share_chains),
        TEST(a_push_into_a_closed_inbox_changes_nothing),
        TEST(a_letter_for_a_closed_inbox_is_forwarded_whole),
        TEST(mail_that_arrived_before_follows_the_orphans),
        TEST(closing_forwards_everything),
        TEST(a_drain_forwards_what_is_not_its_own),
        TEST(an_idle_owner_is_drained_past_the_bound),
        TEST(an_owner_inside_its_slow_side_is_not_waited_for),
        TEST(the_count_of_what_waits_does_not_wrap),
        TEST(blocks_freed_without_a_heap_come_home),
        TEST(blocks_freed_without_a_heap_do_not_pile_up),
        TEST(threads_that_free_at_once_lose_nothing),
    };
    return run_unit_tests(tests);
}
