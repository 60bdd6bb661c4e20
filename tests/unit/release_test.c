/* release_test.c - chunks given up, so that a mapping finds addresses; their books used again; refusals. */
#include "spans.h"

static const size_t MIB = (size_t)1 << 20;

enum { SPANS = 100 }; /* SuperSlabs: 200 MiB, of which a chunk of start() has 64 */

static struct span taken[SPANS];

static void start(void)
{
    fake.address_limit = 1024 * MIB;
    require(tagmap_init());
}

static void take_many(void)
{
    for (unsigned i = 0; i < SPANS; i++) {
        taken[i] = take(SUPERSLAB_UNITS);
        require((taken[i].dirty & 1) || reads_as_zero((void *)taken[i].base, 4096), "SuperSlab %u", i);
        *(char *)taken[i].base = 1;
    }
}

static void give_many(unsigned from)
{
    for (unsigned i = from; i < SPANS; i++) give(taken[i], SUPERSLAB_UNITS);
}

static void require_nothing_in_use(void)
{
    struct arena_usage usage;
    arena_usage(&usage);
    require(usage.units == 0 && usage.free_units == 0 && usage.dirty_units == 0);
}

static void addresses_of_free_chunks_go_back(void)
{
    start();
    size_t before = fake.address_bytes;
    take_many();
    size_t reserved = fake.address_bytes - before;
    give_many(0);
    require(arena_release() == 256 * MIB);
    require(before + reserved - 256 * MIB == fake.address_bytes, "but for the books");
    require_whole();
    require_nothing_in_use();
    for (unsigned i = 0; i < SPANS; i++) {
        require(!arena_contains((void *)taken[i].base));
        require(tag_offset(tagmap_get((void *)taken[i].base)) == TAG_NONE);
    }
    require(arena_release() == 0, "nothing is left");
    take_many();
    require_whole();
    give_many(0);
    require(arena_purge(true) == SPANS * (size_t)SUPERSLAB_SIZE);
}

static void a_chunk_in_use_stays(void)
{
    start();
    take_many();
    give_many(1);
    require(arena_release() == 192 * MIB);
    require_whole();
    require(arena_contains((void *)taken[0].base) && *(char *)taken[0].base == 1);
    give(taken[0], SUPERSLAB_UNITS);
    require(arena_release() == 64 * MIB);
    require_whole();
}

static void units_being_purged_are_in_use(void)
{
    start();
    take_many();
    give_many(0);
    struct superslab *s = chunk_superslab_of(taken[0].record);
    superslab_change(s, 1, s->dirty & ~1u); /* as purge.c holds it, without a lock */
    require(arena_release() == 192 * MIB);
    superslab_change(s, 0, s->dirty | 1);
    require_whole();
    require(arena_release() == 64 * MIB);
}

static void books_are_used_again(void)
{
    start();
    take_many();
    size_t bytes = record_bytes();
    uint32_t blocks = records.blocks;
    for (unsigned round = 0; round < 50; round++) {
        give_many(0);
        require(arena_release() == 256 * MIB, "round %u", round);
        take_many();
        require_whole();
    }
    require(record_bytes() == bytes && records.blocks == blocks);
}

static void shorter_chunks_use_the_books_of_longer_ones(void)
{
    start();
    take_many();
    size_t bytes = record_bytes();
    give_many(0);
    require(arena_release() == 256 * MIB);
    fake.map_bytes_max = 20 * MIB;
    for (unsigned i = 0; i < 4 * 8; i++) taken[i] = take(SUPERSLAB_UNITS); /* four chunks of 16 MiB */
    require(record_bytes() == bytes);
    taken[32] = take(SUPERSLAB_UNITS);
    require(record_bytes() > bytes, "all books are in use");
    require_whole();
    for (unsigned i = 0; i <= 32; i++) give(taken[i], SUPERSLAB_UNITS);
    require(arena_release() == 5 * 16 * MIB);
    fake.map_bytes_max = SIZE_MAX;
    bytes = record_bytes();
    take_many();
    require(record_bytes() == bytes, "four of them are long enough");
    require_whole();
}

static void the_shortest_chunks_go_back(void)
{
    start();
    fake.map_bytes_max = 5 * UNIT_SIZE; /* 4 units, and the slack of their alignment */
    for (unsigned i = 0; i < 8; i++) taken[i] = take(3);
    for (unsigned i = 1; i < 8; i++) give(taken[i], 3);
    require(arena_release() == 7 * 4 * UNIT_SIZE);
    require_whole();
    for (unsigned i = 1; i < 8; i++) taken[i] = take(3);
    require_whole();
}

static void long_runs_take_addresses_again(void)
{
    struct span span;
    uint32_t dirty[LONG_SUPERSLABS_MAX];
    start();
    for (unsigned round = 0; round < 3; round++) {
        require(arena_take_long(200, 200 * (size_t)UNIT_SIZE, round == 1, false, &span, dirty));
        require(dirty[0] == 0, "nothing is there any more");
        arena_give(span.base, span.record, 200);
        require(arena_release() == 64 * MIB);
        require_whole();
        require(arena.huge_superslabs == 0);
    }
}

static void a_refused_return_leaves_the_chunk(void)
{
    start();
    take_many();
    give_many(0);
    size_t bytes = fake.address_bytes;
    fake_fail(FAKE_UNMAP, 1, 2);
    require(arena_release() == 128 * MIB);
    require(fake.address_bytes == bytes - 128 * MIB);
    require_whole();
    take_many();
    require_whole();
    require(fake.address_bytes >= bytes);
}

/* So that a second free of what lay there is still known as one. */
static void a_refused_return_leaves_the_tags(void)
{
    fake.address_limit = SIZE_MAX;
    require(tagmap_init() && !tagmap.windowed, "a window's are there already");
    take_many();
    give_many(0);
    fake_fail(FAKE_UNMAP, 1, FAKE_FOR_GOOD);
    require(arena_release() == 0);
    fake_fail_nothing();
    for (unsigned i = 0; i < SPANS; i++)
        require(tag_offset(tagmap_get((void *)taken[i].base)) == TAG_FREE, "span %u", i);
    require_whole();
}

/* A chunk of start() has 64 MiB, 32 SuperSlabs. */
static void a_free_end_is_charged_no_more(void)
{
    start();
    take_many();
    for (unsigned i = 0; i < SPANS; i++)
        if (i != 3) give(taken[i], SUPERSLAB_UNITS);
    fake.memory_is_charged = true;
    char text[8];
    require(os_peek((void *)taken[4].base, text, sizeof(text)));
    require(arena_release() == (192 + 56) * MIB);
    require_whole();
    require(!os_peek((void *)taken[4].base, text, sizeof(text)));
    require(*(char *)taken[3].base == 1);
    struct chunk *c = chunk_of(taken[3].record);
    require(c->used == 4 && c->committed == 8 * MIB && arena.free_units == 3 * SUPERSLAB_UNITS);
    require(arena_contains((void *)taken[2].base) && !arena_contains((void *)taken[4].base));
    require(tag_offset(tagmap_get((void *)taken[4].base)) == TAG_FREE, "the addresses are still ours");
    require(arena_release() == 0, "nothing is left");
    uintptr_t in_use = taken[3].base;
    size_t addresses = fake.address_bytes;
    for (unsigned i = 0; i < 31; i++) {
        taken[i] = take(SUPERSLAB_UNITS);
        require(reads_as_zero((void *)taken[i].base, 4096) || taken[i].base < in_use, "SuperSlab %u", i);
    }
    require(fake.address_bytes == addresses, "the chunk is filled again");
    require(c->used == 32);
    require_whole();
}

static bool has_maps_of(const struct chunk *c, uint32_t unit)
{
    char text[8];
    return os_peek(freemap_word(c->record + unit, FREEMAP_WORDS - 1), text, sizeof(text));
}

static void maps_go_with_what_they_describe(void)
{
    start();
    take_many();
    for (unsigned i = 0; i < SPANS; i++)
        if (i != 3) give(taken[i], SUPERSLAB_UNITS);
    fake.memory_is_charged = true;
    struct chunk *cut = chunk_of(taken[3].record);
    struct chunk *gone = chunk_of(taken[SPANS - 1].record);
    require(has_maps_of(cut, 127) && has_maps_of(cut, 160) && has_maps_of(gone, 0) && has_maps_of(gone, 31));
    (void)arena_release();
    require(cut->mapped == 128 && has_maps_of(cut, 127) && !has_maps_of(cut, 160));
    require(gone->mapped == 0 && !has_maps_of(gone, 0) && !has_maps_of(gone, 31));
    require_whole();
    take_many();
    require(has_maps_of(gone, 31) && has_maps_of(cut, 160));
    require_whole();
}

static void maps_that_cannot_go_stay_writable(void)
{
    start();
    take_many();
    give_many(0);
    uint32_t record = chunk_of(taken[0].record)->record;
    uint32_t units = chunk_of(taken[0].record)->mapped;
    void *page = (void *)align_down((uintptr_t)freemap_word(record, FREEMAP_WORDS - 1), os_page_size());
    *(volatile char *)page = 0;
    require(os_has_memory(page));
    fake_fail_every(FAKE_UNCOMMIT, 1);
    require(arena_release() == 256 * MIB);
    require(fake.failures[FAKE_UNCOMMIT] == 4 && chunk_of_block[record >> RECORD_INDEX_BITS]->mapped == units);
    require(!os_has_memory(page));
    fake_fail_nothing();
    take_many();
    require_whole();
}

static void maps_go_where_their_units_were_refused(void)
{
    start();
    taken[0] = take(SUPERSLAB_UNITS);
    struct chunk *c = chunk_of(taken[0].record);
    while (c->used * (size_t)SUPERSLAB_SIZE < c->committed) (void)take(SUPERSLAB_UNITS);
    struct span span;
    fake_fail(FAKE_COMMIT, 3, 1); /* of records, maps, memory */
    require(!arena_take(SUPERSLAB_UNITS, false, &span) && fake.failures[FAKE_COMMIT] == 1);
    require(c->mapped == c->committed / UNIT_SIZE && !has_maps_of(c, c->mapped + SUPERSLAB_UNITS));
    fake_fail_nothing();
    (void)take(SUPERSLAB_UNITS);
    require_whole();
}

static void a_free_end_stays_where_nothing_is_charged(void)
{
    start();
    take_many();
    give_many(1);
    require(arena_release() == 192 * MIB);
    require(fake.calls[FAKE_UNCOMMIT] == 3, "the maps of three chunks");
    require(chunk_of(taken[0].record)->used == 32);
}

/* A limit came that is below what is mapped: who gave the addresses up would not get others. */
static void what_could_not_be_had_again_stays(void)
{
    start();
    take_many();
    give_many(0);
    size_t before = fake.address_bytes;
    fake.memory_is_charged = true;
    fake_fail(FAKE_UNCOMMIT, 1, 1000);
    fake_fail(FAKE_RESERVE, 1, 1000);
    require(arena_release() == 0 && fake.address_bytes == before);
    require_whole();
    for (unsigned i = 0; i < SPANS; i++) taken[i] = take(SUPERSLAB_UNITS);
    give_many(0);
    fake_fail(FAKE_UNCOMMIT, 0, 0);
    fake_fail(FAKE_RESERVE, 0, 0);
    require(arena_release() > 0 && fake.address_bytes < before);
    require_whole();
}

static void what_was_committed_in_advance_goes_too(void)
{
    start();
    for (unsigned i = 0; i < 10; i++) taken[i] = take(SUPERSLAB_UNITS);
    struct chunk *c = chunk_of(taken[0].record);
    require(c->committed > 20 * MIB);
    size_t more = c->committed - 20 * MIB;
    fake.memory_is_charged = true;
    require(arena_release() == more && c->used == 10 && c->committed == 20 * MIB);
    require_whole();
    taken[10] = take(SUPERSLAB_UNITS);
    *(char *)taken[10].base = 1;
    require_whole();
}

static void a_refused_cut_changes_nothing(void)
{
    start();
    take_many();
    give_many(1);
    fake.memory_is_charged = true;
    fake_fail(FAKE_UNCOMMIT, 1, 1);
    require(arena_release() == 192 * MIB && fake.failures[FAKE_UNCOMMIT] == 1);
    require_whole();
    require(chunk_of(taken[0].record)->used == 32);
    require(arena_release() == 62 * MIB);
}

static void tags_of_a_window_are_free_for_others(void)
{
    fake.address_limit = 64 * MIB;
    require(tagmap_init() && tagmap.windowed);
    struct span span = take(1);
    give(span, 1);
    require(tag_offset(tagmap_get((void *)span.base)) == TAG_FREE);
    require(arena_release() > 0);
    require(tagmap_claim(span.base, UNIT_SIZE), "somebody else's");
}

/* All addresses have been small blocks. */
static void large_blocks_find_room_after_small_ones(void)
{
    static void *small[20000];
    size_t count = 0;
    fake.address_limit = 256 * MIB;
    fake.address_bytes_max = 256 * MIB;
    void *block = do_malloc(150 * MIB);
    require(block != NULL);
    do_free(block);
    for (unsigned round = 0; round < 3; round++) {
        while (count < array_length(small) && (small[count] = do_malloc(30000))) count++;
        require(count * 30000 > 150 * MIB && count < array_length(small), "%zu", count);
        require(!do_malloc(150 * MIB) && errno == ENOMEM);
        while (count > 0) do_free(small[--count]);
        block = round == 0 ? do_malloc(150 * MIB) : round == 1 ? do_calloc(1, 150 * MIB) : do_aligned(MIB, 150 * MIB);
        require(block != NULL, "round %u", round);
        do_free(block);
        require_sound();
    }
}

/* It takes a mapping of its own, whatever its size. */
static void a_small_block_far_aligned_finds_room_after_others(void)
{
    static void *small[20000];
    size_t count = 0;
    fake.address_limit = 256 * MIB;
    fake.address_bytes_max = 256 * MIB;
    while (count < array_length(small) && (small[count] = do_malloc(30000))) count++;
    require(!do_aligned(8 * MIB, 100) && errno == ENOMEM);
    while (count > 0) do_free(small[--count]);
    void *block = do_aligned(8 * MIB, 100);
    require(block && (uintptr_t)block % (8 * MIB) == 0);
    do_free(block);
    require_sound();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(addresses_of_free_chunks_go_back),
        TEST(a_chunk_in_use_stays),
        TEST(units_being_purged_are_in_use),
        TEST(books_are_used_again),
        TEST(shorter_chunks_use_the_books_of_longer_ones),
        TEST(the_shortest_chunks_go_back),
        TEST(long_runs_take_addresses_again),
        TEST(a_refused_return_leaves_the_chunk),
        TEST(a_refused_return_leaves_the_tags),
        TEST(a_free_end_is_charged_no_more),
        TEST(maps_go_with_what_they_describe),
        TEST(maps_that_cannot_go_stay_writable),
        TEST(maps_go_where_their_units_were_refused),
        TEST(a_free_end_stays_where_nothing_is_charged),
        TEST(what_could_not_be_had_again_stays),
        TEST(what_was_committed_in_advance_goes_too),
        TEST(a_refused_cut_changes_nothing),
        TEST(tags_of_a_window_are_free_for_others),
        TEST(large_blocks_find_room_after_small_ones),
        TEST(a_small_block_far_aligned_finds_room_after_others),
    };
    return run_unit_tests(tests);
}
