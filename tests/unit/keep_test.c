/* keep_test.c - freed mappings are kept for the next block: which, how many and for how long, and what a refused unmap
 * leaves.
 */
#include "large_blocks.h"

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

static void where_addresses_count_a_block_that_grows_needs_a_quarter(void)
{
    start();
    fake.memory_is_charged = true;
    void *p = map_block(12 * MIB);
    put(p);
    require(mapping_alloc_growing(3 * MIB - 4096, false) != p);
    require(map_block(3 * MIB) != p, "others need three quarters");
    size_t slack = usage().mapping_slack;
    require(mapping_alloc_growing(3 * MIB, false) == p && usage().kept == 0);
    require(usable(p) == 3 * MIB && usage().mapping_slack == slack + 9 * MIB, "it has room, but no other size than it asked for");
    require_whole();
}

/* A block that grows, with room behind it that an earlier one has filled. */
static unsigned char *block_with_used_room(size_t size, size_t room)
{
    start();
    unsigned char *p = map_block(size + room);
    memset(p, 0xee, size + room);
    put(p);
    require(mapping_alloc_growing(size, false) == p && usable(p) == size);
    require(mapped.used_room == room && large_has_kept() && large_kept_bytes() == room);
    require_whole();
    return p;
}

static unsigned char *with_used_room(size_t room)
{
    return block_with_used_room(3 * MIB, room);
}

static bool is_filled(const unsigned char *p, size_t size)
{
    for (size_t i = 0; i < size; i += 1024)
        if (p[i] != 0xee) return false;
    return true;
}

static void a_block_that_grows_takes_what_it_will_fill(void)
{
    unsigned char *p = with_used_room(57 * MIB);
    uint64_t calls = fake.calls[FAKE_ANY];
    for (size_t size = 4 * MIB; size <= 60 * MIB; size += MIB) {
        require(large_resize(p, tagmap_get(p), size, false) == p && mapped.used_room == 60 * MIB - size);
        require_whole();
    }
    require(fake.calls[FAKE_ANY] == calls && !large_has_kept());
    put(p);
    require_whole();
}

static void room_that_is_idle_for_a_tick_goes_back(void)
{
    unsigned char *p = with_used_room(57 * MIB);
    require(large_purge(false) == 0);
    require(large_resize(p, tagmap_get(p), 15 * MIB, false) == p); /* it grows: its room is wanted */
    require(large_purge(false) == 0 && large_purge(false) == 0 && is_filled(p, 60 * MIB));
    require(large_purge(false) == 45 * MIB && mapped.used_room == 0 && !large_has_kept());
    require(is_filled(p, 15 * MIB) && reads_as_zero(p + 15 * MIB, 45 * MIB) && usable(p) == 15 * MIB);
    require(large_purge(true) == 0);
    require_whole();
}

/* It would take hours to fill its room. */
static void a_block_that_grows_slowly_keeps_none(void)
{
    unsigned char *p = with_used_room(57 * MIB);
    for (size_t i = 1; i <= 3; i++) {
        require(large_resize(p, tagmap_get(p), 3 * MIB + i * 4096, false) == p);
        (void)large_purge(false);
    }
    require(mapped.used_room == 0);
    require_whole();
}

static void used_room_counts_as_kept(void)
{
    start();
    for (unsigned i = 0; i < 3; i++) {
        unsigned char *p = map_block(100 * MIB);
        put(p);
        (void)mapping_alloc_growing(3 * MIB, false);
        require(large_kept_bytes() <= 2 * KEPT_BYTES_MAX, "%zu MiB", large_kept_bytes() / MIB);
    }
    require_whole();
}

/* As under mlockall(): what a block has left stays, so no other takes more than it will fill. */
static void room_that_cannot_go_back_is_not_taken_again(void)
{
    unsigned char *p = with_used_room(57 * MIB);
    fake_fail(FAKE_PURGE, 1, FAKE_FOR_GOOD);
    require(large_purge(true) == 0, "nothing went back");
    require(mapped.used_room == 57 * MIB, "and it counts: %zu", mapped.used_room);
    require(large_purge(true) == 0 && is_filled(p, 60 * MIB));
    unsigned char *other = map_block(60 * MIB);
    put(other);
    require(mapping_alloc_growing(3 * MIB, false) != other);
    require_whole();
    large_follow_fork(); /* the child of a fork has no memory locked */
    fake_fail_nothing();
    require(large_purge(true) >= 57 * MIB && mapped.used_room == 0);
    require_whole();
}

static void a_refused_shrink_knows_its_used_room(void)
{
    unsigned char *p = block_with_used_room(10 * MIB, 90 * MIB);
    fake_fail(FAKE_REMAP, 1, FAKE_FOR_GOOD);
    (void)large_resize(p, tagmap_get(p), 6 * MIB, false);
    fake_fail_nothing();
    require(mapped.used_room == 90 * MIB, "%zu MiB", mapped.used_room / MIB);
    require_whole();
}

/* Whatever pages it begins and ends at. */
static void no_byte_of_the_block_goes_with_its_room(void)
{
    for (size_t pages = 0; pages < 40; pages++)
        for (size_t room = 8 * MIB - 8 * 4096; room <= 8 * MIB + 20 * 4096; room += 3 * 4096) {
            size_t size = 3 * MIB + pages * 4096;
            unsigned char *p = block_with_used_room(size, room);
            (void)large_purge(true);
            require(is_filled(p, size) && reads_as_zero(p + size, room), "%zu pages and %zu", pages, room / 4096);
            put(p);
            while (large_purge(true) > 0) continue;
        }
}

static unsigned looks;

static void look_while_it_moves(void)
{
    looks++;
    require(!large_verify(), "%s", large_verify());
}

/* Other threads may look then, or fork. */
static void a_block_that_moves_has_no_used_room(void)
{
    unsigned char *p = with_used_room(57 * MIB);
    fake.while_refusing = look_while_it_moves;
    fake_fail(FAKE_REMAP, 1, FAKE_FOR_GOOD);
    fake_fail(FAKE_REMAP_TO, 1, FAKE_FOR_GOOD);
    require(!large_resize(p, tagmap_get(p), 100 * MIB, false) && looks > 0);
    require(mapped.used_room == 57 * MIB && is_filled(p, 60 * MIB), "it is as it was");
    fake_fail_nothing();
    fake_fail(FAKE_REMAP, 1, 1);
    unsigned char *q = large_resize(p, tagmap_get(p), 100 * MIB, false);
    require(q && q != p && mapped.used_room == 0 && is_filled(q, 3 * MIB));
    require_whole();
}

/* So that the owner, who may want the room, does not wait for long. */
static void room_goes_back_in_parts(void)
{
    unsigned char *p = with_used_room(57 * MIB + 4096);
    uint64_t purges = fake.calls[FAKE_PURGE];
    require(large_purge(true) == 57 * MIB + 4096);
    require(fake.calls[FAKE_PURGE] == purges + 8);
    require(is_filled(p, 3 * MIB) && reads_as_zero(p + 3 * MIB, 57 * MIB + 4096));
    require_whole();
}

static void room_that_the_system_keeps_is_not_asked_for_again(void)
{
    (void)with_used_room(5 * MIB);
    fake_fail(FAKE_PURGE, 1, FAKE_FOR_GOOD);
    (void)large_purge(true);
    require(!large_has_kept() && large_purge(true) == 0);
    require_whole();
}

static void used_room_ends_with_its_block(void)
{
    unsigned char *p = with_used_room(9 * MIB);
    require(large_resize(p, tagmap_get(p), 2 * MIB + 4096, false) == p && mapped.used_room == 0);
    p = large_resize(p, tagmap_get(p), 3 * MIB, false);
    require(p && large_at(tagmap_get(p).record)->map_size > 3 * MIB && mapped.used_room == 0, "its room is new");
    put(p);
    (void)large_purge(true);
    p = with_used_room(9 * MIB);
    put(p);
    require(mapped.used_room == 0 && large_kept_bytes() == 12 * MIB);
    p = mapping_alloc_growing(3 * MIB, false);
    require((p = large_resize(p, tagmap_get(p), 40 * MIB, false)) && mapped.used_room == 0);
    put(p);
    require_whole();
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
    require(map_block(3 * MIB) != (void *)p && kind_of(aligned) == TAG_MAPPING, "any block may have it");
    put(aligned);
    fake_fail(FAKE_MAP, 1, FAKE_FOR_GOOD);
    require(large_alloc(3 * MIB, MIB, false) == (void *)aligned, "what was freed can be had again");
    put(aligned);
    size_t further = ((uintptr_t)aligned & (0 - (uintptr_t)aligned)) * 2;
    require(!large_alloc(3 * MIB, further, false), "it is not aligned so far");
    fake_fail_nothing();
    (void)large_purge(true);
    require(!large_has_kept());
    require_whole();
}

/* `stuck` is the oldest, and nobody can unmap it. */
static void keep_behind_a_stuck_one(void **stuck, void **other)
{
    start();
    *stuck = map_block(3 * MIB);
    *other = map_block(5 * MIB);
    put(*stuck);
    put(*other);
    fake.never_unmapped = *stuck;
}

static void a_mapping_that_cannot_go_does_not_hold_others(void)
{
    void *stuck, *other;
    keep_behind_a_stuck_one(&stuck, &other);
    require(large_purge(true) == 8 * MIB);
    require(kind_of(stuck) == TAG_MAPPING_KEPT && kind_of(other) == TAG_NONE && usage().kept == 3 * MIB);
    require_whole();
    put(map_block(9 * MIB));
    require(large_purge(true) == 9 * MIB, "the memory of the other went before");
    fake.never_unmapped = NULL;
    require(large_purge(true) == 3 * MIB && !large_has_kept());
    require_whole();
}

static void nor_when_they_are_idle(void)
{
    void *stuck, *other;
    keep_behind_a_stuck_one(&stuck, &other);
    size_t bytes = 0;
    for (unsigned i = 0; i < 3; i++) bytes += large_purge(false);
    require(bytes == 8 * MIB, "%zu", bytes);
    require(kind_of(stuck) == TAG_MAPPING_KEPT && kind_of(other) == TAG_NONE);
    put(map_block(9 * MIB));
    for (unsigned i = 0; i < 3; i++) bytes += large_purge(false);
    require(bytes == 17 * MIB && usage().kept == 3 * MIB, "%zu", bytes);
    require_whole();
}

static void memory_that_stays_counts_as_given_back_by_nobody(void)
{
    start();
    void *p = map_block(3 * MIB);
    put(p);
    fake.never_unmapped = p;
    fake_fail(FAKE_PURGE, 1, 1);
    require(large_purge(true) == 0 && fake.failures[FAKE_PURGE] == 1);
    require(large_purge(true) == 3 * MIB, "the next time it is tried again");
    require(large_purge(true) == 0);
    require(map_block(3 * MIB) == p);
    put(p);
    require(large_purge(true) == 3 * MIB, "it was used again");
    require_whole();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_freed_mapping_is_kept_and_used_again),
        TEST(a_kept_mapping_needs_three_quarters_of_a_use),
        TEST(where_addresses_count_a_block_that_grows_needs_a_quarter),
        TEST(a_block_that_grows_takes_what_it_will_fill),
        TEST(room_that_is_idle_for_a_tick_goes_back),
        TEST(a_block_that_grows_slowly_keeps_none),
        TEST(used_room_counts_as_kept),
        TEST(room_that_cannot_go_back_is_not_taken_again),
        TEST(a_refused_shrink_knows_its_used_room),
        TEST(no_byte_of_the_block_goes_with_its_room),
        TEST(a_block_that_moves_has_no_used_room),
        TEST(room_goes_back_in_parts),
        TEST(room_that_the_system_keeps_is_not_asked_for_again),
        TEST(used_room_ends_with_its_block),
        TEST(the_smallest_kept_mapping_that_fits_is_used),
        TEST(kept_mappings_are_bounded),
        TEST(without_attention_little_is_kept),
        TEST(what_is_taken_again_is_kept_for_a_while),
        TEST(kept_mappings_idle_for_a_tick_go_back),
        TEST(a_refused_unmap_keeps_the_mapping_and_gives_its_memory_back),
        TEST(a_mapping_that_cannot_go_does_not_hold_others),
        TEST(nor_when_they_are_idle),
        TEST(memory_that_stays_counts_as_given_back_by_nobody),
    };
    return run_unit_tests(tests);
}
