/* base_test.c - bits, lists, and the text of messages. */
#include "unit.h"

/* ---- bits ---- */

static void powers_of_two_are_found(void)
{
    require(!is_power_of_two(0));
    for (unsigned i = 0; i < 64; i++) {
        size_t n = (size_t)1 << i;
        require(is_power_of_two(n) && highest_bit(n) == i && lowest_bit(n) == i, "2^%u", i);
        require(i < 2 || !is_power_of_two(n - 1), "2^%u - 1", i);
    }
}

static void alignment_rounds_both_ways(void)
{
    for (size_t alignment = 1; alignment <= 65536; alignment *= 2)
        for (size_t n = 0; n < 200000; n += 97) {
            require(align_up(n, alignment) == (n + alignment - 1) / alignment * alignment, "%zu %zu", n, alignment);
            require(align_down(n, alignment) == n / alignment * alignment, "%zu %zu", n, alignment);
        }
}

/* Against the definition, bit by bit. */
static void runs_of_bits_are_found(void)
{
    uint32_t map = 1;
    for (int round = 0; round < 20000; round++) {
        map = map * 1664525u + 1013904223u;
        uint32_t dense = map | map >> 7 | map << 9;
        unsigned count = 1 + (unsigned)round % 32;
        uint32_t expected = 0;
        for (unsigned i = 0; i + count <= 32; i++)
            if ((dense & bit_run(i, count)) == bit_run(i, count)) expected |= 1u << i;
        require(bit_run_starts(dense, count) == expected, "map %x count %u", dense, count);
    }
    require(bit_run_starts(~0u, 32) == 1);
    require(bit_run_starts(~0u, 1) == ~0u);
    require(bit_run(0, 32) == ~0u && bit_run(31, 1) == 1u << 31);
}

/* ---- lists ---- */

static unsigned list_length(struct list *head)
{
    unsigned count = 0;
    for (struct list *i = list_first(head); i != head; i = i->next) {
        require(i->next->prev == i && i->prev->next == i);
        count++;
    }
    return count;
}

static void zeroed_head_is_an_empty_list(void)
{
    struct list head = {NULL, NULL};
    require(list_is_empty(&head) && list_length(&head) == 0);
}

static void nodes_keep_their_order(void)
{
    struct list head = {NULL, NULL}, node[4];
    list_push_back(&head, &node[1]);
    list_push_back(&head, &node[2]);
    list_push_front(&head, &node[0]);
    list_push_back(&head, &node[3]);
    require(list_length(&head) == 4);
    struct list *at = list_first(&head);
    for (int i = 0; i < 4; i++, at = at->next) require(at == &node[i], "%d", i);
    list_remove(&node[1]);
    require(list_length(&head) == 3 && node[0].next == &node[2]);
    for (int i = 0; i < 4; i++)
        if (i != 1) list_remove(&node[i]);
    require(list_is_empty(&head));
}

/* ---- messages ---- */

__attribute__((format(printf, 1, 2))) static void require_as_printf(const char *format, ...)
{
    char ours[300], theirs[300];
    va_list list;
    va_start(list, format);
    size_t length = message_format_list(ours, sizeof(ours), format, list);
    va_end(list);
    va_start(list, format);
    vsnprintf(theirs, sizeof(theirs), format, list);
    va_end(list);
    require(strcmp(ours, theirs) == 0, "'%s' should be '%s'", ours, theirs);
    require(length == strlen(theirs), "%s", theirs);
}

static void formats_are_those_of_printf(void)
{
    const unsigned numbers[] = {0, 1, 9, 10, 4095, 0x7fffffff, 0x80000000, 0xffffffff};
    require_as_printf("plain, %% and %s and %c.", "text", 'x');
    require_as_printf("[%10s] [%-10s] [%s]", "right", "left", "");
    for (unsigned i = 0; i < array_length(numbers); i++) {
        unsigned n = numbers[i];
        require_as_printf("%u %x %d %5u %-8xz %08x", n, n, (int)n, n, n, n);
        require_as_printf("%lu %lx %ld %zu", ~0ul - n, ~0ul / 3 + n, -(long)n, (size_t)n << 32);
    }
    require_as_printf("%ld %ld", INT64_MIN, INT64_MAX);
    require_as_printf("%p", (void *)(uintptr_t)0x7f0012345678);
}

static void long_text_is_cut_and_closed(void)
{
    char out[9] = "########";
    require(message_format(out, 5, "%s", "abcdefgh") == 4);
    require(strcmp(out, "abcd") == 0 && out[5] == '#');
    require(message_format(out, 1, "%u", 77u) == 0 && out[0] == 0);
}

static void a_message_is_one_line_even_when_cut(void)
{
    char text[2000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    message_print("%s", text);
    const char *seen = fake_take_printed();
    size_t length = strlen(seen);
    require(length > 100 && length < sizeof(text) && seen[length - 1] == '\n');
    require(strchr(seen, '\n') == seen + length - 1);
    message_print("n=%zu", (size_t)5);
    require_only_text("hakmem: n=5\n");
    message_raw("%s|", "as it is");
    require_only_text("as it is|");
}

static void fatal_messages_abort(void)
{
    require_abort("hakmem: internal error: broken 7\n", message_fatal("broken %d", 7));
    require(fake.aborts == 1);
}

static void misuse_aborts_or_reports(void)
{
    require_abort("hakmem: double free: p=0x1234 size=48 (see hakmem-errors(7))\n",
                  error_report(ERROR_double_free, (void *)0x1234, 48));
    require(option_set(OPTION_on_error, ON_ERROR_REPORT));
    error_report(ERROR_invalid_pointer, (void *)0x1234, 0);
    require_only_text("hakmem: invalid pointer: p=0x1234 (see hakmem-errors(7))\n");
    require(fake.aborts == 1);
}

/* ---- two counters in a word ---- */

static void carry_tells_whether_room_was_left(void)
{
    for (uint64_t room = 0; room < 3; room++)
        for (uint64_t left = 0; left < 0xfff0; left += 0x1ff) {
            uint64_t word = room << BIN_LEFT_BITS | left;
            bool carry = add_carries(&word, BIN_PUSH);
            require(carry == (room > 0), "room %lu left %lu", room, left);
            if (carry) require(word == ((room - 1) << BIN_LEFT_BITS | (left + 1)));
        }
}

/* ---- locks ---- */

static void locks_taken_downward_abort(void)
{
    struct lock low = {.rank = RANK_HEAP}, high = {.rank = RANK_ARENA};
    lock_acquire(&low);
    lock_acquire(&high);
    lock_release(&high);
    lock_release(&low);
    lock_acquire(&high);
    require_abort("a lock was taken downward in rank", lock_acquire(&low));
}

static uint64_t counted;
static struct lock counting = {.rank = RANK_ARENA};

static void *count_up(void *argument)
{
    for (int i = 0; i < 100000; i++) {
        lock_acquire(&counting);
        counted++;
        lock_release(&counting);
    }
    return argument;
}

static void locks_exclude(void)
{
    pthread_t thread[4];
    for (int i = 0; i < 4; i++) require(pthread_create(&thread[i], NULL, count_up, NULL) == 0);
    for (int i = 0; i < 4; i++) pthread_join(thread[i], NULL);
    require(counted == 400000 && counting.word == 0, "%lu", counted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(powers_of_two_are_found),
        TEST(alignment_rounds_both_ways),
        TEST(runs_of_bits_are_found),
        TEST(zeroed_head_is_an_empty_list),
        TEST(nodes_keep_their_order),
        TEST(formats_are_those_of_printf),
        TEST(long_text_is_cut_and_closed),
        TEST(a_message_is_one_line_even_when_cut),
        TEST(fatal_messages_abort),
        TEST(misuse_aborts_or_reports),
        TEST(carry_tells_whether_room_was_left),
        TEST(locks_taken_downward_abort),
        TEST(locks_exclude),
    };
    return run_unit_tests(tests);
}
