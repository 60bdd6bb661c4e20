/* large_resize_test.c - large blocks that grow and shrink: in place, moved, with room for more, and refused, when they
 * stay as they were.
 */
#include "large_blocks.h"

static void *resize(void *p, size_t size)
{
    return large_resize(p, tagmap_get(p), size, false);
}

static void require_filled(const unsigned char *p, size_t size)
{
    for (size_t i = 0; i + 1 < size; i += 1024)
        require(p[i] == (unsigned char)(i / 1024 * 7 + 3), "byte %zu of %zu", i, size);
}

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
    require(usage().runs.live == 2 * UNIT_SIZE && usage().runs.slack == 0);
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

static unsigned char *shrinks;

static void require_end_is_ours_no_more(void)
{
    require(large_holds(shrinks + 5 * MIB) && !large_holds(shrinks + 70 * MIB));
}

/* Another thread may get them at once, for something that is not ours. */
static void addresses_that_a_shrinking_mapping_gives_back_are_not_claimed(void)
{
    start();
    shrinks = get(100 * MIB);
    fake.while_unmapping = require_end_is_ours_no_more;
    require(resize(shrinks, 60 * MIB) == shrinks);
    fake.while_unmapping = NULL;
    fake.fail_from[FAKE_REMAP] = fake.calls[FAKE_REMAP] + 1;
    fake.fail_count[FAKE_REMAP] = 1;
    require(!resize(shrinks, 40 * MIB) && usable(shrinks) == 60 * MIB && large_holds(shrinks + 50 * MIB));
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
    require(fake.address_bytes == before && fake.calls[FAKE_REMAP_TO] == 2);
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

/* As a block of which the program has locked a page: a move would be refused, too. */
static void what_can_grow_nowhere_is_not_moved(void)
{
    start();
    unsigned char *p = map_block(3 * MIB);
    fill(p, 3 * MIB);
    uint64_t reservations = fake.calls[FAKE_RESERVE];
    size_t before = fake.address_bytes;
    fake.remap_is_final = true;
    fake_fail(FAKE_REMAP, 1, FAKE_FOR_GOOD);
    require(!resize(p, 8 * MIB));
    require(fake.calls[FAKE_REMAP_TO] == 0 && fake.calls[FAKE_RESERVE] == reservations);
    require(fake.address_bytes == before);
    require_unmoved(p);
}

static size_t tags_in_use(void)
{
    size_t count = 0;
    for (size_t i = 0; i < tagmap_count(&tagmap); i++) count += tagmap.entries[i] != 0;
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
    for (unsigned i = 0; i < 20; i++) require(!resize(p, 8 * MIB));
    require(tagmap.windowed && tags_in_use() == before, "%zu tags, then %zu", before, tags_in_use());
    require_unmoved(p);
}

static void a_move_in_a_window_frees_the_old_tag(void)
{
    fake.address_limit = (size_t)1 << 30;
    start();
    unsigned char *p = map_block(3 * MIB);
    size_t before = tags_in_use();
    fake_fail(FAKE_REMAP, 1, 1);
    unsigned char *moved = resize(p, 8 * MIB);
    require(tagmap.windowed && moved && moved != p);
    require(kind_of(moved) == TAG_MAPPING && tags_in_use() == before, "%zu tags, then %zu", before, tags_in_use());
    require_whole();
}

static const void *refused;
static unsigned claims, granted;

/* Another thread has been given addresses whose tag is that of what is refused to go. */
static void claim_its_tag(void)
{
    claims++;
    granted += tagmap_claim(align_down((uintptr_t)refused, UNIT_SIZE) + tagmap_count(&tagmap) * UNIT_SIZE, UNIT_SIZE);
}

static void nobody_has_the_tag_of_what_is_refused_to_go(void)
{
    fake.address_limit = (size_t)1 << 30;
    start();
    unsigned char *p = map_block(3 * MIB);
    fill(p, 3 * MIB);
    refused = p;
    fake.while_refusing = claim_its_tag;
    fake_fail(FAKE_REMAP, 1, FAKE_FOR_GOOD);
    fake_fail(FAKE_REMAP_TO, 1, FAKE_FOR_GOOD);
    require(tagmap.windowed && !resize(p, 8 * MIB) && claims > 0 && granted == 0, "%u of %u", granted, claims);
    claims = 0;
    require_unmoved(p);
    fake_fail(FAKE_UNMAP, 1, FAKE_FOR_GOOD);
    put(p);
    (void)large_purge(true);
    require(claims > 0 && granted == 0, "%u of %u", granted, claims);
    require(kind_of(p) == TAG_MAPPING_KEPT);
    require_whole();
    fake_fail_nothing();
    (void)large_purge(true);
    require(kind_of(p) == TAG_NONE && tagmap_claim((uintptr_t)p & -UNIT_SIZE, UNIT_SIZE));
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
    fake_fail(FAKE_MAP, 1, 2);
    p = mapping_alloc_growing(20 * MIB, true);
    require(p && usable(p) == 20 * MIB && usage().mapping_slack == 0);
    put(p);
    require_whole();
}

/* A place at which a huge page begins takes more addresses. */
static void any_place_will_do_where_the_best_is_refused(void)
{
    start();
    put(map_block(3 * MIB)); /* records are there */
    option_value[OPTION_thp] = THP_ALWAYS;
    fake_fail(FAKE_MAP, 1, 1);
    unsigned char *p = mapping_alloc(20 * MIB, 1, false);
    fake_fail_nothing();
    require(p && usable(p) == 20 * MIB);
    fill(p, 20 * MIB);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_run_grows_and_shrinks_in_place),
        TEST(a_run_with_a_neighbour_does_not_grow),
        TEST(a_mapping_shrinks_in_place),
        TEST(addresses_that_a_shrinking_mapping_gives_back_are_not_claimed),
        TEST(a_mapping_grows_where_it_can),
        TEST(a_mapping_moves_with_its_bytes),
        TEST(a_mapping_stays_whole_when_growing_is_refused),
        TEST(growth_beyond_the_limit_costs_no_addresses),
        TEST(what_can_grow_nowhere_is_not_moved),
        TEST(refused_moves_leave_the_window_as_it_was),
        TEST(a_move_in_a_window_frees_the_old_tag),
        TEST(nobody_has_the_tag_of_what_is_refused_to_go),
        TEST(a_place_without_a_tag_is_not_moved_to),
        TEST(a_mapping_that_grew_has_room_for_more),
        TEST(a_mapping_with_room_is_kept_whole),
        TEST(room_is_not_insisted_on),
        TEST(any_place_will_do_where_the_best_is_refused),
        TEST(where_addresses_count_a_mapping_gets_no_room),
        TEST(an_aligned_mapping_is_not_resized),
    };
    return run_unit_tests(tests);
}
