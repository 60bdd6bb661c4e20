/* tagmap_test.c - records by number, and the tag map: the full one, and the window of a limited process. */
#include "unit.h"

enum { LIMIT_GIB = 4 };

static void *at_unit(uintptr_t base, uintptr_t unit)
{
    return (void *)(base + unit * UNIT_SIZE);
}

/* ---- records ---- */

static void record_numbers_find_their_records(void)
{
    for (uint32_t block = 1; block <= 5; block++) {
        struct record *block_of_records = record_map(1000 * sizeof(struct record));
        require(block_of_records && reads_as_zero(block_of_records, 1000 * sizeof(struct record)));
        uint32_t number = record_block_add(block_of_records);
        require(number == block << RECORD_INDEX_BITS, "%u", number);
        for (uint32_t i = 0; i < 1000; i++) require(record_at(number + i) == block_of_records + i);
    }
    require(record_block[0] == NULL, "number 0 is no record");
}

static void record_numbers_run_out_without_harm(void)
{
    struct record *block_of_records = record_map(sizeof(struct record));
    for (uint32_t block = 1; block < RECORD_BLOCKS; block++)
        require(record_block_add(block_of_records) == block << RECORD_INDEX_BITS, "block %u", block);
    for (int i = 0; i < 3; i++) require(record_block_add(block_of_records) == 0);
}

static void record_memory_is_counted_in_whole_pages(void)
{
    require(record_bytes() == 0);
    require(record_map(1) != NULL);
    require(record_bytes() == 4096);
    require(record_map(4097) != NULL);
    require(record_bytes() == 3 * 4096);
    fake_fail(FAKE_MAP, 1, 1);
    require(record_map(100) == NULL);
    require(record_bytes() == 3 * 4096);
    require(record_map(100) != NULL);
    require(record_bytes() == 4 * 4096);
}

/* ---- the full map ---- */

static uintptr_t claimed(size_t size)
{
    uintptr_t base = os_aligned(os_reserve, size, UNIT_SIZE);
    require(base && tagmap_claim(base, size));
    return base;
}

static void the_full_map_describes_every_address(void)
{
    require(tagmap_init());
    require(tagmap.windowed == 0);
    require(tagmap_count(&tagmap) == (size_t)1 << (ADDRESS_BITS - UNIT_SHIFT));
    uintptr_t base = claimed(4 * UNIT_SIZE);
    require(tagmap_entry((void *)base) == tagmap.entries + (base >> UNIT_SHIFT));
}

/* I1 */
static void an_address_that_is_not_ours_reads_as_nobody(void)
{
    int local = 0;
    require(tagmap_init());
    uintptr_t base = claimed(4 * UNIT_SIZE);
    tagmap_set(base, 4, heap_tag(3) | bin_offset(5), 0x10007);
    const void *const foreign[] = {NULL, (void *)1, &local, &tagmap, (void *)(base - 1), at_unit(base, 4),
                                   (void *)((UINT64_C(1) << 47) - 1), (void *)(uintptr_t)0x400000};
    for (unsigned i = 0; i < array_length(foreign); i++) {
        struct tag tag = tagmap_get(foreign[i]);
        require(tag.word == 0 && tag.record == 0, "%p", foreign[i]);
    }
    for (uintptr_t address = 0; address >> 47 == 0; address += UINT64_C(0x123456789) * 8)
        if (address - base >= 4 * (uintptr_t)UNIT_SIZE) require(tagmap_get((void *)address).word == 0);
}

static void before_the_first_call_everything_is_nobodys(void)
{
    int local = 0;
    require(tagmap.mask == 0 && tagmap_get(&local).word == 0 && tagmap_get(NULL).record == 0);
}

static void a_tag_is_read_from_every_byte_of_its_unit(void)
{
    require(tagmap_init());
    uintptr_t base = claimed(8 * UNIT_SIZE);
    for (uint32_t i = 0; i < 8; i++) tagmap_set(base + i * UNIT_SIZE, 1, heap_tag(i + 1) | bin_offset(i), 100 + i);
    for (uintptr_t offset = 0; offset < 8 * UNIT_SIZE; offset += 4095) {
        uint32_t i = (uint32_t)(offset / UNIT_SIZE);
        struct tag tag = tagmap_get((void *)(base + offset));
        require(tag_owner(tag) == i + 1 && tag_offset(tag) == bin_offset(i) && tag.record == 100 + i, "%lu", offset);
        require(class_of_offset(tag_offset(tag)) == i);
    }
}

static void the_largest_owner_class_and_record_fit(void)
{
    require(tagmap_init());
    uintptr_t base = claimed(UNIT_SIZE);
    tagmap_set(base, 1, heap_tag(OWNER_MAX) | bin_offset(CLASS_COUNT - 1), UINT32_MAX);
    struct tag tag = tagmap_get((void *)base);
    require(tag_owner(tag) == OWNER_MAX && tag.record == UINT32_MAX);
    require(class_of_offset(tag_offset(tag)) == CLASS_COUNT - 1);
    require((heap_tag(OWNER_MAX) & TAG_WINDOWED) == 0);
}

static void set_and_cleared_tags_leave_neighbours_alone(void)
{
    require(tagmap_init());
    uintptr_t base = claimed(5 * UNIT_SIZE);
    tagmap_set(base + UNIT_SIZE, 3, TAG_RUN, 9);
    require(tagmap_get((void *)base).word == 0 && tagmap_get(at_unit(base, 4)).word == 0);
    tagmap_set(base + 2 * UNIT_SIZE, 1, TAG_NONE, 0);
    require(tagmap_get(at_unit(base, 1)).record == 9 && tagmap_get(at_unit(base, 3)).record == 9);
    require(tagmap_get(at_unit(base, 2)).word == 0 && tagmap_get(at_unit(base, 2)).record == 0);
}

static void addresses_above_the_map_are_refused(void)
{
    require(tagmap_init());
    uint64_t calls = fake.calls[FAKE_COMMIT];
    require(!tagmap_claim((uintptr_t)1 << ADDRESS_BITS, UNIT_SIZE));
    require(!tagmap_claim(UINTPTR_MAX - UNIT_SIZE + 1, UNIT_SIZE));
    require(fake.calls[FAKE_COMMIT] == calls);
}

static void a_refused_commit_can_be_tried_again(void)
{
    require(tagmap_init());
    uintptr_t base = os_aligned(os_reserve, UNIT_SIZE, UNIT_SIZE);
    fake_fail(FAKE_COMMIT, 1, 1);
    require(!tagmap_claim(base, UNIT_SIZE));
    require(tagmap_claim(base, UNIT_SIZE));
    tagmap_set(base, 1, TAG_FREE, 1);
    require(tag_offset(tagmap_get((void *)base)) == TAG_FREE);
}

static void a_part_is_made_writable_once(void)
{
    require(tagmap_init());
    uintptr_t base = claimed(UNIT_SIZE);
    uint64_t calls = fake.calls[FAKE_COMMIT];
    require(calls == 1, "%lu", calls);
    require(tagmap_claim(base, UNIT_SIZE));
    require(fake.calls[FAKE_COMMIT] == calls);
}

/* A part of the map describes 512 MiB: this range touches three, and is written at both ends. */
static void a_claim_across_parts_makes_all_writable(void)
{
    const uintptr_t part = (uintptr_t)512 << 20;
    require(tagmap_init());
    uintptr_t base = 7 * part - UNIT_SIZE;
    require(tagmap_claim(base, part + 2 * UNIT_SIZE));
    tagmap_set(base, part / UNIT_SIZE + 2, TAG_FREE, 1);
    require(tag_offset(tagmap_get((void *)(base + part + 2 * UNIT_SIZE - 1))) == TAG_FREE);
    require(tagmap_get((void *)(base + part + 2 * UNIT_SIZE)).word == 0);
}

static void books_without_a_number_go_back(void)
{
    struct span span;
    require(do_malloc(1), "its chunk stays");
    records.blocks = RECORD_BLOCKS - 1;
    size_t bytes = record_bytes();
    size_t addresses = fake.address_bytes;
    for (unsigned i = 0; i < 10; i++) require(!do_malloc((size_t)100 << 20) && errno == ENOMEM);
    require(record_bytes() == bytes && fake.address_bytes == addresses, "mappings");
    while (arena_take(SUPERSLAB_UNITS, false, &span)) continue; /* to the end of the only chunk */
    bytes = record_bytes();
    addresses = fake.address_bytes;
    for (unsigned i = 0; i < 10; i++) require(!arena_take(SUPERSLAB_UNITS, false, &span));
    require(record_bytes() == bytes && fake.address_bytes == addresses, "chunks");
}

static void books_that_must_stay_count(void)
{
    do_free(do_malloc(1));
    records.blocks = RECORD_BLOCKS - 1;
    size_t bytes = record_bytes();
    fake_fail(FAKE_UNMAP, 1, 1);
    require(!mapping_alloc(UNIT_SIZE, 1, false));
    require(record_bytes() == bytes + LARGE_RECORDS_PER_BLOCK * sizeof(struct record));
}

/* ---- the window ---- */

static void limit_addresses(void)
{
    fake.address_limit = (size_t)LIMIT_GIB << 30;
}

static uintptr_t window_bytes(void)
{
    return (uintptr_t)tagmap_count(&tagmap) * UNIT_SIZE;
}

static void a_limited_process_gets_a_window_of_32_times_its_limit(void)
{
    limit_addresses();
    require(tagmap_init());
    require(tagmap.windowed == TAG_WINDOWED);
    require(window_bytes() == (uintptr_t)LIMIT_GIB << 35, "%lu", window_bytes());
    require(is_power_of_two(tagmap_count(&tagmap)));
    require(fake.address_bytes <= fake.address_limit / 64);
}

static void a_refused_map_becomes_a_window(void)
{
    fake_fail(FAKE_RESERVE_READABLE, 1, 1);
    require(tagmap_init());
    require(tagmap.windowed == TAG_WINDOWED && tagmap.mask > 0);
}

static void windows_shrink_until_the_system_agrees(void)
{
    fake.map_bytes_max = 300 << 10;
    require(tagmap_init());
    require(tagmap.windowed && tagmap_count(&tagmap) * 8 <= fake.map_bytes_max);
}

static void no_map_at_all_is_no_memory(void)
{
    fake_fail(FAKE_RESERVE_READABLE, 1, FAKE_FOR_GOOD);
    require(!tagmap_init());
    require(do_malloc(10) == NULL && errno == ENOMEM);
    require(do_malloc(1000000) == NULL && errno == ENOMEM);
    require(do_calloc(3, 3) == NULL && do_aligned(4096, 4096) == NULL);
    do_free(NULL);
    fake_fail_nothing();
    void *p = do_malloc(10);
    require(p != NULL);
    do_free(p);
    require_sound();
}

/* I2 */
static void a_taken_entry_is_refused(void)
{
    limit_addresses();
    require(tagmap_init());
    uintptr_t base = (uintptr_t)1 << 40;
    require(tagmap_claim(base, 4 * UNIT_SIZE));
    require(!tagmap_claim(base, UNIT_SIZE));
    require(!tagmap_claim(base + window_bytes(), UNIT_SIZE), "two units share an entry");
    require(!tagmap_claim(base + window_bytes() - UNIT_SIZE, 2 * UNIT_SIZE), "in part");
    require(tagmap_claim(base + window_bytes() - UNIT_SIZE, UNIT_SIZE));
    require(tag_offset(tagmap_get((void *)base)) == TAG_FREE);
    tagmap_set(base, 4, TAG_NONE, 0);
    require(tagmap_claim(base + window_bytes(), 4 * UNIT_SIZE));
}

static void a_refused_claim_leaves_no_entry(void)
{
    limit_addresses();
    require(tagmap_init());
    uintptr_t base = (uintptr_t)1 << 40;
    require(tagmap_claim(base + 3 * UNIT_SIZE, UNIT_SIZE));
    require(!tagmap_claim(base, 4 * UNIT_SIZE));
    require(tagmap_claim(base, 3 * UNIT_SIZE));
}

static void more_than_the_window_is_refused(void)
{
    limit_addresses();
    require(tagmap_init());
    require(!tagmap_claim((uintptr_t)1 << 40, window_bytes() + UNIT_SIZE));
}

static void every_entry_in_a_window_says_so(void)
{
    limit_addresses();
    require(tagmap_init());
    uintptr_t base = (uintptr_t)1 << 40;
    require(tagmap_claim(base, UNIT_SIZE));
    tagmap_set(base, 1, heap_tag(2) | bin_offset(3), 55);
    require(entry_owner(tagmap_entry((void *)base)) & TAG_WINDOWED >> OWNER_SHIFT);
    require(entry_owner(tagmap_entry((void *)base)) != 2, "a hit path would take it");
    require(tagmap_get((void *)base).word == (heap_tag(2) | bin_offset(3)));
}

/* The twin of a block meets the block's entry, and is nobody's. */
static void require_twin_is_foreign(void *p)
{
    char line[128];
    void *twin = (void *)((uintptr_t)p ^ window_bytes());
    require(tagmap_get(twin).word == tagmap_get(p).word && tagmap_get(p).word != 0);
    require(front_classify(twin) == FRONT_FOREIGN, "%d", front_classify(twin));
    require(!hak_owns(twin) && hak_usable_size(twin) == 0);
    sprintf(line, "hakmem: invalid pointer: p=%p (see hakmem-errors(7))\n", twin);
    require_abort(line, do_free(twin));
    void *volatile moved = NULL;
    require_abort(line, moved = do_realloc(twin, 100));
    require(!moved);
}

static void a_foreign_address_that_meets_an_entry_is_not_ours(void)
{
    static const size_t sizes[] = {8, 100, 5000, 40000, 65536, 100000, 1000000, 3000000, 50000000};
    limit_addresses();
    for (volatile unsigned i = 0; i < array_length(sizes); i++) {
        char *p = do_malloc(sizes[i]);
        require(p && front_classify(p) == FRONT_LIVE && hak_owns(p));
        require_twin_is_foreign(p);
        do_free(p);
    }
    require_sound();
}

static void a_foreign_address_that_meets_a_freed_entry_is_not_a_double_free(void)
{
    limit_addresses();
    void *run = do_malloc(1000000), *mapping = do_malloc(5000000);
    do_free(run);
    do_free(mapping);
    require(front_classify(run) == FRONT_FREED && front_classify(mapping) == FRONT_FREED);
    require_twin_is_foreign(run);
    require_twin_is_foreign(mapping);
}

static void a_window_serves_every_size(void)
{
    limit_addresses();
    for (size_t size = 1; size < 20000000; size += size / 2 + 1) {
        char *p = do_malloc(size);
        require(p != NULL, "%zu", size);
        p[0] = p[size - 1] = 1;
        p = do_realloc(p, size * 2);
        require(p && p[0] == 1 && p[size - 1] == 1, "%zu", size);
        do_free(p);
    }
    require_sound();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(record_numbers_find_their_records),
        TEST(record_numbers_run_out_without_harm),
        TEST(record_memory_is_counted_in_whole_pages),
        TEST(the_full_map_describes_every_address),
        TEST(an_address_that_is_not_ours_reads_as_nobody),
        TEST(before_the_first_call_everything_is_nobodys),
        TEST(a_tag_is_read_from_every_byte_of_its_unit),
        TEST(the_largest_owner_class_and_record_fit),
        TEST(set_and_cleared_tags_leave_neighbours_alone),
        TEST(addresses_above_the_map_are_refused),
        TEST(a_refused_commit_can_be_tried_again),
        TEST(a_part_is_made_writable_once),
        TEST(a_claim_across_parts_makes_all_writable),
        TEST(books_without_a_number_go_back),
        TEST(books_that_must_stay_count),
        TEST(a_limited_process_gets_a_window_of_32_times_its_limit),
        TEST(a_refused_map_becomes_a_window),
        TEST(windows_shrink_until_the_system_agrees),
        TEST(no_map_at_all_is_no_memory),
        TEST(a_taken_entry_is_refused),
        TEST(a_refused_claim_leaves_no_entry),
        TEST(more_than_the_window_is_refused),
        TEST(every_entry_in_a_window_says_so),
        TEST(a_foreign_address_that_meets_an_entry_is_not_ours),
        TEST(a_foreign_address_that_meets_a_freed_entry_is_not_a_double_free),
        TEST(a_window_serves_every_size),
    };
    return run_unit_tests(tests);
}
