/* block_test.c - what a reader from outside goes by: the note, the block, and where it points. */
#include "unit.h"

#include <link.h>

/* What the first note of ours leads to, as a reader would find it. */
static int look_for_note(struct dl_phdr_info *info, size_t size, void *found)
{
    (void)size;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type != PT_NOTE) continue;
        const char *notes = (const char *)info->dlpi_addr + p->p_vaddr;
        for (size_t at = 0; at + 12 <= p->p_memsz;) {
            uint32_t head[3];
            memcpy(head, notes + at, sizeof(head));
            const char *content = notes + at + 12 + (head[0] + 3) / 4 * 4;
            if (head[2] == BLOCK_NOTE_TYPE && head[0] == 7 && memcmp(notes + at + 12, "hakmem", 7) == 0) {
                int64_t distance;
                memcpy(&distance, content, sizeof(distance));
                *(const void **)found = content + distance;
                return 1;
            }
            at = (size_t)(content - notes) + (head[1] + 3) / 4 * 4;
        }
    }
    return 0;
}

static void the_note_leads_to_the_block(void)
{
    const void *found = NULL;
    dl_iterate_phdr(look_for_note, &found);
    require(found == &hakmem_block);
}

static void the_block_says_what_it_is(void)
{
    require(memcmp(hakmem_block.magic, BLOCK_MAGIC, sizeof(hakmem_block.magic)) == 0);
    require(hakmem_block.format == BLOCK_FORMAT && hakmem_block.size == sizeof(hakmem_block));
    require(strcmp(hakmem_block.version, hak_version()) == 0);
    require(strcmp(hakmem_block.build_id, hak_build_id()) == 0);
}

static void the_block_leads_to_every_table(void)
{
    void *p = do_malloc(100);
    void *q = do_malloc(100000);
    struct tag tag = tagmap_get(p);
    require(*hakmem_block.heap_count == 2);
    require(&hakmem_block.heap_block[0][HEAP_COMMON] == heap_common);
    require(&hakmem_block.heap_block[0][2].front == heap_self);
    require(hakmem_block.tagmap->entries == tagmap.entries);
    require(hakmem_block.records->blocks == 1 && hakmem_block.records->bytes == record_bytes());
    require(hakmem_block.chunk_of_block[1]->used == 1);
    require(hakmem_block.chunk_of_block[1]->base == chunk_superslab_of(tag.record)->base);
    require(&hakmem_block.record_block[1][tag.record & (RECORDS_PER_BLOCK - 1)] == record_at(tag.record));
    require(hakmem_block.arena->units == SUPERSLAB_UNITS);
    require(hakmem_block.arena->runs.mallocs == 1);
    void *m = large_alloc((size_t)80 << 20, 1, false);
    require(hakmem_block.mapped->count == 1 && hakmem_block.mapped->mallocs == 1);
    require(large_free(m, tagmap_get(m)));
    do_free(q);
    do_free(p);
}

static void the_words_to_write_are_those_that_are_read(void)
{
    hakmem_block.option_value[OPTION_purge_delay] = 17;
    require(option_get(OPTION_purge_delay) == 17);
    require(hakmem_block.cache_epoch == &cache_epoch);
    require(hakmem_block.reclaim_request == &reclaim_request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_note_leads_to_the_block),
        TEST(the_block_says_what_it_is),
        TEST(the_block_leads_to_every_table),
        TEST(the_words_to_write_are_those_that_are_read),
    };
    return run_unit_tests(tests);
}
