/* large_test.c - runs of units and mappings of their own: made, freed, zeroed, refused, and broken on purpose. Resized:
 * large_resize_test.c. What is kept of freed ones: keep_test.c.
 */
#include "large_blocks.h"

/* ---- made and freed ---- */

static void blocks_up_to_64_mib_are_runs(void)
{
    const size_t sizes[] = {65537, 70000, 100000, MIB, 2 * MIB - 1, 2 * MIB, 2 * MIB + 1, 3 * MIB, 5 * MIB + 12345,
                            64 * MIB};
    start();
    for (unsigned i = 0; i < array_length(sizes); i++) {
        unsigned char *p = get(sizes[i]);
        require(kind_of(p) == TAG_RUN && (uintptr_t)p % UNIT_SIZE == 0);
        require(usable(p) == align_up(sizes[i], 4096));
        fill(p, usable(p));
        require(large_contains(p, tagmap_get(p)) && large_contains(p + sizes[i] - 1, tagmap_get(p)));
        require(tagmap_get(p + sizes[i] - 1).record == tagmap_get(p).record);
        require_whole();
        put(p);
        require(kind_of(p) == TAG_FREE);
    }
    require(fake.calls[FAKE_UNMAP] <= 2, "only to align the chunk");
}

static void larger_blocks_are_mappings(void)
{
    const size_t sizes[] = {64 * MIB + 1, 70 * MIB + 12345, 100 * MIB};
    start();
    for (unsigned i = 0; i < array_length(sizes); i++) {
        unsigned char *p = get(sizes[i]);
        require(kind_of(p) == TAG_MAPPING && (uintptr_t)p % 4096 == 0);
        require(usable(p) == align_up(sizes[i], 4096));
        fill(p, usable(p));
        require_whole();
        put(p);
        require_whole();
    }
}

static void only_the_start_of_a_block_is_freed(void)
{
    const size_t sizes[] = {300000, 5 * MIB, 70 * MIB};
    start();
    for (unsigned i = 0; i < array_length(sizes); i++) {
        char *p = get(sizes[i]);
        struct tag tag = tagmap_get(p);
        const size_t offsets[] = {1, 16, 4096, 65536, 200000};
        for (unsigned k = 0; k < array_length(offsets); k++) {
            require(!large_free(p + offsets[k], tag));
            require(large_usable_size(p + offsets[k], tag) == 0);
        }
        require(usable(p) >= sizes[i]);
        put(p);
        require(!large_free(p, tagmap_get(p)), "freed twice");
        require(usable(p) == 0);
        require_whole();
    }
}

static void usage_is_exact(void)
{
    start();
    void *run = get(100000), *mapping = map_block(5 * MIB), *aligned = large_alloc(3 * MIB, MIB, false);
    require(aligned && usage().runs.live == 102400 && usage().runs.slack == 2 * UNIT_SIZE - 102400);
    require(usage().mapping_live == 8 * MIB && usage().mapping_slack == MIB - 4096);
    require(usage().mapping_count == 2 && usage().kept == 0 && usage().mallocs == 2 && usage().frees == 0);
    require(usage().runs.mallocs == 1 && usage().runs.frees == 0);
    put(mapping);
    require(usage().mapping_live == 3 * MIB && usage().kept == 5 * MIB && usage().mapping_count == 1);
    put(run);
    put(aligned);
    require(usage().runs.live == 0 && usage().runs.slack == 0 && usage().mapping_live == 0);
    require(usage().mapping_slack == 0 && usage().mapping_count == 0 && usage().frees == 2 && usage().runs.frees == 1);
}

static void alignments_up_to_64_mib_are_kept(void)
{
    start();
    for (size_t alignment = 1; alignment <= 64 * MIB; alignment *= 2) {
        const size_t sizes[] = {1, 4096, 65537, 300000, 3 * MIB};
        for (unsigned i = 0; i < array_length(sizes); i++) {
            unsigned char *p = large_alloc(sizes[i], alignment, false);
            require(p && (uintptr_t)p % alignment == 0, "%zu at %zu", sizes[i], alignment);
            require(usable(p) >= sizes[i]);
            p[0] = p[usable(p) - 1] = 1;
            require_whole();
            put(p);
            require_whole();
        }
    }
}

static void an_alignment_beyond_all_memory_is_refused(void)
{
    start();
    require(!large_alloc(MIB, (size_t)1 << 62, false));
    require(!large_alloc(PTRDIFF_MAX, 1, false));
    require(!large_alloc(PTRDIFF_MAX - 5000, (size_t)1 << 62, false));
    require_whole();
}

/* ---- zeroed ---- */

static void zeroed_blocks_are_zero_wherever_they_come_from(void)
{
    const size_t sizes[] = {65537, 200000, 2 * MIB, 3 * MIB, 9 * MIB, 40 * MIB, 70 * MIB};
    start();
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < array_length(sizes); i++) {
            unsigned char *p = large_alloc(sizes[i], 1, true);
            require(p && reads_as_zero(p, sizes[i]), "round %u size %zu", round, sizes[i]);
            memset(p, 0xee, usable(p));
            put(p);
        }
}

static void zeroed_blocks_are_zero_when_the_purge_is_refused(void)
{
    const size_t sizes[] = {MIB, 5 * MIB};
    start();
    for (unsigned i = 0; i < 3; i++) {
        size_t size = sizes[i % 2];
        unsigned char *p = i < 2 ? get(size) : map_block(size);
        memset(p, 0xee, size);
        put(p);
        fake_fail(FAKE_PURGE, 1, FAKE_FOR_GOOD);
        (void)arena_purge(true);
        unsigned char *q = i < 2 ? large_alloc(size, 1, true) : mapping_alloc(size, 1, true);
        require(q == p, "not the same memory");
        require(reads_as_zero(q, size));
        fake_fail_nothing();
        put(q);
    }
}

static void part_of_a_dirty_run_is_zeroed(void)
{
    start();
    unsigned char *p = get(10 * UNIT_SIZE);
    memset(p, 0xee, 10 * UNIT_SIZE);
    put(p);
    (void)arena_purge(true);
    void *q = get(3 * UNIT_SIZE);
    require(q == p);
    memset(q, 0xee, 3 * UNIT_SIZE);
    put(q);
    p = large_alloc(10 * UNIT_SIZE, 1, true);
    require(p == q && reads_as_zero(p, 10 * UNIT_SIZE));
}

/* ---- refused ---- */

static void a_refused_mapping_changes_nothing(void)
{
    start();
    void *p = map_block(3 * MIB);
    size_t before = fake.address_bytes;
    for (unsigned i = 0; i < 5; i++) {
        fake_fail(FAKE_MAP, 1, 1);
        require(!large_alloc(70 * MIB, 1, false));
        require(fake.address_bytes == before && usage().mapping_count == 1);
        require_whole();
    }
    memset(piece_is_writable, 0, sizeof(piece_is_writable));
    fake_fail(FAKE_COMMIT, 1, FAKE_FOR_GOOD);
    require(!large_alloc(70 * MIB, 1, false), "no tag for it");
    require(fake.address_bytes == before);
    fake_fail_nothing();
    put(p);
    require_whole();
}

static void refused_records_are_no_memory(void)
{
    start();
    fake_fail(FAKE_MAP, 1, 1); /* the first mapping needs records first */
    require(!large_alloc(70 * MIB, 1, false));
    require(!mapped.free_records);
    put(get(70 * MIB));
    require_whole();
}

static void a_refused_run_becomes_a_mapping(void)
{
    start();
    fake_fail(FAKE_RESERVE, 1, FAKE_FOR_GOOD);
    unsigned char *p = get(300000);
    require(kind_of(p) == TAG_MAPPING && usable(p) >= 300000);
    fill(p, usable(p));
    require_whole();
    put(p);
    require_whole();
}

static void more_mappings_than_a_block_of_records(void)
{
    enum { MANY = LARGE_RECORDS_PER_BLOCK + 50 };
    static void *p[MANY];
    start();
    for (unsigned i = 0; i < MANY; i++) p[i] = map_block(2 * MIB + 1);
    require(usage().mapping_count == MANY);
    require_whole();
    for (unsigned i = 0; i < MANY; i++) put(p[i]);
    (void)large_purge(true);
    require(usage().mapping_count == 0 && usage().kept == 0);
    for (unsigned i = 0; i < MANY; i++) p[i] = map_block(2 * MIB + 1);
    require(records.blocks <= 3, "records are used again: %u blocks", records.blocks);
    require_whole();
}

/* ---- broken on purpose ---- */

static struct large *record_of(void *p)
{
    return large_at(tagmap_get(p).record);
}

static void verify_sees_a_mapping_with_a_wrong_tag(void)
{
    start();
    void *p = map_block(3 * MIB);
    uint32_t record = tagmap_get(p).record;
    uintptr_t base = align_down((uintptr_t)p, UNIT_SIZE);
    require_whole();
    tagmap_set(base, 1, TAG_NONE, 0);
    require_broken(large_verify(), "large I1: tag of a mapping");
    tagmap_set(base, 1, TAG_MAPPING_KEPT, record);
    require_broken(large_verify(), "large I1: tag of a mapping");
    tagmap_set(base, 1, TAG_MAPPING, record + 1);
    require_broken(large_verify(), "large I1: tag of a mapping");
    tagmap_set(base, 1, TAG_MAPPING, record);
    require_whole();
}

static void verify_sees_a_block_outside_its_mapping(void)
{
    start();
    struct large *l = record_of(map_block(3 * MIB));
    l->size += 4096;
    require_broken(large_verify(), "large I1: block outside its mapping");
    l->size -= 4096;
    require_whole();
    l->map_base += 4096;
    require_broken(large_verify(), "large I1: block outside its mapping");
}

static void verify_sees_a_kept_mapping_with_a_wrong_tag(void)
{
    start();
    void *p = map_block(3 * MIB);
    put(p);
    require_whole();
    tagmap_set(align_down((uintptr_t)p, UNIT_SIZE), 1, TAG_MAPPING, tagmap_get(p).record);
    require_broken(large_verify(), "large I1: tag of a mapping");
}

static void verify_sees_wrong_kept_bytes(void)
{
    start();
    put(map_block(3 * MIB));
    mapped.kept_bytes++;
    require_broken(large_verify(), "large I2: kept bytes");
    mapped.kept_bytes--;
    require_whole();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(blocks_up_to_64_mib_are_runs),
        TEST(larger_blocks_are_mappings),
        TEST(only_the_start_of_a_block_is_freed),
        TEST(usage_is_exact),
        TEST(alignments_up_to_64_mib_are_kept),
        TEST(an_alignment_beyond_all_memory_is_refused),
        TEST(zeroed_blocks_are_zero_wherever_they_come_from),
        TEST(zeroed_blocks_are_zero_when_the_purge_is_refused),
        TEST(part_of_a_dirty_run_is_zeroed),
        TEST(a_refused_mapping_changes_nothing),
        TEST(refused_records_are_no_memory),
        TEST(a_refused_run_becomes_a_mapping),
        TEST(more_mappings_than_a_block_of_records),
        TEST(verify_sees_a_mapping_with_a_wrong_tag),
        TEST(verify_sees_a_block_outside_its_mapping),
        TEST(verify_sees_a_kept_mapping_with_a_wrong_tag),
        TEST(verify_sees_wrong_kept_bytes),
    };
    return run_unit_tests(tests);
}
