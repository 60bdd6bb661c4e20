/* large_test.c - runs of units and mappings of their own: made, kept, resized, refused, and broken on purpose. */
#include "unit.h"

static const size_t MIB = (size_t)1 << 20;

static void *get(size_t size)
{
    void *p = large_alloc(size, 1, false);
    require(p != NULL, "%zu bytes", size);
    return p;
}

/* In a mapping of its own, whatever the size: what a run that is outgrown becomes. */
static void *map_block(size_t size)
{
    void *p = malloc_mapping(size);
    require(p != NULL, "%zu bytes", size);
    return p;
}

static void start(void)
{
    require(tagmap_init());
    keep_attend(true);
}

static void put(void *p)
{
    require(large_free(p, tagmap_get(p)), "%p", p);
}

static enum tag_kind kind_of(const void *p)
{
    return (enum tag_kind)tag_offset(tagmap_get(p));
}

static size_t usable(const void *p)
{
    return large_usable_size(p, tagmap_get(p));
}

static void *resize(void *p, size_t size)
{
    return large_resize(p, tagmap_get(p), size);
}

static void require_whole(void)
{
    const char *broken = large_verify();
    require(!broken, "%s", broken);
    broken = arena_verify();
    require(!broken, "%s", broken);
}

/* A pattern in every KiB. */
static void fill(unsigned char *p, size_t size)
{
    for (size_t i = 0; i < size; i += 1024) p[i] = (unsigned char)(i / 1024 * 7 + 3);
    p[size - 1] = 0x77;
}

static void require_filled(const unsigned char *p, size_t size)
{
    for (size_t i = 0; i + 1 < size; i += 1024)
        require(p[i] == (unsigned char)(i / 1024 * 7 + 3), "byte %zu of %zu", i, size);
}

static struct large_usage usage(void)
{
    struct large_usage u;
    large_usage(&u);
    return u;
}

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
    require(aligned && usage().run_live == 102400 && usage().run_slack == 2 * UNIT_SIZE - 102400);
    require(usage().mapping_live == 8 * MIB && usage().mapping_slack == MIB - 4096);
    require(usage().mapping_count == 2 && usage().kept == 0 && usage().mallocs == 3 && usage().frees == 0);
    put(mapping);
    require(usage().mapping_live == 3 * MIB && usage().kept == 5 * MIB && usage().mapping_count == 1);
    put(run);
    put(aligned);
    require(usage().run_live == 0 && usage().run_slack == 0 && usage().mapping_live == 0);
    require(usage().mapping_slack == 0 && usage().mapping_count == 0 && usage().frees == 3);
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

/* ---- kept ---- */

static void a_freed_mapping_is_kept_and_used_again(void)
{
    start();
    void *p = map_block(5 * MIB);
    uint64_t maps = fake.calls[FAKE_MAP], unmaps = fake.calls[FAKE_UNMAP];
    for (unsigned i = 0; i < 10; i++) {
        put(p);
        require(kind_of(p) == TAG_MAPPING_KEPT && large_has_kept());
        require(map_block(5 * MIB - i * 4096) == p);
        require(kind_of(p) == TAG_MAPPING && !large_has_kept());
        require_whole();
    }
    require(fake.calls[FAKE_MAP] == maps && fake.calls[FAKE_UNMAP] == unmaps);
}

static void a_kept_mapping_needs_three_quarters_of_a_use(void)
{
    start();
    void *p = map_block(8 * MIB);
    put(p);
    void *small = map_block(6 * MIB - 8192);
    require(small != p);
    void *more = map_block(8 * MIB + 1);
    require(more != p);
    require(map_block(6 * MIB) == p);
}

static void the_smallest_kept_mapping_that_fits_is_used(void)
{
    start();
    void *p[4];
    for (unsigned i = 0; i < 4; i++) p[i] = map_block((10 - i % 2 * 1 - i / 2 * 2) * MIB); /* 10, 9, 8, 7 */
    for (unsigned i = 0; i < 4; i++) put(p[i]);
    require(map_block(8 * MIB - 5) == p[2]);
    require(map_block(8 * MIB - 5) == p[1]);
    require(map_block(7 * MIB) == p[3]);
    require_whole();
}

static void kept_mappings_are_bounded(void)
{
    enum { MANY = 100 };
    void *p[MANY];
    start();
    for (unsigned i = 0; i < MANY; i++) p[i] = map_block(3 * MIB);
    for (unsigned i = 0; i < MANY; i++) {
        put(p[i]);
        require(usage().kept <= KEPT_BYTES_MAX);
        require_whole();
    }
    require(usage().kept > KEPT_BYTES_MAX - 3 * MIB);
    void *huge = map_block(2 * KEPT_BYTES_MAX + 4096);
    size_t before = usage().kept;
    put(huge);
    require(usage().kept == before);
    require(kind_of(huge) == TAG_NONE);
}

static void without_attention_little_is_kept(void)
{
    start();
    keep_attend(false);
    void *a = map_block(5 * MIB), *b = map_block(5 * MIB);
    put(a);
    put(b);
    require(usage().kept == 5 * MIB);
    void *c = map_block(90 * MIB);
    put(c);
    require(usage().kept == 5 * MIB);
    require_whole();
}

static void what_is_taken_again_is_kept_for_a_while(void)
{
    start();
    keep_attend(false);
    for (unsigned regrets = 1; regrets < 4; regrets++) {
        put(map_block(90 * MIB));
        require(usage().kept == 0, "%u", regrets);
        put(map_block(90 * MIB)); /* regrets */
        require(usage().kept == 90 * MIB, "%u", regrets);
        for (unsigned i = 0; i < 10; i++) put(map_block(90 * MIB - i * 4096));
        fake.now_ms += KEEP_MS << regrets;
        while (large_purge(true) > 0) continue;
    }
    fake.now_ms += 100;
    put(map_block(90 * MIB));
    fake.now_ms += REGRET_MS + 1;
    put(map_block(90 * MIB)); /* too late to be the same */
    require(usage().kept == 0);
}

static void kept_mappings_idle_for_a_tick_go_back(void)
{
    start();
    void *a = map_block(3 * MIB), *b = map_block(5 * MIB);
    put(a);
    require(large_purge(false) == 0);
    put(b);
    require(large_purge(false) == 3 * MIB);
    require(kind_of(a) == TAG_NONE && kind_of(b) == TAG_MAPPING_KEPT);
    require(large_purge(false) == 5 * MIB);
    require(!large_has_kept() && usage().kept == 0);
    put(map_block(3 * MIB));
    require(large_purge(true) == 3 * MIB && !large_has_kept());
    require_whole();
}

static void a_refused_unmap_keeps_the_mapping_and_gives_its_memory_back(void)
{
    start();
    unsigned char *p = map_block(5 * MIB);
    memset(p, 0xee, 5 * MIB);
    put(p);
    fake_fail(FAKE_UNMAP, 1, FAKE_FOR_GOOD);
    (void)large_purge(true);
    require(kind_of(p) == TAG_MAPPING_KEPT && usage().kept == 5 * MIB);
    require(reads_as_zero(p, 5 * MIB), "the memory was kept as well");
    require_whole();
    require(map_block(5 * MIB) == (void *)p);
    unsigned char *aligned = large_alloc(3 * MIB, MIB, false); /* not worth keeping, and cannot go */
    require(aligned != NULL);
    put(aligned);
    require_whole();
    require(!large_free(aligned, tagmap_get(aligned)));
    fake_fail_nothing();
    (void)large_purge(true);
    require(!large_has_kept());
    require_whole();
}

/* ---- resized ---- */

static void a_run_grows_and_shrinks_in_place(void)
{
    start();
    unsigned char *p = get(4 * UNIT_SIZE);
    fill(p, 4 * UNIT_SIZE);
    require(resize(p, 12 * UNIT_SIZE) == p && usable(p) == 12 * UNIT_SIZE);
    require_filled(p, 4 * UNIT_SIZE - 1);
    require(tagmap_get(p + 12 * UNIT_SIZE - 1).record == tagmap_get(p).record);
    require(resize(p, 12 * UNIT_SIZE - 5000) == p);
    require(resize(p, 2 * UNIT_SIZE) == p && usable(p) == 2 * UNIT_SIZE);
    require(kind_of(p + 2 * UNIT_SIZE) == TAG_FREE);
    require_filled(p, 2 * UNIT_SIZE);
    require(resize(p, 2 * UNIT_SIZE) == p, "the same size");
    require(usage().run_live == 2 * UNIT_SIZE && usage().run_slack == 0);
    require_whole();
}

static void a_run_with_a_neighbour_does_not_grow(void)
{
    start();
    unsigned char *p = get(2 * UNIT_SIZE), *q = get(2 * UNIT_SIZE);
    require(q == p + 2 * UNIT_SIZE);
    fill(p, 2 * UNIT_SIZE);
    require(!resize(p, 3 * UNIT_SIZE));
    require(usable(p) == 2 * UNIT_SIZE && kind_of(q) == TAG_RUN && usable(q) == 2 * UNIT_SIZE);
    require_filled(p, 2 * UNIT_SIZE - 1);
    require(!resize(p, 60000), "too small for a run");
    require(!resize(p, 2 * MIB), "it can be copied to another run");
    require_whole();
}

static void a_mapping_shrinks_in_place(void)
{
    start();
    unsigned char *p = map_block(9 * MIB);
    fill(p, 9 * MIB);
    size_t before = fake.address_bytes;
    require(resize(p, 4 * MIB) == p && usable(p) == 4 * MIB);
    require(fake.address_bytes == before - 5 * MIB);
    require_filled(p, 4 * MIB);
    require(usage().mapping_live == 4 * MIB && usage().mapping_slack == 0);
    require(!resize(p, 2 * MIB), "a run would do");
    require_whole();
}

static void a_mapping_grows_where_it_can(void)
{
    start();
    unsigned char *p = map_block(3 * MIB);
    for (size_t size = 3 * MIB; size <= 96 * MIB; size *= 2) {
        fill(p, size);
        unsigned char *q = resize(p, size * 2);
        require(q != NULL, "%zu", size);
        require(q == p || kind_of(p) != TAG_MAPPING || tagmap_get(p).record != tagmap_get(q).record);
        require(kind_of(q) == TAG_MAPPING && usable(q) == size * 2);
        require_filled(q, size - 1);
        require(reads_as_zero(q + size, size));
        require_whole();
        p = q;
    }
    put(p);
}

/* Growing in place is refused, so that it moves. */
static void a_mapping_moves_with_its_bytes(void)
{
    start();
    unsigned char *p = map_block(3 * MIB);
    fill(p, 3 * MIB);
    fake_fail(FAKE_REMAP, 1, 1);
    unsigned char *q = resize(p, 8 * MIB);
    require(q && q != p && fake.calls[FAKE_REMAP_TO] == 1);
    require_filled(q, 3 * MIB - 1);
    require(usable(q) == 8 * MIB && kind_of(p) == TAG_NONE);
    require(usage().mapping_live == 8 * MIB && usage().mapping_count == 1);
    require_whole();
    put(q);
    require_whole();
}

static void require_unmoved(unsigned char *p)
{
    require(kind_of(p) == TAG_MAPPING && usable(p) == 3 * MIB);
    require_filled(p, 3 * MIB);
    fill(p, 3 * MIB);
    require(usage().mapping_live == 3 * MIB && usage().mapping_count == 1);
    require_whole();
}

static void a_mapping_stays_whole_when_growing_is_refused(void)
{
    start();
    unsigned char *p = map_block(3 * MIB);
    fill(p, 3 * MIB);
    fake_fail(FAKE_REMAP, 1, FAKE_FOR_GOOD);
    size_t before = fake.address_bytes;
    fake_fail(FAKE_RESERVE, 1, 2); /* with room for more, and without */
    require(!resize(p, 8 * MIB));
    require_unmoved(p);
    require(fake.address_bytes == before);
    fake_fail(FAKE_REMAP_TO, 1, 2);
    require(!resize(p, 8 * MIB));
    require_unmoved(p);
    fake.remap_eats_target = true;
    fake_fail(FAKE_REMAP_TO, 1, 2);
    require(!resize(p, 8 * MIB));
    require_unmoved(p);
    fake_fail_nothing();
    unsigned char *q = resize(p, 8 * MIB);
    require(q && usable(q) == 8 * MIB);
    require_filled(q, 3 * MIB - 1);
    put(q);
    require_whole();
}

static void growth_beyond_the_limit_costs_no_addresses(void)
{
    start();
    unsigned char *p = map_block(3 * MIB);
    fill(p, 3 * MIB);
    size_t before = fake.address_bytes;
    fake.address_bytes_max = before + 12 * MIB; /* the new place has room, the growth beside it not */
    fake_fail(FAKE_REMAP, 1, FAKE_FOR_GOOD);
    for (unsigned i = 0; i < 5; i++) require(!resize(p, 10 * MIB));
    require(fake.address_bytes == before, "%zu MiB are lost", (fake.address_bytes - before) / MIB);
    require_unmoved(p);
    unsigned char *q = resize(p, 7 * MIB);
    require(q && q != p && usable(q) == 7 * MIB);
    require_filled(q, 3 * MIB - 1);
}

static size_t tags_in_use(void)
{
    size_t count = 0;
    for (size_t i = 0; i <= tagmap.mask; i++) count += tagmap.entries[i] != 0;
    return count;
}

static void refused_moves_leave_the_window_as_it_was(void)
{
    fake.address_limit = (size_t)1 << 30;
    start();
    unsigned char *p = map_block(3 * MIB);
    fill(p, 3 * MIB);
    fake_fail(FAKE_REMAP, 1, FAKE_FOR_GOOD);
    fake_fail(FAKE_REMAP_TO, 1, FAKE_FOR_GOOD);
    size_t before = tags_in_use();
    for (unsigned i = 0; i < 20; i++) {
        fake.remap_eats_target = i % 2;
        require(!resize(p, 8 * MIB));
    }
    require(tagmap.windowed && tags_in_use() == before, "%zu tags, then %zu", before, tags_in_use());
    require_unmoved(p);
}

static void a_place_without_a_tag_is_not_moved_to(void)
{
    start();
    unsigned char *p = map_block(3 * MIB);
    fill(p, 3 * MIB);
    memset(piece_is_writable, 0, sizeof(piece_is_writable)); /* so that the claim asks the system */
    size_t before = fake.address_bytes;
    fake_fail(FAKE_REMAP, 1, 2);
    fake_fail(FAKE_COMMIT, 1, 2);
    require(!resize(p, 8 * MIB));
    require_unmoved(p);
    require(fake.address_bytes == before, "the reservation is lost");
}

static void a_mapping_that_grew_has_room_for_more(void)
{
    start();
    unsigned char *p = resize(map_block(3 * MIB), 8 * MIB);
    const struct large *l = large_at(tagmap_get(p).record);
    require(l->size == 8 * MIB && l->map_size == 10 * MIB, "an eighth, up to a huge page: %zu", l->map_size);
    require(usage().mapping_live == 8 * MIB && usage().mapping_slack == 2 * MIB);
    uint64_t calls = fake.calls[FAKE_ANY];
    fill(p, 8 * MIB);
    require(resize(p, 10 * MIB) == p && usable(p) == 10 * MIB && fake.calls[FAKE_ANY] == calls);
    require_filled(p, 8 * MIB - 1);
    require(reads_as_zero(p + 8 * MIB, 2 * MIB));
    require(usage().mapping_live == 10 * MIB && usage().mapping_slack == 0);
    require(resize(p, 5 * MIB) == p && l->map_size == 5 * MIB, "what it gives back includes the room");
    require_whole();
    put(p);
    require_whole();
}

static void a_mapping_with_room_is_kept_whole(void)
{
    start();
    unsigned char *p = resize(map_block(3 * MIB), 8 * MIB);
    put(p);
    require(usage().kept == 10 * MIB && usage().mapping_slack == 0 && usage().mapping_live == 0);
    require_whole();
    unsigned char *q = mapping_alloc(9 * MIB, 1, false);
    require(q == p && usable(q) == 10 * MIB && usage().kept == 0);
    put(q);
    require_whole();
}

static void room_is_not_insisted_on(void)
{
    start();
    unsigned char *p = map_block(3 * MIB);
    fill(p, 3 * MIB);
    fake_fail(FAKE_REMAP, 1, FAKE_FOR_GOOD);
    fake_fail(FAKE_RESERVE, 1, 1);
    unsigned char *q = resize(p, 8 * MIB);
    require(q && q != p && usable(q) == 8 * MIB && usage().mapping_slack == 0);
    require_filled(q, 3 * MIB - 1);
    put(q);
    fake_fail_nothing();
    fake_fail(FAKE_MAP, 1, 1);
    p = mapping_alloc_growing(20 * MIB, true);
    require(p && usable(p) == 20 * MIB && usage().mapping_slack == 0);
    put(p);
    require_whole();
}

static void where_addresses_count_a_mapping_gets_no_room(void)
{
    start();
    fake.memory_is_charged = true;
    unsigned char *p = resize(map_block(3 * MIB), 8 * MIB);
    require(p && usage().mapping_live == 8 * MIB && usage().mapping_slack == 0);
    put(p);
    require_whole();
}

static void an_aligned_mapping_is_not_resized(void)
{
    start();
    void *p = NULL;
    do p = large_alloc(3 * MIB, 4 * MIB, false); /* until the mapping begins before the block */
    while (large_at(tagmap_get(p).record)->map_base == (uintptr_t)p);
    require(!resize(p, 5 * MIB) && usable(p) == 3 * MIB);
    require_whole();
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
        TEST(a_freed_mapping_is_kept_and_used_again),
        TEST(a_kept_mapping_needs_three_quarters_of_a_use),
        TEST(the_smallest_kept_mapping_that_fits_is_used),
        TEST(kept_mappings_are_bounded),
        TEST(without_attention_little_is_kept),
        TEST(what_is_taken_again_is_kept_for_a_while),
        TEST(kept_mappings_idle_for_a_tick_go_back),
        TEST(a_refused_unmap_keeps_the_mapping_and_gives_its_memory_back),
        TEST(a_run_grows_and_shrinks_in_place),
        TEST(a_run_with_a_neighbour_does_not_grow),
        TEST(a_mapping_shrinks_in_place),
        TEST(a_mapping_grows_where_it_can),
        TEST(a_mapping_moves_with_its_bytes),
        TEST(a_mapping_stays_whole_when_growing_is_refused),
        TEST(growth_beyond_the_limit_costs_no_addresses),
        TEST(refused_moves_leave_the_window_as_it_was),
        TEST(a_place_without_a_tag_is_not_moved_to),
        TEST(a_mapping_that_grew_has_room_for_more),
        TEST(a_mapping_with_room_is_kept_whole),
        TEST(room_is_not_insisted_on),
        TEST(where_addresses_count_a_mapping_gets_no_room),
        TEST(an_aligned_mapping_is_not_resized),
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
