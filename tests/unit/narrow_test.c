/* narrow_test.c - a limit of addresses is set while the process runs: the full tag map becomes a window, and no block
 * is lost on the way; or all stays as it is.
 */
#include "unit.h"

enum { BLOCKS = 4000 };

static const size_t MIB = (size_t)1 << 20;
static const size_t LIMIT = (size_t)4 << 30;

static struct {
    unsigned char *p;
    size_t size, usable;
} held[BLOCKS];

static size_t size_of(unsigned i)
{
    if (i % 400 == 0) return (5 + i / 400) * MIB;
    if (i % 40 == 0) return 70000 + i * 100;
    return i % 2000 + 1;
}

static void take_blocks(void)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        held[i].size = size_of(i);
        held[i].p = do_malloc(held[i].size);
        held[i].usable = hak_usable_size(held[i].p);
        held[i].p[0] = held[i].p[held[i].size - 1] = (unsigned char)i;
    }
    for (unsigned i = 1; i < BLOCKS; i += 3) {
        do_free(held[i].p);
        held[i].p = NULL;
    }
}

static void require_blocks(void)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        unsigned char *p = held[i].p;
        if (!p) continue;
        require(hak_owns(p) && hak_usable_size(p) == held[i].usable, "block %u", i);
        require(p[0] == (unsigned char)i && p[held[i].size - 1] == (unsigned char)i, "block %u", i);
    }
}

static void use_blocks(void)
{
    for (unsigned i = 0; i < BLOCKS; i++) held[i].p = do_realloc(held[i].p, held[i].size = size_of(BLOCKS - 1 - i));
    for (unsigned i = 0; i < BLOCKS; i++) require(held[i].p && hak_usable_size(held[i].p) >= held[i].size);
    for (unsigned i = 0; i < BLOCKS; i++) do_free(held[i].p);
    require_sound();
}

/* In a window another mapping could take its place. */
static void require_all_units_tagged(void)
{
    for (uint32_t block = 1; block <= chunk_last_block; block++) {
        const struct chunk *c = chunk_of_block[block];
        for (size_t i = 0; c && i < c->size; i += UNIT_SIZE)
            require(tag_offset(tagmap_get((void *)(c->base + i))) != TAG_NONE, "unit %zu", i / UNIT_SIZE);
    }
}

static void no_block_is_lost(void)
{
    take_blocks();
    size_t before = fake.address_bytes;
    require(!tagmap.windowed && before > LIMIT);
    narrow_to(LIMIT);
    require(tagmap.windowed && fake.address_bytes < LIMIT / 4, "%zu bytes", fake.address_bytes);
    require_all_units_tagged();
    require_blocks();
    require_sound();
    use_blocks();
}

static void a_limit_that_leaves_room_changes_nothing(void)
{
    take_blocks();
    size_t before = fake.address_bytes;
    narrow_to((size_t)64 << 30);
    require(!tagmap.windowed && fake.address_bytes == before);
    narrow_to(((size_t)64 << 30) - 1);
    require(tagmap.windowed);
    require_all_units_tagged();
    before = fake.address_bytes;
    narrow_to(LIMIT);
    require(fake.address_bytes == before, "twice");
    use_blocks();
}

static void a_process_with_threads_keeps_its_map(void)
{
    take_blocks();
    fake.others_run = true;
    narrow_to(LIMIT);
    require(!tagmap.windowed);
    use_blocks();
}

/* Of vfork(): it has the parent's memory. */
static void so_does_a_child_in_its_parents_memory(void)
{
    take_blocks();
    my_heap()->process++;
    narrow_to(LIMIT);
    my_heap()->process--;
    require(!tagmap.windowed);
    use_blocks();
}

static void so_does_who_was_stopped_in_malloc(void)
{
    take_blocks();
    lock_acquire(&arena_lock);
    narrow_to(LIMIT);
    lock_release(&arena_lock);
    lock_acquire(&tagmap_lock);
    narrow_to(LIMIT);
    lock_release(&tagmap_lock);
    require(!tagmap.windowed);
    use_blocks();
}

static void what_is_refused_changes_nothing(void)
{
    take_blocks();
    for (unsigned call = 1; call < 100 && !tagmap.windowed; call++) {
        fake.fail_from[FAKE_ANY] = fake.calls[FAKE_ANY] + call;
        fake.fail_count[FAKE_ANY] = 1;
        narrow_to(LIMIT);
        require(tagmap.windowed || call < 90, "%u calls", call);
        fake.fail_count[FAKE_ANY] = 0;
        require_blocks();
        require_sound();
    }
    use_blocks();
}

static void where_two_blocks_meet_in_the_window_the_map_stays(void)
{
    const size_t window_bytes = NARROW_MIN / sizeof(uint64_t) * UNIT_SIZE;
    take_blocks();
    uintptr_t other = align_down((uintptr_t)held[0].p, UNIT_SIZE) - window_bytes; /* as if it were ours */
    require(tagmap_claim(other, UNIT_SIZE));
    tagmap_set(other, 1, TAG_FREE, 0);
    narrow_to(16 * MIB);
    require(!tagmap.windowed);
    require_blocks();
    tagmap_set(other, 1, TAG_NONE, 0);
    narrow_to(16 * MIB);
    require(tagmap.windowed);
    require_blocks();
    use_blocks();
}

static void a_process_without_blocks_has_nothing_to_give(void)
{
    narrow_to(LIMIT);
    require(!tagmap.mask);
    take_blocks();
    use_blocks();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_block_is_lost),
        TEST(a_limit_that_leaves_room_changes_nothing),
        TEST(a_process_with_threads_keeps_its_map),
        TEST(so_does_a_child_in_its_parents_memory),
        TEST(so_does_who_was_stopped_in_malloc),
        TEST(what_is_refused_changes_nothing),
        TEST(where_two_blocks_meet_in_the_window_the_map_stays),
        TEST(a_process_without_blocks_has_nothing_to_give),
    };
    return run_unit_tests(tests);
}
