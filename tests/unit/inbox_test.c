/* inbox_test.c - blocks on their way home: chains, letters, closed inboxes, changed owners, exact counts. */
#include "unit.h"

enum { BLOCKS = 20000 };

static void *held[BLOCKS];
static struct heap *me, *owner;

static struct heap *make_heap(void)
{
    struct heap *heap = new_heap();
    require(heap != NULL);
    heap->state = HEAP_LIVE;
    inbox_open(heap);
    return heap;
}

static void start(void)
{
    do_free(do_malloc(1));
    me = my_heap();
    heap_flush_bins(me);
    owner = make_heap();
}

/* A block that the program holds, of a slab of that heap. */
static void *take(struct heap *heap, unsigned class)
{
    struct chain chain = heap_take(heap, class, 1);
    require(chain.count == 1);
    heap->class[class].mallocs++;
    return chain.first;
}

static void take_many(struct heap *heap, unsigned class, unsigned count)
{
    for (unsigned i = 0; i < count; i++) held[i] = take(heap, class);
}

static void outbox(void *p)
{
    outbox_add(me, p, tagmap_get(p));
}

static struct slab *slab_holding(const void *p)
{
    return slab_at(tagmap_get(p).record);
}

static uint64_t chains_waiting(const struct heap *heap)
{
    return heap->inbox >> POINTER_BITS;
}

/* Blocks out of a heap's slabs, of one class. */
static uint64_t used_of(struct heap *heap, unsigned class)
{
    uint64_t used = 0;
    for (unsigned place = SLAB_PARTIAL; place < SLAB_PLACES; place++) {
        struct list *head = &heap->class[class].slabs[place];
        for (struct list *l = list_first(head); l != head; l = l->next)
            used += container_of(l, struct slab, link)->used;
    }
    return used;
}

static uint64_t mail_of(struct heap *heap, unsigned class)
{
    struct mail_count count;
    mail_count(heap, &count);
    return count.blocks[class];
}

static void require_home(void)
{
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        require(used_of(owner, c) + used_of(heap_common, c) == 0, "class %u", c);
        require(mail_of(owner, c) == 0 && mail_of(me, c) == 0, "class %u", c);
    }
    require_sound();
}

/* ---- sealed chains ---- */

static unsigned seed = 17;

/* `count` blocks of the slab in any order, linked. */
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

static void require_same_chain(struct chain got, void **block, unsigned count, unsigned class)
{
    require(got.count == count && got.first == block[0] && got.last == block[count - 1], "class %u count %u", class,
            count);
    for (unsigned i = 0; i + 1 < count; i++)
        require(link_get(block[i]) == block[i + 1], "class %u count %u block %u", class, count, i);
}

static void chains_of_every_class_and_count_survive_sealing(void)
{
    void *block[CHAIN_BLOCKS_MAX];
    start();
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        struct span span;
        require(arena_take(class_units(class), &span));
        struct slab *s = slab_init(&span, class);
        (void)slab_carve(s, s->capacity);
        for (unsigned count = 1; count <= CHAIN_BLOCKS_MAX && count <= s->capacity; count++) {
            struct chain chain = any_chain(s, block, count);
            chain_seal(s, &chain);
            require(chain_next(chain.last) == NULL, "class %u count %u", class, count);
            void *next = (void *)(UINT64_C(0x7ffffffffff8) - 8 * count);
            chain_set_next(chain.last, next);
            require(chain_next(chain.last) == next);
            require_same_chain(chain_unseal(s, chain.last), block, count, class);
        }
    }
}

static void the_last_block_of_a_slab_can_begin_a_chain(void)
{
    start();
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        struct span span;
        require(arena_take(class_units(class), &span));
        struct slab *s = slab_init(&span, class);
        (void)slab_carve(s, s->capacity);
        if (s->capacity < 2) continue;
        for (unsigned i = 0; i < 2; i++) {
            void *block[2] = {slab_block(s, i ? 0 : s->capacity - 1), slab_block(s, i ? s->capacity - 1 : 0)};
            link_set(block[0], block[1]);
            struct chain chain = {.first = block[0], .last = block[1], .count = 2};
            chain_seal(s, &chain);
            require_same_chain(chain_unseal(s, chain.last), block, 2, class);
        }
    }
}

/* ---- the way home ---- */

static void blocks_of_every_class_come_home(void)
{
    start();
    for (unsigned class = 0; class < CLASS_COUNT; class++)
        for (unsigned count = 1; count <= 34; count += class % 3 + 1) {
            take_many(owner, class, count);
            uint64_t before = used_of(owner, class);
            for (unsigned i = 0; i < count; i++) outbox(held[i]);
            require(used_of(owner, class) + mail_of(owner, class) + mail_of(me, class) >= before);
            outbox_post_all(me);
            require(mail_of(me, class) == 0);
            inbox_drain(owner);
            require(used_of(owner, class) == 0, "class %u count %u: %lu out", class, count, used_of(owner, class));
            const char *broken = heap_verify_slabs(owner);
            require(!broken, "%s", broken);
        }
    require_home();
}

static void a_chain_holds_at_most_its_blocks_and_bytes(void)
{
    start();
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        take_many(owner, class, 40);
        for (unsigned i = 0; i < 40; i++) {
            outbox(held[i]);
            for (unsigned k = 0; k < OUTBOX_SLOTS; k++) {
                if (!me->outbox[k].slab) continue;
                size_t count = me->outbox[k].chain.count;
                require(count < CHAIN_BLOCKS_MAX, "class %u", class);
                require((count - 1) * class_stride(class) < CHAIN_BYTES_MAX, "class %u", class);
            }
        }
        outbox_post_all(me);
        inbox_drain(owner);
    }
    require_home();
}

static void a_letter_costs_one_shared_write_for_32_blocks(void)
{
    start();
    take_many(owner, class_of(64), 320);
    for (unsigned i = 0; i < 320; i++) outbox(held[i]);
    require(chains_waiting(owner) == 10, "%lu", chains_waiting(owner));
    inbox_drain(owner);
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

/* What is out of the slabs and not with the program is in the mail, at every step. */
static void mail_is_counted_exactly_at_every_step(void)
{
    enum { OWNERS = 6, MANY = 3000 };
    struct heap *other[OWNERS];
    start();
    for (unsigned i = 0; i < OWNERS; i++) other[i] = make_heap();
    for (unsigned i = 0; i < MANY; i++) held[i] = take(other[i % OWNERS], i % 23);
    for (unsigned i = 0; i < MANY; i++) {
        unsigned k = i + (unsigned)rand_r(&seed) % (MANY - i);
        void *p = held[k];
        held[k] = held[i];
        outbox(p);
        if (i % 100 == 0) inbox_drain(other[i % OWNERS]);
        if (i % 37 != 0) continue;
        uint64_t used = 0, mail = 0;
        for (unsigned class = 0; class < 23; class++) {
            mail += mail_of(me, class);
            for (unsigned o = 0; o < OWNERS; o++) mail += mail_of(other[o], class), used += used_of(other[o], class);
        }
        require(used == MANY - i - 1 + mail, "step %u: %lu out, %lu in the mail", i, used, mail);
    }
    require_sound();
    outbox_post_all(me);
    for (unsigned o = 0; o < OWNERS; o++) inbox_drain(other[o]);
    require_home();
}

/* ---- owners that are gone ---- */

static struct chain sealed(unsigned class, unsigned count)
{
    take_many(owner, class, count);
    owner->class[class].frees += count; /* the program's part is done */
    for (unsigned i = 0; i + 1 < count; i++) link_set(held[i], held[i + 1]);
    struct chain chain = {.first = held[0], .last = held[count - 1], .count = count};
    chain_seal(slab_holding(held[0]), &chain);
    return chain;
}

static void a_push_into_a_closed_inbox_changes_nothing(void)
{
    start();
    struct chain chain = sealed(class_of(32), 5);
    inbox_close(owner);
    require(owner->inbox == INBOX_CLOSED);
    require(!push(owner, chain.last, chain.last, 1));
    require(owner->inbox == INBOX_CLOSED && chain_next(chain.last) == NULL);
    struct chain same = chain_unseal(slab_holding(chain.last), chain.last);
    require(same.count == 5 && same.first == chain.first);
    heap_give(owner, slab_holding(chain.last), same);
    inbox_open(owner);
    require_home();
}

static void letters_follow_slabs_that_became_orphans(void)
{
    start();
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        take_many(owner, class, 3);
        for (unsigned i = 0; i < 2; i++) outbox(held[i]);
        for (unsigned i = 0; i < OUTBOX_SLOTS; i++) slot_seal(me, &me->outbox[i]); /* the letter says: owner */
        heap_orphan_slabs(owner);
        inbox_close(owner);
        for (unsigned i = 0; i < LETTERS; i++) letter_post(&me->letter[i]);
        require(used_of(heap_common, class) == 1, "class %u", class);
        inbox_open(owner);
        outbox(held[2]);
        outbox_post_all(me);
    }
    require_home();
}

static void mail_that_arrived_before_follows_the_orphans(void)
{
    start();
    take_many(owner, class_of(80), 10);
    for (unsigned i = 0; i < 10; i++) outbox(held[i]);
    outbox_post_all(me);
    require(inbox_has_mail(owner) && used_of(owner, class_of(80)) == 10);
    heap_orphan_slabs(owner);
    inbox_drain(owner);
    require(!inbox_has_mail(owner));
    require_home();
}

static void closing_leaves_nothing_in_the_inbox(void)
{
    start();
    take_many(owner, class_of(80), 100);
    for (unsigned i = 0; i < 100; i++) outbox(held[i]);
    outbox_post_all(me);
    heap_orphan_slabs(owner);
    inbox_close(owner);
    require(owner->inbox == INBOX_CLOSED && !inbox_has_mail(owner));
    inbox_open(owner);
    require_home();
}

static void a_chain_is_forwarded_to_who_adopted_its_slab(void)
{
    start();
    struct heap *third = make_heap();
    unsigned class = class_of(80);
    take_many(owner, class, 10);
    for (unsigned i = 0; i < 9; i++) outbox(held[i]);
    outbox_post_all(me);
    heap_orphan_slabs(owner);
    void *p = take(third, class);
    require(slab_holding(p) == slab_holding(held[9]));
    inbox_drain(owner);
    require(inbox_has_mail(third) && mail_of(third, class) == 9 && mail_of(owner, class) == 0);
    inbox_drain(third);
    require(used_of(third, class) == 2);
    require_sound();
}

static void a_chain_of_a_retired_slab_is_a_double_free(void)
{
    start();
    struct chain chain = sealed(class_of(2000), 1);
    require(push(owner, chain.last, chain.last, 1));
    struct slab *s = slab_holding(chain.last);
    heap_unplace(owner, s);
    s->units = 0;
    arena_give(slab_units_base(s), s->number, 1);
    char line[128];
    sprintf(line, "hakmem: double free: p=%p (see hakmem-errors(7))\n", chain.last);
    require_abort(line, inbox_drain(owner));
}

static void a_chain_longer_than_what_is_out_is_a_double_free(void)
{
    start();
    void *p = take(owner, class_of(2000));
    outbox(p);
    outbox_post_all(me);
    heap_give(owner, slab_holding(p), (struct chain){.first = p, .last = p, .count = 1}); /* home already */
    char line[128];
    sprintf(line, "hakmem: double free: p=%p size=%u (see hakmem-errors(7))\n", p, slab_holding(p)->stride);
    *(uint64_t *)p = (uint64_t)FIRST_IS_LAST << POINTER_BITS; /* as the seal left it */
    require_abort(line, inbox_drain(owner));
}

/* ---- owners that do not look ---- */

static void an_idle_owner_is_drained_past_the_bound(void)
{
    start();
    take_many(owner, 0, BLOCKS);
    for (unsigned i = 0; i < BLOCKS; i++) {
        outbox(held[i]);
        require(chains_waiting(owner) <= INBOX_CHAINS_MAX, "%lu after %u", chains_waiting(owner), i);
    }
    require(used_of(owner, 0) < BLOCKS, "nothing was drained");
    outbox_post_all(me);
    inbox_drain(owner);
    require_home();
}

static void an_owner_inside_its_slow_side_is_not_waited_for(void)
{
    start();
    take_many(owner, 0, BLOCKS);
    lock_acquire_peer(&owner->lock);
    for (unsigned i = 0; i < BLOCKS - 64; i++) outbox(held[i]);
    require(chains_waiting(owner) > INBOX_CHAINS_MAX);
    lock_release_peer(&owner->lock);
    for (unsigned i = BLOCKS - 64; i < BLOCKS; i++) outbox(held[i]);
    require(chains_waiting(owner) <= INBOX_CHAINS_MAX);
    outbox_post_all(me);
    inbox_drain(owner);
    require_home();
}

static void blocks_freed_without_a_heap_come_home(void)
{
    start();
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        void *p = take(owner, class), *q = heap_common_malloc(class);
        heap_self = &heap_exited;
        do_free(p);
        do_free(q);
        heap_self = &me->front;
        require(mail_of(owner, class) == 1 && used_of(heap_common, class) == 0, "class %u", class);
        inbox_drain(owner);
    }
    require_home();
}

static void blocks_freed_without_a_heap_do_not_pile_up(void)
{
    start();
    take_many(owner, class_of(64), 4 * INBOX_CHAINS_MAX);
    heap_self = &heap_exited;
    for (unsigned i = 0; i < 4 * INBOX_CHAINS_MAX; i++) {
        do_free(held[i]);
        require(chains_waiting(owner) <= INBOX_CHAINS_MAX, "%lu chains wait", chains_waiting(owner));
    }
    heap_self = &me->front;
    inbox_drain(owner);
    require_home();
}

/* ---- draining ---- */

static void *free_held(void *argument)
{
    unsigned count = *(unsigned *)argument;
    for (unsigned i = 0; i < count; i++) do_free(held[i]);
    return NULL;
}

static void a_visit_drains(void)
{
    unsigned count = 200;
    start();
    for (unsigned i = 0; i < count; i++) held[i] = do_malloc(64);
    in_thread(free_held, &count);
    require(inbox_has_mail(me));
    do_free(do_malloc(50000)); /* a class never used */
    require(!inbox_has_mail(me));
    require_sound();
}

static void without_drain_mail_waits_until_memory_is_out(void)
{
    unsigned count = 200;
    start();
    require(option_set(OPTION_drain, 0));
    for (unsigned i = 0; i < count; i++) held[i] = do_malloc(64);
    in_thread(free_held, &count);
    for (unsigned i = 0; i < 5000; i++) do_free(do_malloc(i));
    require(inbox_has_mail(me));
    fake_fail(FAKE_RESERVE, 1, FAKE_FOR_GOOD);
    fake_fail(FAKE_COMMIT, 1, FAKE_FOR_GOOD);
    struct span span;
    while (arena_take(1, &span)) continue;
    unsigned got = 0;
    while (do_malloc(64)) got++;
    require(got >= count, "%u", got);
    require(!inbox_has_mail(me));
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
    inbox_drain(me);
    heap_flush_bins(me);
    for (unsigned c = 0; c < CLASS_COUNT; c++) require(used_of(me, c) == 0, "class %u", c);
    require_home();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(chains_of_every_class_and_count_survive_sealing),
        TEST(the_last_block_of_a_slab_can_begin_a_chain),
        TEST(blocks_of_every_class_come_home),
        TEST(a_chain_holds_at_most_its_blocks_and_bytes),
        TEST(a_letter_costs_one_shared_write_for_32_blocks),
        TEST(remote_frees_are_counted_at_once),
        TEST(mail_is_counted_exactly_at_every_step),
        TEST(a_push_into_a_closed_inbox_changes_nothing),
        TEST(letters_follow_slabs_that_became_orphans),
        TEST(mail_that_arrived_before_follows_the_orphans),
        TEST(closing_leaves_nothing_in_the_inbox),
        TEST(a_chain_is_forwarded_to_who_adopted_its_slab),
        TEST(a_chain_of_a_retired_slab_is_a_double_free),
        TEST(a_chain_longer_than_what_is_out_is_a_double_free),
        TEST(an_idle_owner_is_drained_past_the_bound),
        TEST(an_owner_inside_its_slow_side_is_not_waited_for),
        TEST(blocks_freed_without_a_heap_come_home),
        TEST(blocks_freed_without_a_heap_do_not_pile_up),
        TEST(a_visit_drains),
        TEST(without_drain_mail_waits_until_memory_is_out),
        TEST(threads_that_free_at_once_lose_nothing),
    };
    return run_unit_tests(tests);
}
