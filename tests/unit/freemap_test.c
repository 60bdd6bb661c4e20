/* freemap_test.c - the maps of free blocks: each unit has its own, within what is mapped, and little memory. */
#include "unit.h"

static uint32_t first_record(void)
{
    struct span span;
    if (!tagmap.mask) require(tagmap_init());
    require(arena_take(1, false, &span));
    return span.record;
}

/* Pages of the rests of the first `units` units that have memory. */
static size_t map_pages(uint32_t record, size_t units)
{
    size_t pages = 0;
    uintptr_t end = (uintptr_t)record_at(record);
    for (uintptr_t p = end - freemap_rests(units); p < end; p += os_page_size()) pages += os_has_memory((void *)p);
    return pages;
}

static bool is_readable(const void *p)
{
    char text[8];
    return os_peek(p, text, sizeof(text));
}

/* All words of the maps of some units are apart, and neither in the records nor outside of the mapping. */
static void each_unit_has_a_map_of_its_own(void)
{
    enum { UNITS = 100 };
    struct span span;
    uint32_t record = first_record();
    for (unsigned i = 1; i < UNITS; i++) require(arena_take(1, false, &span) && span.record < record + UNITS);
    for (uint32_t i = 0; i < UNITS; i++)
        for (unsigned w = 0; w < FREEMAP_WORDS; w++) {
            uint64_t *word = freemap_word(record + i, w);
            require(*word == 0, "unit %u word %u is another's", i, w);
            require((uintptr_t)word < (uintptr_t)record_at(record + UNITS));
            require((uintptr_t)word >= (uintptr_t)record_at(record) - freemap_rests(UNITS));
            require((uintptr_t)word / CACHE_LINE != (uintptr_t)record_at(record + i) / CACHE_LINE, "in the record");
            *word = i * FREEMAP_WORDS + w + 1;
        }
    for (uint32_t i = 0; i < UNITS; i++)
        for (unsigned w = 0; w < FREEMAP_WORDS; w++)
            require(*freemap_word(record + i, w) == i * FREEMAP_WORDS + w + 1, "unit %u word %u", i, w);
}

/* A page of records and maps for a MiB of slabs, but where blocks are small. */
static void small_processes_pay_little(void)
{
    uint32_t record = first_record();
    for (uint32_t i = 0; i < 16; i++)
        for (unsigned w = 0; w < class_capacity(class_of(48)) / 64; w++) *freemap_word(record + i, w) = 1;
    require(map_pages(record, SUPERSLAB_UNITS) == 0);
    require(!os_has_memory((char *)(void *)record_at(record) + os_page_size()));
    *freemap_word(record, FREEMAP_WORDS - 1) = 1;
    require(map_pages(record, SUPERSLAB_UNITS) == 1);
}

static void maps_go_back_with_the_memory(void)
{
    enum { UNITS = 3 * SUPERSLAB_UNITS };
    struct span span[UNITS];
    uint32_t record = first_record();
    for (unsigned i = 1; i < UNITS; i++) {
        require(arena_take(1, false, &span[i]));
        memset((void *)span[i].base, 1, UNIT_SIZE);
        arena_note_map(span[i].record);
        for (unsigned w = 0; w < FREEMAP_WORDS; w++) *freemap_word(span[i].record, w) = 0;
    }
    for (unsigned w = 0; w < FREEMAP_WORDS; w++) *freemap_word(record, w) = 5;
    require(map_pages(record, UNITS) == 21, "%zu pages", map_pages(record, UNITS));
    for (unsigned i = 1; i < UNITS; i++) arena_give(span[i].base, span[i].record, 1);
    (void)arena_purge(true);
    require(map_pages(record, UNITS) == 7, "%zu pages", map_pages(record, UNITS));
    for (unsigned w = 0; w < FREEMAP_WORDS; w++) require(*freemap_word(record, w) == 5);
}

/* What is writable counts against limits, and is filled at once where the process locks its memory. */
static void books_become_writable_with_the_memory(void)
{
    uint32_t record = first_record();
    struct chunk *c = chunk_of_block[record >> RECORD_INDEX_BITS];
    require(c->mapped == c->committed / UNIT_SIZE && c->mapped < c->capacity, "%u of %u", c->mapped, c->capacity);
    require(c->recorded == c->mapped && !is_readable(record_at(record + c->recorded)));
    for (unsigned i = 0; i < 5 * SUPERSLAB_UNITS; i++) {
        struct span span;
        require(arena_take(1, false, &span));
        *freemap_word(span.record, FREEMAP_WORDS - 1) = 1;
        require(c->mapped >= c->committed / UNIT_SIZE);
        require(c->recorded == c->mapped && is_readable(record_at(span.record)));
    }
    require(!is_readable(record_at(record + c->recorded)));
}

/* The commits of a first take, once tags are there. */
enum { COMMIT_END_OF_BOOKS = 1, COMMIT_RECORDS, COMMIT_MAPS, COMMIT_MEMORY };

/* Chunks of 64 MiB. Whether one needs one piece of the map of tags or two is chance: all are made writable here. */
static void limit_chunks(void)
{
    fake.address_limit = (size_t)1 << 30;
    require(tagmap_init());
    size_t units = tagmap_count(&tagmap);
    require(tagmap_claim(0, units * UNIT_SIZE));
    tagmap_set(0, units, TAG_NONE, 0);
}

static struct chunk *chunk_without(unsigned commit)
{
    struct span span;
    limit_chunks();
    fake_fail(FAKE_COMMIT, commit, 1);
    require(arena_take(SUPERSLAB_UNITS, false, &span) && fake.failures[FAKE_COMMIT] == 1);
    memset((void *)span.base, 1, SUPERSLAB_SIZE);
    const char *broken = arena_verify();
    require(!broken, "%s", broken);
    return chunk_of_block[span.record >> RECORD_INDEX_BITS];
}

/* A part of a reservation is a mapping more. A process that may have none gets all of it. */
static void where_a_part_of_the_books_is_refused_all_are_writable(void)
{
    const struct chunk *c = chunk_without(COMMIT_END_OF_BOOKS);
    require(is_readable((char *)(void *)record_at(c->record) - freemap_rests(c->capacity)));
    require(c->size == (size_t)64 << 20);
}

static void where_a_part_of_the_records_is_refused_all_are_writable(void)
{
    const struct chunk *c = chunk_without(COMMIT_RECORDS);
    require(c->recorded == c->capacity && c->mapped == SUPERSLAB_UNITS);
    require(is_readable(record_at(c->record + c->capacity - 1)));
}

static void where_a_part_of_the_memory_is_refused_all_is_writable(void)
{
    const struct chunk *c = chunk_without(COMMIT_MEMORY);
    require(c->committed == c->size && c->recorded == c->capacity && c->mapped == c->capacity && c->used == 1);
    memset((char *)c->base + c->size - UNIT_SIZE, 1, UNIT_SIZE);
}

/* There such a refusal is the limit's. */
static void where_memory_is_charged_a_part_is_all(void)
{
    struct span span;
    fake.memory_is_charged = true;
    limit_chunks();
    fake_fail(FAKE_COMMIT, COMMIT_MEMORY, 1);
    require(!arena_take(SUPERSLAB_UNITS, false, &span));
    require(arena_take(SUPERSLAB_UNITS, false, &span));
    require(chunk_of_block[span.record >> RECORD_INDEX_BITS]->committed == SUPERSLAB_SIZE);
}

static void maps_that_are_refused_refuse_the_memory(void)
{
    struct span span;
    (void)first_record();
    for (uint64_t every = 1; every <= 2; every++) {
        fake_fail_every(FAKE_COMMIT, every);
        bool done = true;
        for (unsigned i = 0; i < 200 && done; i++) done = arena_take(1, false, &span);
        require(every > 1 || !done);
        fake_fail_nothing();
        const char *broken = arena_verify();
        require(!broken, "%s", broken);
    }
    for (unsigned i = 0; i < 200; i++) {
        require(arena_take(1, false, &span));
        *freemap_word(span.record, FREEMAP_WORDS - 1) = 1;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_unit_has_a_map_of_its_own),
        TEST(small_processes_pay_little),
        TEST(maps_go_back_with_the_memory),
        TEST(books_become_writable_with_the_memory),
        TEST(where_a_part_of_the_books_is_refused_all_are_writable),
        TEST(where_a_part_of_the_records_is_refused_all_are_writable),
        TEST(where_a_part_of_the_memory_is_refused_all_is_writable),
        TEST(where_memory_is_charged_a_part_is_all),
        TEST(maps_that_are_refused_refuse_the_memory),
    };
    return run_unit_tests(tests);
}
