/* record.c - see record.h.
 *
 * Uses: os. Locks: RANK_RECORD.
 */
#include "record.h"

#include "../base/bits.h"

struct record *record_block[RECORD_BLOCKS];

struct lock record_lock = {.rank = RANK_RECORD};

struct records records;

void *record_map(size_t size)
{
    size = align_up(size, os_page_size());
    void *p = os_map(size);
    if (p) add_relaxed(&records.bytes, size);
    return p;
}

void record_unmap(void *p, size_t size)
{
    size = align_up(size, os_page_size());
    if (os_unmap(p, size)) sub_relaxed(&records.bytes, size);
}

static size_t whole_pages(size_t count)
{
    return align_up(count * sizeof(struct record), os_page_size());
}

bool record_commit(uint32_t first, size_t ready, size_t count)
{
    size_t begin = whole_pages(ready);
    size_t bytes = whole_pages(count) - begin;
    return bytes == 0 || os_commit((char *)(void *)record_at(first) + begin, bytes);
}

uint32_t record_block_add(struct record *block)
{
    uint32_t number = 0;
    lock_acquire(&record_lock);
    if (records.blocks + 1 < RECORD_BLOCKS) {
        number = ++records.blocks << RECORD_INDEX_BITS;
        store_release(&record_block[number >> RECORD_INDEX_BITS], block);
    }
    lock_release(&record_lock);
    return number;
}

size_t record_bytes(void)
{
    return load_relaxed(&records.bytes);
}
