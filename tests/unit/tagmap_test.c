/* tagmap_test.c - records and the tag map, whole and as a window. */
#include "unit.h"

enum { RECORD_BLOCK_BYTES = 4096 };

/* ---- records ---- */

static void records_are_found_by_number(void)
{
    struct record *block = record_map(RECORD_BLOCK_BYTES);
    require(block && reads_as_zero(block, RECORD_BLOCK_BYTES));
    uint32_t number = record_block_add(block);
    require(number != 0 && (number & (RECORDS_PER_BLOCK - 1)) == 0);
    for (uint32_t i = 0; i < RECORD_BLOCK_BYTES / sizeof(struct record); i++) require(record_at(number + i) == block + i);
    require(record_block_add(block) == number + RECORDS_PER_BLOCK);
}

static void record_bytes_count_whole_pages(void)
{
    size_t before = record_bytes();
    require(record_map(1) && record_bytes() == before + os_page_size());
    fake_fail(FAKE_MAP, 1, 1);
    require(!record_map(1) && record_bytes() == before + os_page_size());
}

static void record_numbers_end_without_harm(void)
{
    struct record *block = record_map(RECORD_BLOCK_BYTES);
    uint32_t last = 0, count = 0;
    for (uint32_t number; (number = record_block_add(block)) != 0; count++) {
        require(number > last);
        last = number;
    }
    require(count == RECORD_BLOCKS - 1, "%u", count);
    require(record_block_add(block) == 0 && record_at(last) == block);
}

/* ---- the whole map ---- */

static void addresses_of_others_read_as_nobody(void)
{
    int here = 0;
    require(tagmap_init() && !tagmap.windowed);
    const void *const others[] = {NULL, &here, (void *)1, (void *)(((uintptr_t)1 << ADDRESS_BITS) - 1), stdout, &fake};
    for (unsigned i = 0; i < array_length(others); i++) {
        struct tag tag = tagmap_get(others[i]);
        require(tag.word == 0 && tag.record == 0, "%p", others[i]);
    }
}

static void tags_are_read_as_they_were_set(void)
{
    uintptr_t base = (uintptr_t)1 << 40;
    require(tagmap_init() && tagmap_claim(base, 64 * UNIT_SIZE));
    tagmap_set(base + 3 * UNIT_SIZE, 5, heap_tag(77) | bin_offset(9), 1234);
    for (uintptr_t unit = 0; unit < 64; unit++) {
        struct tag first = tagmap_get((void *)(base + unit * UNIT_SIZE));
        struct tag last = tagmap_get((void *)(base + unit * UNIT_SIZE + UNIT_SIZE - 1));
        bool inside = unit >= 3 && unit < 8;
        require(first.word == last.word && first.record == last.record);
        require(first.record == (inside ? 1234 : 0));
        require(!inside || (tag_owner(first) == 77 && class_of_offset(tag_offset(first)) == 9));
        require(inside || first.word == 0, "unit %lu", unit);
    }
}

static void claims_cross_the_pieces_of_the_map(void)
{
    uintptr_t base = (uintptr_t)(1 + (UINT64_C(1) << 41)) - 1 - UNIT_SIZE; /* a unit before a piece begins */
    require(tagmap_init());
    require(tagmap_claim(base, (size_t)3 * PIECE_ENTRIES * UNIT_SIZE + 2 * UNIT_SIZE));
    tagmap_set(base, 3 * PIECE_ENTRIES + 2, TAG_FREE, 1);
    require(fake.calls[FAKE_COMMIT] == 5, "%lu commits", fake.calls[FAKE_COMMIT]);
    require(tagmap_claim(base, UNIT_SIZE) && fake.calls[FAKE_COMMIT] == 5); /* once is enough */
}

static void a_refused_commit_refuses_the_claim(void)
{
    uintptr_t base = (uintptr_t)1 << 40;
    require(tagmap_init());
    for (uint64_t n = 1; n <= 3; n++) {
        fake_fail(FAKE_COMMIT, n, 1);
        bool claimed = tagmap_claim(base + (n << 36), (size_t)2 * PIECE_ENTRIES * UNIT_SIZE);
        require(claimed == (n == 3), "commit %lu", n);
        fake_fail_nothing();
        require(tagmap_claim(base + (n << 36), (size_t)2 * PIECE_ENTRIES * UNIT_SIZE));
    }
}

static void addresses_of_five_levels_are_refused(void)
{
    require(tagmap_init());
    require(!tagmap_claim((uintptr_t)1 << ADDRESS_BITS, UNIT_SIZE));
}

/* ---- the window ---- */

static void a_refused_map_becomes_a_window(void)
{
    fake_fail(FAKE_RESERVE_READABLE, 1, 1);
    require(tagmap_init() && tagmap.windowed);
}

static void a_limit_makes_a_small_window(void)
{
    for (size_t limit = (size_t)1 << 26; limit <= (size_t)1 << 33; limit *= 2) {
        fake.address_limit = limit;
        require(tagmap_init() && tagmap.windowed);
        size_t bytes = (tagmap.mask + 1) * sizeof(uint64_t);
        require(bytes <= limit / 16, "%zu bytes of map for a limit of %zu", bytes, limit);
        require((tagmap.mask + 1) * (size_t)UNIT_SIZE >= limit, "does not describe the limit %zu", limit);
    }
}

static void no_map_at_all_is_no_heap(void)
{
    fake_fail(FAKE_RESERVE_READABLE, 1, FAKE_FOR_GOOD);
    require(!tagmap_init());
    errno = 0;
    require(!hak_malloc(10) && errno == ENOMEM);
    require(!hak_owns(&errno) && hak_usable_size(&errno) == 0);
    fake_fail_nothing();
    void *p = hak_malloc(10);
    require(p);
    hak_free(p);
}

static void units_that_meet_in_a_window_are_refused(void)
{
    fake.address_limit = (size_t)1 << 30;
    require(tagmap_init() && tagmap.windowed);
    uintptr_t span = (tagmap.mask + 1) * (uintptr_t)UNIT_SIZE;
    uintptr_t base = (uintptr_t)1 << 40;
    require(tagmap_claim(base, 4 * UNIT_SIZE));
    require(!tagmap_claim(base + span, UNIT_SIZE));
    require(!tagmap_claim(base + 7 * span + UNIT_SIZE, UNIT_SIZE));
    require(!tagmap_claim(base + span - 2 * UNIT_SIZE, 3 * UNIT_SIZE));
    require(tagmap_claim(base + span + 4 * UNIT_SIZE, UNIT_SIZE));
    tagmap_set(base, 4, TAG_NONE, 0);
    require(tagmap_claim(base + span, UNIT_SIZE));
    require(!tagmap_claim(base, span + UNIT_SIZE)); /* more than a window */
}

/* I: no tag of a window equals a thread's own, so that every free is looked at. */
static void no_free_hits_in_a_window(void)
{
    fake.address_limit = (size_t)1 << 30;
    void *p = hak_malloc(100);
    require(p && tagmap.windowed);
    uint64_t offset = tagmap_word(heap_self->entries, heap_self->mask, p) ^ heap_self->tag;
    require(offset > TAG_OFFSET_MASK);
    require(hak_owns(p) && hak_usable_size(p) >= 100);
    hak_free(p);
    require(hak_malloc(100) == p); /* it went to the bin nevertheless */
    require_sound();
}

/* A pointer of somebody else's, whose index in the window meets an entry of ours. */
static void foreign_pointers_are_told_from_ours_in_a_window(void)
{
    fake.address_limit = (size_t)1 << 30;
    require(option_set(OPTION_on_error, ON_ERROR_REPORT));
    char *ours[] = {hak_malloc(100), hak_malloc(100000), hak_malloc(3000000), hak_malloc(3000000)};
    hak_free(ours[3]); /* kept */
    require(tagmap.windowed);
    uintptr_t span = (tagmap.mask + 1) * (uintptr_t)UNIT_SIZE;
    for (unsigned i = 0; i < array_length(ours); i++)
        for (uintptr_t turn = 1; turn < 4; turn++) {
            char *alias = (char *)((uintptr_t)ours[i] + turn * span);
            require(!hak_owns(alias) && hak_usable_size(alias) == 0, "block %u", i);
            hak_free(alias);
            require_text("invalid pointer");
        }
    uintptr_t unused = align_up((uintptr_t)ours[0], UNIT_SIZE) + 8 * UNIT_SIZE; /* a unit of the arena's */
    require(tag_offset(tagmap_get((void *)unused)) == TAG_FREE);
    hak_free((void *)(unused + span));
    require_text("invalid pointer");
    require_sound();
}

static void a_full_window_ends_in_refusal(void)
{
    fake.address_limit = (size_t)1 << 28;
    fake.address_bytes_max = (size_t)1 << 28;
    void *first = NULL;
    unsigned count = 0;
    for (void **p; (p = hak_malloc(50000)) != NULL; first = p, count++) *p = first;
    require(errno == ENOMEM && count > 1000, "%u blocks", count);
    for (void **p = first, **next; p; p = next) {
        next = *p;
        hak_free(p);
    }
    require(hak_malloc(50000));
    require_sound();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(records_are_found_by_number),
        TEST(record_bytes_count_whole_pages),
        TEST(record_numbers_end_without_harm),
        TEST(addresses_of_others_read_as_nobody),
        TEST(tags_are_read_as_they_were_set),
        TEST(claims_cross_the_pieces_of_the_map),
        TEST(a_refused_commit_refuses_the_claim),
        TEST(addresses_of_five_levels_are_refused),
        TEST(a_refused_map_becomes_a_window),
        TEST(a_limit_makes_a_small_window),
        TEST(no_map_at_all_is_no_heap),
        TEST(units_that_meet_in_a_window_are_refused),
        TEST(no_free_hits_in_a_window),
        TEST(foreign_pointers_are_told_from_ours_in_a_window),
        TEST(a_full_window_ends_in_refusal),
    };
    return run_unit_tests(tests);
}
