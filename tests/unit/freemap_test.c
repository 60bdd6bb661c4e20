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
static void maps_become_writable_with_the_memory(void)
{
    uint32_t record = first_record();
    struct chunk *c = chunk_of_block[record >> RECORD_INDEX_BITS];
    require(c->mapped == c->committed / UNIT_SIZE && c->mapped < c->capacity, "%u of %u", c->mapped, c->capacity);
    for (unsigned i = 0; i < 5 * SUPERSLAB_UNITS; i++) {
        struct span span;
        require(arena_take(1, false, &span));
        *freemap_word(span.record, FREEMAP_WORDS - 1) = 1;
        require(c->mapped >= c->committed / UNIT_SIZE);
    }
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
        TEST(maps_become_writable_with_the_memory),
        TEST(maps_that_are_refused_refuse_the_memory),
    };
    return run_unit_tests(tests);
}
