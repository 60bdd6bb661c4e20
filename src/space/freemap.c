/* freemap.c - see freemap.h.
 *
 * Uses: record, os. Locks: none; the caller holds RANK_ARENA.
 */
#include "freemap.h"

#include "../base/bits.h"

/* In whole pages. */
static size_t mapped_bytes(size_t units)
{
    return align_up(freemap_rests(units), os_page_size());
}

/* The first part of a reservation is a mapping more, all of it is none: for a process that may have none. */
static bool commit_end(char *p, size_t size, size_t bytes)
{
    return os_commit(p + size - bytes, bytes) || (!os_memory_is_charged() && os_commit(p, size));
}

/* The page in which the records end may be theirs and of what is behind them. Small pages: only what is touched shall
 * have memory. */
void *freemap_map(size_t units, size_t books)
{
    size_t rests = mapped_bytes(units);
    size_t behind = align_down(units * sizeof(struct record), os_page_size());
    books = align_up(books, os_page_size());
    char *p = os_reserve(rests + books);
    if (!p) return NULL;
    if (!commit_end(p, rests + books, books - behind)) {
        (void)os_unmap(p, rests + books);
        return NULL;
    }
    os_allow_huge(p, rests + books, false);
    add_relaxed(&records.bytes, books);
    return p + rests;
}

void freemap_unmap(void *p, size_t units, size_t books)
{
    size_t rests = mapped_bytes(units);
    books = align_up(books, os_page_size());
    if (os_unmap((char *)p - rests, rests + books)) sub_relaxed(&records.bytes, books);
}

bool freemap_commit(uint32_t record, size_t ready, size_t units)
{
    size_t bytes = mapped_bytes(units) - mapped_bytes(ready);
    return bytes == 0 || os_commit((char *)(void *)record_at(record) - mapped_bytes(units), bytes);
}

/* What lies in front of it was never writable: both are one mapping again. */
bool freemap_uncommit(uint32_t record, size_t ready, size_t units)
{
    size_t bytes = mapped_bytes(ready) - mapped_bytes(units);
    char *begin = (char *)(void *)record_at(record) - mapped_bytes(ready);
    if (bytes == 0) return true;
    if (!os_uncommit(begin, bytes)) return false;
    os_allow_huge(begin, bytes, false);
    return true;
}

void freemap_purge(uint32_t record, size_t units)
{
    uint32_t first = record % RECORDS_PER_BLOCK;
    uintptr_t top = (uintptr_t)record_at(record - first);
    uintptr_t begin = align_up(top - freemap_rests(first + units), os_page_size());
    uintptr_t end = align_down(top - freemap_rests(first), os_page_size());
    if (begin < end) (void)os_purge((void *)begin, end - begin);
}
