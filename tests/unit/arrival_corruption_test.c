/* arrival_corruption_test.c - what an owner finds in the chains that arrive: words that were overwritten meanwhile, and
 * blocks that were freed twice.
 */
#include "arrivals.h"

/* ---- words that were overwritten ---- */

static unsigned class;

/* Five chains of one class in the owner's inbox; returns the last block of the second. */
static void *five_chains(unsigned size, bool own_thread)
{
    class = class_of(size);
    start_with_capacity(class, own_thread ? 1000 : 0);
    take_many(class, 150);
    send(150);
    void *second = sealed_next((void *)(owner->inbox & POINTER_MASK));
    require(second != NULL);
    be(own_thread ? owner : me);
    return second;
}

#define COUNT(n) ((uint64_t)(n) << POINTER_BITS)

/* The word at `index` of that block becomes `value`: the report says `corrupted`, or the last block if NULL. */
static void require_seen(unsigned size, unsigned index, uint64_t value, const void *corrupted)
{
    for (int own = 0; own < 2; own++)
        for (int abort = 0; abort < 2; abort++) {
            int status;
            pid_t child = fork();
            if (child == 0) {
                char line[128];
                alarm(20);
                uint64_t *last = five_chains(size, own);
                last[index] = value;
                sprintf(line, "hakmem: corrupted free list: p=%p (see hakmem-errors(7))\n",
                        corrupted ? corrupted : (void *)last);
                if (abort) {
                    require_abort(line, drain(owner));
                } else {
                    require(option_set(OPTION_on_error, ON_ERROR_REPORT));
                    (void)fake_take_printed();
                    drain(owner);
                    require_only_text(line);
                }
                _exit(0);
            }
            require(waitpid(child, &status, 0) == child && status == 0, "own %d abort %d: %x", own, abort, status);
        }
}

static void a_next_chain_that_leads_anywhere_is_reported(void)
{
    static const uint64_t anywhere[] = {0x5a5a5a5a5a50, 8, 0xfffffffffff8, 0x7ffffffffff8};
    for (unsigned i = 0; i < array_length(anywhere); i++)
        require_seen(64, 0, COUNT(1) | anywhere[i], (void *)anywhere[i]);
    require_seen(64, 0, COUNT(1) | (uintptr_t)held, held); /* memory, but not ours */
}

static void a_count_that_no_chain_has_is_reported(void)
{
    require_seen(64, 0, 0, NULL);
    require_seen(64, 0, COUNT(33), NULL);
    require_seen(64, 0, UINT64_MAX, NULL);
    require_seen(64, 0, 0x4141414141414141, NULL);
    require_seen(8, 0, COUNT(2), NULL);     /* has no second word */
    require_seen(4096, 0, COUNT(CHAIN_BYTES_MAX / 4096 + 1), NULL);
    require_seen(40000, 0, COUNT(2), NULL);
}

static void a_first_block_that_leads_anywhere_is_reported(void)
{
    require_seen(64, 1, 0x4141414141414141, NULL);
    require_seen(64, 1, 0, NULL);
    require_seen(64, 1, (uintptr_t)held, NULL);
}

static void a_link_inside_a_chain_that_goes_home_is_reported(void)
{
    void **first = sealed_first(five_chains(64, false));
    first[0] = (void *)0x4141414141414141;
    require_abort("hakmem: corrupted free list: p=0x4141414141414141 (see hakmem-errors(7))\n", drain(owner));
}

static void a_link_into_a_block_is_reported_on_the_way_home(void)
{
    char **first = sealed_first(five_chains(64, false));
    first[0] += 8;
    require_abort("hakmem: corrupted free list: p=", drain(owner));
}

/* A list that bites its tail is walked once. */
static void chains_in_a_circle_are_reported(void)
{
    for (int own = 0; own < 2; own++) {
        void *second = five_chains(64, own);
        void *last = sealed_next(sealed_next(sealed_next(second)));
        sealed_set(last, sealed_count(last), second);
        require(option_set(OPTION_on_error, ON_ERROR_REPORT));
        drain(owner);
        require_text("hakmem: corrupted free list: p=");
        be(me);
        require(!inbox_has_mail(owner) && walk_class(class).mailed == 0);
        require(option_set(OPTION_on_error, ON_ERROR_ABORT));
    }
}

static void circles_for_other_owners_are_reported(void)
{
    void *second = five_chains(64, false);
    sealed_set(second, sealed_count(second), second);
    heap_orphan_slabs(owner);
    require(option_set(OPTION_on_error, ON_ERROR_REPORT));
    inbox_close(owner);
    require(strstr(fake_take_printed(), "hakmem: "), "nothing was reported");
    require(owner->inbox == INBOX_CLOSED);
}

/* ---- blocks that are freed twice ---- */

static void a_block_freed_twice_by_another_thread_is_reported(void)
{
    start();
    take_many(class_of(64), 3);
    outbox(held[1]);
    outbox(held[0]);
    outbox(held[1]);
    outbox_post_all(me);
    require_abort("hakmem: corrupted free list: p=", drain(owner));
}

static void a_block_freed_twice_in_a_row_is_reported(void)
{
    char line[128];
    start();
    take_many(class_of(64), 1);
    outbox(held[0]);
    uint64_t frees = me->class[class_of(64)].remote_frees;
    sprintf(line, "hakmem: double free: p=%p size=64 (see hakmem-errors(7))\n", held[0]);
    require_abort(line, outbox(held[0]));
    require(me->class[class_of(64)].remote_frees == frees);
}

static void a_block_that_is_home_already_is_a_double_free(void)
{
    char line[128];
    start();
    void *p = take(owner, class_of(2000));
    outbox(p);
    heap_give(owner, slab_holding(p), slab_index(slab_holding(p), p));
    outbox_post_all(me);
    sprintf(line, "hakmem: double free: p=%p size=%u (see hakmem-errors(7))\n", p, slab_holding(p)->stride);
    require_abort(line, drain(owner));
}

static void a_block_of_a_retired_slab_is_reported(void)
{
    char line[128];
    start();
    void *p = take(owner, class_of(2000));
    outbox(p);
    heap_give(owner, slab_holding(p), slab_index(slab_holding(p), p));
    heap_release_empty(owner);
    outbox_post_all(me);
    sprintf(line, "hakmem: corrupted free list: p=%p (see hakmem-errors(7))\n", p);
    require_abort(line, drain(owner));
}

/* Its slab was retired, and another has its place, where no block begins at that address. */
static void a_block_that_is_none_any_more_is_reported(void)
{
    char line[128];
    start();
    char *p = take(owner, class_of(2000));
    lock_acquire(&owner->lock);
    heap_orphan_slabs(owner);
    lock_release(&owner->lock);
    sprintf(line, "hakmem: double free: p=%p (see hakmem-errors(7))\n", (void *)(p + 16));
    require_abort(line, forward(p + 16));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_next_chain_that_leads_anywhere_is_reported),
        TEST(a_count_that_no_chain_has_is_reported),
        TEST(a_first_block_that_leads_anywhere_is_reported),
        TEST(a_link_inside_a_chain_that_goes_home_is_reported),
        TEST(a_link_into_a_block_is_reported_on_the_way_home),
        TEST(chains_in_a_circle_are_reported),
        TEST(circles_for_other_owners_are_reported),
        TEST(a_block_freed_twice_by_another_thread_is_reported),
        TEST(a_block_freed_twice_in_a_row_is_reported),
        TEST(a_block_that_is_home_already_is_a_double_free),
        TEST(a_block_of_a_retired_slab_is_reported),
        TEST(a_block_that_is_none_any_more_is_reported),
    };
    return run_unit_tests(tests);
}
