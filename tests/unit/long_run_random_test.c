/* long_run_random_test.c - runs of all lengths and large blocks, taken, resized and given at random: no byte and no
 * count is lost, and a long run always goes to the best place there is. Seeded, the same in every run.
 */
#include "unit.h"

static const size_t MIB = (size_t)1 << 20;
enum { RUN_STEPS = 4000, BLOCK_STEPS = 1500 };

static struct {
    struct span span;
    unsigned count;
    uint64_t mark;
} held[32];

static uint32_t dirty[LONG_SUPERSLABS_MAX]; /* of the run taken last */
static unsigned step;

static void require_whole(void)
{
    const char *broken = arena_verify();
    require(!broken, "step %u: %s", step, broken);
    broken = large_verify();
    require(!broken, "step %u: %s", step, broken);
}

/* ---- runs ---- */

static bool is_dirty(unsigned unit)
{
    return dirty[unit / SUPERSLAB_UNITS] >> unit % SUPERSLAB_UNITS & 1;
}

/* The first or the last word of a unit. */
static uint64_t *word_of(unsigned h, unsigned unit, unsigned end)
{
    return (uint64_t *)(held[h].span.base + unit * (uintptr_t)UNIT_SIZE + end * (uintptr_t)(UNIT_SIZE - 8));
}

static void require_marks(unsigned h)
{
    for (unsigned i = 0; i < held[h].count * 2; i++)
        require(*word_of(h, i / 2, i % 2) == (held[h].mark ^ i), "step %u, unit %u of %u", step, i / 2, held[h].count);
}

static void require_zero_where_clean(unsigned h)
{
    for (unsigned i = 0; i < held[h].count * 2; i++)
        require(is_dirty(i / 2) || *word_of(h, i / 2, i % 2) == 0, "step %u, unit %u of %u", step, i / 2,
                held[h].count);
}

static void mark_from(unsigned h, unsigned unit)
{
    for (unsigned i = unit * 2; i < held[h].count * 2; i++) *word_of(h, i / 2, i % 2) = held[h].mark ^ i;
}

/* Dirty ones of `count` units from SuperSlab `first` on; -1 = not all are free. */
static int dirty_at(const struct chunk *c, uint32_t first, unsigned count)
{
    int sum = 0;
    if (first * SUPERSLAB_UNITS + (size_t)count > c->size / UNIT_SIZE) return -1;
    for (unsigned i = 0; i < count; i++) {
        uint32_t index = first + i / SUPERSLAB_UNITS;
        if (index >= c->used) continue;
        if (c->superslabs[index].occupied >> i % SUPERSLAB_UNITS & 1) return -1;
        sum += c->superslabs[index].dirty >> i % SUPERSLAB_UNITS & 1;
    }
    return sum;
}

/* Of all places, one by one. */
static int most_dirty(unsigned count)
{
    int most = -1;
    for (uint32_t block = 1; block <= chunk_last_block; block++) {
        const struct chunk *c = chunk_of_block[block];
        for (uint32_t first = 0; c && first <= c->used; first++)
            if (dirty_at(c, first, count) > most) most = dirty_at(c, first, count);
    }
    return most;
}

static bool take_long(unsigned h, unsigned count)
{
    int most = most_dirty(count), found = 0;
    bool may_be_refused = most < 0 && CHUNK_FOR_LONG * (size_t)count * UNIT_SIZE + SUPERSLAB_SIZE > fake.map_bytes_max;
    if (!arena_take_long(count, count * (size_t)UNIT_SIZE, false, false, &held[h].span, dirty)) {
        require(may_be_refused, "step %u: %u units", step, count);
        return false;
    }
    for (unsigned i = 0; i < count; i++) found += is_dirty(i);
    require(found == (most < 0 ? 0 : most), "step %u: %d units are dirty, %d elsewhere", step, found, most);
    return true;
}

static bool take_short(unsigned h, unsigned count)
{
    require(arena_take(count, false, &held[h].span));
    dirty[0] = held[h].span.dirty;
    return true;
}

static void take_run(unsigned h, unsigned count)
{
    if (!(count > SUPERSLAB_UNITS ? take_long(h, count) : take_short(h, count))) return;
    held[h].count = count;
    held[h].mark = (step + 1) * UINT64_C(0x9e3779b97f4a7c15);
    require_zero_where_clean(h);
    mark_from(h, 0);
}

static void extend_run(unsigned h, unsigned more)
{
    unsigned old = held[h].count;
    require_marks(h);
    if (!arena_extend(held[h].span.record, old, more)) return;
    held[h].count += more;
    mark_from(h, old);
}

static void give_behind(unsigned h, unsigned left)
{
    require_marks(h);
    arena_give(held[h].span.base + left * (uintptr_t)UNIT_SIZE, held[h].span.record + left, held[h].count - left);
    held[h].count = left;
}

static void use_runs(unsigned seed)
{
    require(tagmap_init());
    for (step = 0; step < RUN_STEPS; step++) {
        unsigned h = (unsigned)rand_r(&seed) % array_length(held), dice = (unsigned)rand_r(&seed) % 100;
        unsigned longest = dice < 40 ? SUPERSLAB_UNITS : dice < 85 ? 128 : LONG_UNITS_MAX;
        unsigned count = 1 + (unsigned)rand_r(&seed) % longest;
        fake_fail_every(FAKE_PURGE, dice % 2 ? 3 : 0);
        if (held[h].count == 0) take_run(h, count);
        else if (dice < 30) extend_run(h, count);
        else give_behind(h, dice < 60 ? count % held[h].count : 0);
        if (dice >= 96) (void)arena_purge(dice == 96);
        require_whole();
    }
    for (unsigned h = 0; h < array_length(held); h++)
        if (held[h].count > 0) give_behind(h, 0);
    struct arena_usage usage;
    arena_usage(&usage);
    require(usage.free_units == usage.units);
    require_whole();
}

static void runs_keep_their_bytes(void)
{
    use_runs(4711);
}

/* Chunks of 64 MiB: a run that none has room for is refused. */
static void runs_of_small_chunks_keep_their_bytes(void)
{
    fake.map_bytes_max = 66 * MIB;
    use_runs(1742);
}

/* ---- blocks ---- */

static struct {
    unsigned char *p;
    size_t size;
    uint64_t mark;
} block[12];

enum { STRIDE = 8192 - 64 }; /* between the words that are looked at */

static void require_block(unsigned b, size_t size)
{
    for (size_t i = 0; i + 8 <= size; i += STRIDE)
        require(*(uint64_t *)(void *)(block[b].p + i) == (block[b].mark ^ i), "step %u: byte %zu of %zu", step, i,
                size);
}

static void enter_block(unsigned b, void *p, size_t size, bool zero)
{
    if (!p) return;
    block[b].p = p;
    block[b].size = size;
    block[b].mark = (step + 1) * UINT64_C(0xbf58476d1ce4e5b9);
    require(hak_usable_size(p) >= size);
    for (size_t i = 0; i + 8 <= size; i += STRIDE) {
        uint64_t *word = (uint64_t *)(void *)(block[b].p + i);
        require(!zero || *word == 0, "step %u: byte %zu of %zu is stale", step, i, size);
        *word = block[b].mark ^ i;
    }
}

static void resize_block(unsigned b, size_t size)
{
    size_t old = block[b].size;
    unsigned char *p = do_realloc(block[b].p, size);
    require(p || fake.failures[FAKE_ANY] > 0, "step %u: %zu to %zu", step, old, size);
    if (p) block[b].p = p;
    require_block(b, p && size < old ? size : old);
    enter_block(b, p, size, false);
}

static size_t draw_size(unsigned *seed)
{
    static const size_t most[] = {60000, 300000, 2097152, 6000000, 20000000, 70000000};
    return 1 + (size_t)rand_r(seed) % most[(unsigned)rand_r(seed) % array_length(most)];
}

static void require_nothing_left(void)
{
    struct hak_stats stats;
    require_sound();
    require(hak_stats(&stats) == 0 && stats.live == 0 && stats.mallocs == stats.frees, "%zu bytes", stats.live);
}

static void use_blocks(unsigned seed)
{
    for (step = 0; step < BLOCK_STEPS; step++) {
        unsigned b = (unsigned)rand_r(&seed) % array_length(block), dice = (unsigned)rand_r(&seed) % 100;
        size_t size = draw_size(&seed);
        if (!block[b].p) {
            enter_block(b, dice < 50 ? do_calloc(1, size) : do_malloc(size), size, dice < 50);
        } else if (dice < 55) {
            resize_block(b, dice < 30 ? size : block[b].size + block[b].size / 4 + 1);
        } else {
            require_block(b, block[b].size);
            do_free(block[b].p);
            block[b].p = NULL;
        }
        if (block[b].p && block[b].size > 150 * MIB) resize_block(b, 100); /* bounded */
        if (dice >= 98) (void)hak_purge();
        require_whole();
        if (step % 64 == 0) require_sound();
    }
    for (unsigned b = 0; b < array_length(block); b++) do_free(block[b].p);
    require_nothing_left();
}

static void large_blocks_keep_their_bytes(void)
{
    use_blocks(99);
}

static void large_blocks_keep_their_bytes_when_calls_are_refused(void)
{
    fake_fail_every(FAKE_ANY, 4);
    use_blocks(100);
}

/* Chunks are of 128 MiB, and the address space ends again and again. */
static void large_blocks_keep_their_bytes_where_addresses_are_few(void)
{
    fake.address_limit = 2048 * MIB;
    fake.address_bytes_max = 500 * MIB;
    use_blocks(101);
    require(fake.failures[FAKE_ANY] > 0);
}

static bool is_mapped(const void *p)
{
    return tag_offset(tagmap_get(p)) == TAG_MAPPING;
}

/* The way up: a run, a run that is outgrown, a mapping that grows without copying, and down again. */
static void a_block_grows_from_1_byte_to_256_mib_and_back(void)
{
    void *before = do_malloc(3 * MIB), *behind;
    enter_block(0, do_malloc(1), 1, false);
    do_free(before);
    unsigned copied = 0;
    for (size_t size = 1; size <= 256 * MIB; size += size / 2 + 1) {
        bool was_large = block[0].size > SUPERSLAB_SIZE, was_mapping = is_mapped(block[0].p);
        resize_block(0, size);
        bool is_mapping = is_mapped(block[0].p);
        require(is_mapping || !was_mapping, "%zu: a mapping stays one", size);
        copied += was_large && is_mapping && !was_mapping;
        behind = do_malloc(100000);
        do_free(behind);
    }
    require(copied <= 1 && fake.calls[FAKE_REMAP] > 0);
    for (size_t size = 256 * MIB; size > 0; size -= size / 3 + 1) resize_block(0, size);
    do_free(block[0].p);
    require_nothing_left();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(runs_keep_their_bytes),
        TEST(runs_of_small_chunks_keep_their_bytes),
        TEST(large_blocks_keep_their_bytes),
        TEST(large_blocks_keep_their_bytes_when_calls_are_refused),
        TEST(large_blocks_keep_their_bytes_where_addresses_are_few),
        TEST(a_block_grows_from_1_byte_to_256_mib_and_back),
    };
    return run_unit_tests(tests);
}
