/* base_test.c - bits.h, list.h, compiler.h and lock.h against what they promise. */
#include "unit.h"

#include <sched.h>

/* A fixed sequence: the same numbers in every run. */
static uint64_t sequence = 88172645463325252u;

static uint64_t next_number(void)
{
    sequence ^= sequence << 13;
    sequence ^= sequence >> 7;
    sequence ^= sequence << 17;
    return sequence;
}

/* ---- bits ---- */

static void powers_of_two_are_told_from_others(void)
{
    require(!is_power_of_two(0));
    for (unsigned i = 0; i < 64; i++) require(is_power_of_two((size_t)1 << i), "bit %u", i);
    for (unsigned i = 2; i < 64; i++) require(!is_power_of_two(((size_t)1 << i) - 1), "bit %u", i);
    for (unsigned i = 1; i < 64; i++) require(!is_power_of_two(((size_t)1 << i) + 1), "bit %u", i);
}

static void align_up_and_down_meet_at_multiples(void)
{
    for (size_t alignment = 1; alignment <= (size_t)1 << 26; alignment *= 2) {
        for (int i = 0; i < 100; i++) {
            uintptr_t value = next_number() >> 20;
            require(align_down(value, alignment) == value - value % alignment);
            require(align_up(value, alignment) == (value + alignment - 1) / alignment * alignment);
        }
        require(align_up(alignment, alignment) == alignment);
        require(align_down(alignment, alignment) == alignment);
        require(align_up(0, alignment) == 0);
    }
}

static void highest_and_lowest_bit_are_found(void)
{
    for (unsigned i = 0; i < 64; i++) {
        uint64_t below = i == 0 ? 0 : next_number() & ((UINT64_C(1) << i) - 1);
        require(highest_bit((UINT64_C(1) << i) | below) == i);
        uint64_t above = i == 63 ? 0 : next_number() << (i + 1);
        require(lowest_bit((UINT64_C(1) << i) | above) == i);
    }
}

static void bit_run_sets_exactly_the_run(void)
{
    for (unsigned count = 1; count <= 32; count++) {
        for (unsigned first = 0; first + count <= 32; first++) {
            uint32_t run = bit_run(first, count);
            for (unsigned i = 0; i < 32; i++)
                require((run >> i & 1) == (i >= first && i < first + count), "first %u count %u", first, count);
        }
    }
}

static uint32_t naive_starts(uint32_t map, unsigned count)
{
    uint32_t starts = 0;
    for (unsigned i = 0; i + count <= 32; i++) {
        bool all = true;
        for (unsigned k = i; k < i + count; k++) all &= map >> k & 1;
        if (all) starts |= UINT32_C(1) << i;
    }
    return starts;
}

static void bit_count_agrees_with_the_compiler(void)
{
    uint32_t map = 1;
    for (unsigned i = 0; i < 1000000; i++) {
        map = map * 1664525 + 1013904223;
        require(bit_count(map) == (unsigned)__builtin_popcount(map), "map %x", map);
        require(bit_count(~0u << i % 32) == 32 - i % 32 && bit_count(1u << i % 32) == 1);
    }
    require(bit_count(0) == 0 && bit_count(UINT32_MAX) == 32);
}

static void bit_run_starts_agrees_with_a_naive_loop(void)
{
    for (int i = 0; i < 3000; i++) {
        uint32_t map = (uint32_t)next_number();
        if (i % 3 == 1) map |= (uint32_t)next_number() | (uint32_t)next_number();
        if (i % 3 == 2) map = bit_run((unsigned)(next_number() % 16), 1 + (unsigned)(next_number() % 16)) | (map & 0xf);
        for (unsigned count = 1; count <= 32; count++)
            require(bit_run_starts(map, count) == naive_starts(map, count), "map %x count %u", map, count);
    }
    require(bit_run_starts(~0u, 32) == 1);
    require(bit_run_starts(0, 1) == 0);
    require(bit_run_starts(~1u, 32) == 0);
}

/* ---- two counters in one word ---- */

static void require_carry(uint64_t word, int32_t addend, bool carried, uint64_t got)
{
    uint64_t sum = word + (uint64_t)(int64_t)addend;
    require(got == sum, "%lx + %d", word, addend);
    require(carried == (sum < word), "%lx + %d: carry %d", word, addend, carried);
}

static void add_carries_reports_the_carry_of_64_bits(void)
{
    const uint64_t edges[] = {0, 1, 0xffff, 0x10000, 0xfffe, 0x1ffff, ~UINT64_C(0), UINT64_C(1) << 63};
    for (int i = 0; i < 10000; i++) {
        uint64_t word = (unsigned)i < array_length(edges) ? edges[i] : next_number() >> i % 64;
        uint64_t taken = word;
        bool carried = add_carries(&taken, -1);
        require_carry(word, -1, carried, taken);
        taken = word;
        carried = add_carries(&taken, BIN_PUSH);
        require_carry(word, BIN_PUSH, carried, taken);
    }
}

static void a_push_carries_until_room_is_used_up(void)
{
    uint64_t budget = (UINT64_C(3) << BIN_LEFT_BITS) | 5;
    for (unsigned i = 1; i <= 3; i++) {
        require(add_carries(&budget, BIN_PUSH), "push %u", i);
        require(budget == ((UINT64_C(3) - i) << BIN_LEFT_BITS | (5 + i)));
    }
    require(!add_carries(&budget, BIN_PUSH));
}

/* ---- list ---- */

struct item {
    struct list link;
    int value;
};

/* I1 of list.h, and the order of the values. */
static void require_list(struct list *head, const int *values, unsigned count)
{
    unsigned seen = 0;
    for (struct list *l = list_first(head); l != head; l = l->next) {
        require(seen < count, "the list is too long");
        require(container_of(l, struct item, link)->value == values[seen], "at %u", seen);
        require(l->next->prev == l && l->prev->next == l, "I1 at %u", seen);
        seen++;
    }
    require(seen == count, "%u of %u", seen, count);
    require(list_is_empty(head) == (count == 0));
    if (head->next) require(head->next->prev == head && head->prev->next == head);
}

static void a_zeroed_head_is_an_empty_list(void)
{
    struct list head = {NULL, NULL};
    require(list_is_empty(&head));
    require(list_first(&head) == &head);
    require_list(&head, NULL, 0);
}

static void list_keeps_the_order_of_pushes(void)
{
    struct list head = {NULL, NULL};
    struct item item[5];
    for (int i = 0; i < 5; i++) item[i].value = i;
    list_push_back(&head, &item[0].link);
    list_push_back(&head, &item[1].link);
    list_push_front(&head, &item[2].link);
    list_push_front(&head, &item[3].link);
    list_push_back(&head, &item[4].link);
    require_list(&head, (const int[]){3, 2, 0, 1, 4}, 5);
    list_remove(&item[0].link); /* middle, first, last */
    require_list(&head, (const int[]){3, 2, 1, 4}, 4);
    list_remove(&item[3].link);
    require_list(&head, (const int[]){2, 1, 4}, 3);
    list_remove(&item[4].link);
    require_list(&head, (const int[]){2, 1}, 2);
}

static void an_emptied_list_can_be_used_again(void)
{
    struct list head = {NULL, NULL};
    struct item item = {.value = 7};
    for (int i = 0; i < 3; i++) {
        list_push_front(&head, &item.link);
        require_list(&head, (const int[]){7}, 1);
        list_remove(&item.link);
        require_list(&head, NULL, 0);
        list_push_back(&head, &item.link);
        require_list(&head, (const int[]){7}, 1);
        list_remove(&item.link);
    }
}

/* ---- lock ---- */

static void lock_word_is_0_free_or_its_holder(void)
{
    struct lock lock = {.rank = RANK_ARENA};
    require(lock.word == 0);
    lock_acquire(&lock);
    require(lock.word == (uint32_t)gettid() << LOCK_OWNER_SHIFT && lock_is_own(&lock));
    require(!lock_try_peer(&lock));
    lock_release(&lock);
    require(lock.word == 0);
    require(lock_try_peer(&lock));
    lock_release_peer(&lock);
    require(lock.word == 0);
    require(fake.waits == 0 && fake.wakes == 0, "an uncontended lock made a system call");
    require(lock_waits[RANK_ARENA].waits == 0, "a try is no wait");
}

static void locks_go_upward_in_rank(void)
{
    struct lock low = {.rank = RANK_HEAP}, high = {.rank = RANK_ARENA};
    lock_acquire(&low);
    lock_acquire(&high);
    lock_release(&high);
    lock_acquire(&high);
    lock_release(&low); /* any order of release */
    lock_release(&high);
    require_only_text("");
}

static void a_lock_taken_downward_stops_the_checked_build(void)
{
    struct lock low = {.rank = RANK_HEAP}, high = {.rank = RANK_ARENA};
    lock_acquire(&high);
    require_abort("hakmem: internal error: a lock was taken downward in rank\n", lock_acquire(&low));
}

static void two_locks_of_one_rank_stop_the_checked_build(void)
{
    struct lock one = {.rank = RANK_HEAP}, other = {.rank = RANK_HEAP};
    lock_acquire(&one);
    require_abort("a lock was taken downward in rank", lock_acquire(&other));
}

static void peers_are_free_of_ranks(void)
{
    struct lock one = {.rank = RANK_HEAP}, other = {.rank = RANK_HEAP};
    lock_acquire(&one);
    lock_acquire_peer(&other);
    require(lock_is_own(&other));
    lock_release_peer(&other);
    require(lock_try_peer(&other));
    lock_release_peer(&other);
    lock_release(&one);
    require_only_text("");
}

static struct lock contended = {.rank = RANK_HEAP};
static int under_contended;

static void *take_contended(void *argument)
{
    (void)argument;
    lock_acquire(&contended);
    under_contended++;
    lock_release(&contended);
    return NULL;
}

static void a_waiter_sleeps_and_is_woken(void)
{
    pthread_t thread;
    lock_acquire(&contended);
    require(pthread_create(&thread, NULL, take_contended, NULL) == 0);
    while (__atomic_load_n(&fake.waits, __ATOMIC_SEQ_CST) == 0) sched_yield();
    require(lock_is_own(&contended) && (load_relaxed(&contended.word) & LOCK_WAITED), "word %u", load_relaxed(&contended.word));
    require(under_contended == 0);
    lock_release(&contended);
    require(pthread_join(thread, NULL) == 0);
    require(under_contended == 1);
    require(fake.wakes >= 1);
    require(contended.word == 0, "word %u", contended.word);
    require(lock_waits[RANK_HEAP].waits == 1 && lock_waits[RANK_HEAP].sleeps >= 1, "%lu waits, %lu sleeps",
            lock_waits[RANK_HEAP].waits, lock_waits[RANK_HEAP].sleeps);
}

enum { RACERS = 4, ROUNDS = 20000 };

static void *race(void *argument)
{
    (void)argument;
    for (int i = 0; i < ROUNDS; i++) take_contended(NULL);
    return NULL;
}

static void a_lock_excludes(void)
{
    pthread_t thread[RACERS];
    for (int i = 0; i < RACERS; i++) require(pthread_create(&thread[i], NULL, race, NULL) == 0);
    for (int i = 0; i < RACERS; i++) require(pthread_join(thread[i], NULL) == 0);
    require(under_contended == RACERS * ROUNDS, "%d", under_contended);
    require(contended.word == 0);
}

static void the_forking_thread_holds_every_lock(void)
{
    struct lock lock = {.rank = RANK_REGISTRY};
    lock_acquire(&lock);
    lock_fork_thread = lock_this_thread();
    require(lock_is_fork_thread());
    lock_acquire(&lock); /* would hang */
    lock_release(&lock);
    require(lock.word != 0, "released under the fork");
    lock_fork_thread = NULL;
    require(!lock_is_fork_thread());
    lock_release(&lock);
    require(lock.word == 0);
}

static void pass_on(int number)
{
    (void)number;
    lock_pass_wake_on();
}

static void who_is_interrupted_while_it_waits_passes_its_wake_on(void)
{
    pthread_t thread;
    lock_pass_wake_on();
    require(fake.wakes == 0, "nobody waits");
    signal(SIGUSR1, pass_on);
    lock_acquire(&contended);
    require(pthread_create(&thread, NULL, take_contended, NULL) == 0);
    while (__atomic_load_n(&fake.waits, __ATOMIC_SEQ_CST) == 0) sched_yield();
    require(pthread_kill(thread, SIGUSR1) == 0);
    while (__atomic_load_n(&fake.wakes, __ATOMIC_SEQ_CST) == 0) sched_yield();
    lock_release(&contended);
    require(pthread_join(thread, NULL) == 0 && under_contended == 1);
}

static void who_would_wait_for_itself_is_ended(void)
{
    struct lock lock = {.rank = RANK_REGISTRY};
    lock_acquire_peer(&lock);
    require_abort("call inside of malloc or free", lock_acquire_peer(&lock));
    lock_release_peer(&lock);
    require(lock.word == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(powers_of_two_are_told_from_others),
        TEST(align_up_and_down_meet_at_multiples),
        TEST(highest_and_lowest_bit_are_found),
        TEST(bit_run_sets_exactly_the_run),
        TEST(bit_count_agrees_with_the_compiler),
        TEST(bit_run_starts_agrees_with_a_naive_loop),
        TEST(add_carries_reports_the_carry_of_64_bits),
        TEST(a_push_carries_until_room_is_used_up),
        TEST(a_zeroed_head_is_an_empty_list),
        TEST(list_keeps_the_order_of_pushes),
        TEST(an_emptied_list_can_be_used_again),
        TEST(lock_word_is_0_free_or_its_holder),
        TEST(locks_go_upward_in_rank),
        TEST(a_lock_taken_downward_stops_the_checked_build),
        TEST(two_locks_of_one_rank_stop_the_checked_build),
        TEST(peers_are_free_of_ranks),
        TEST(a_waiter_sleeps_and_is_woken),
        TEST(a_lock_excludes),
        TEST(the_forking_thread_holds_every_lock),
        TEST(who_is_interrupted_while_it_waits_passes_its_wake_on),
        TEST(who_would_wait_for_itself_is_ended),
    };
    return run_unit_tests(tests);
}
