/* tagmap.c - see tagmap.h.
 *
 * Uses: record, os. Locks: RANK_TAGMAP.
 */
#include "tagmap.h"

#include "../base/bits.h"

enum {
    PIECE_SIZE = 64 * 1024,                 /* bytes of the map made writable at a time */
    PIECE_ENTRIES = PIECE_SIZE / 8,         /* describes 512 MiB */
    ENTRY_BITS = ADDRESS_BITS - UNIT_SHIFT,
    PIECES = 1 << (ENTRY_BITS - 13),
    WINDOW_MIN = 64 * 1024,
};

const uint64_t tagmap_nothing[1];
struct tagmap tagmap = {.entries = tagmap_nothing};

struct lock tagmap_lock = {.rank = RANK_TAGMAP};

static uint8_t piece_is_writable[PIECES / 8]; /* bit per piece; under tagmap_lock */

static bool use_map(size_t size, uint32_t windowed)
{
    const uint64_t *entries = os_reserve_readable(size);
    if (!entries) return false;
    tagmap.windowed = windowed;
    store_relaxed(&tagmap.entries, entries);
    store_release(&tagmap.mask, size - sizeof(*entries)); /* last: pairs with tagmap_entry() */
    return true;
}

/* A window describes 32 times the address space that the process may have, so that mappings near each
 * other do not meet. */
COLD bool tagmap_init(void)
{
    size_t full = sizeof(uint64_t) << ENTRY_BITS;
    size_t limit = os_address_limit();
    if (limit / 4 >= full && use_map(full, 0)) return true;
    size_t window = full / 64;
    while (window > limit / 256 && window > WINDOW_MIN) window /= 2;
    for (; window >= WINDOW_MIN; window /= 4)
        if (use_map(window, TAG_WINDOWED)) return true;
    return false;
}

static bool make_writable(size_t piece)
{
    if (piece_is_writable[piece / 8] & (1u << piece % 8)) return true;
    char *at = (char *)(uintptr_t)tagmap.entries + piece * PIECE_SIZE;
    if (!os_commit(at, PIECE_SIZE)) return false;
    piece_is_writable[piece / 8] |= (uint8_t)(1u << piece % 8);
    return true;
}

static bool window_is_free(uintptr_t base, size_t units)
{
    for (size_t i = 0; i < units; i++)
        if (tagmap.entries[tagmap_index(&tagmap, base + i * UNIT_SIZE)] != 0) return false;
    return true;
}

bool tagmap_claim(uintptr_t base, size_t size)
{
    bool done = true;
    size_t units = (size + UNIT_SIZE - 1) >> UNIT_SHIFT;
    if (base >> ADDRESS_BITS) return false;  /* 5-level addresses are only given to those who ask */
    if (units > tagmap_count(&tagmap)) return false;
    lock_acquire(&tagmap_lock);
    for (size_t i = 0; done && i < units; i += PIECE_ENTRIES)
        done = make_writable(tagmap_index(&tagmap, base + i * UNIT_SIZE) / PIECE_ENTRIES);
    if (done) done = make_writable(tagmap_index(&tagmap, base + (units - 1) * UNIT_SIZE) / PIECE_ENTRIES);
    if (done && tagmap.windowed) {
        done = window_is_free(base, units);
        if (done) tagmap_set(base, units, TAG_FREE, 0);
    }
    lock_release(&tagmap_lock);
    return done;
}

void tagmap_set(uintptr_t base, size_t units, uint32_t word, uint32_t record)
{
    uint64_t entry = (uint64_t)record << 32 | (word ? word | tagmap.windowed : 0);
    uint64_t *entries = (uint64_t *)(uintptr_t)tagmap.entries;
    size_t last = tagmap_count(&tagmap) - 1;
    for (size_t i = tagmap_index(&tagmap, base); units > 0; units--, i = (i + 1) & last)
        store_release(&entries[i], entry); /* pairs with tagmap_get() */
}
