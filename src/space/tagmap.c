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
    NARROW_MIN = 8 * 1024 * 1024,           /* describes 64 GiB: a limit that was set may be raised again */
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

static bool fits_full_map(size_t limit)
{
    return limit >= TAGMAP_LIMIT_MIN;
}

/* A window describes 32 times the address space that the process may have, so that mappings near each
 * other do not meet. */
static size_t window_size(size_t limit)
{
    size_t size = TAGMAP_SIZE / 64;
    while (size > limit / 256 && size > WINDOW_MIN) size /= 2;
    return size;
}

COLD bool tagmap_init(void)
{
    size_t limit = os_address_limit();
    if (fits_full_map(limit) && use_map(TAGMAP_SIZE, 0)) return true;
    for (size_t window = window_size(limit); window >= WINDOW_MIN; window /= 4)
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

bool tagmap_is_too_large(size_t limit)
{
    return tagmap.mask && !tagmap.windowed && !fits_full_map(limit);
}

/* Of the piece of a full map. false = an entry's place is taken, or cannot be had. */
static bool copy_piece(const uint64_t *from, size_t piece)
{
    uint64_t *entries = (uint64_t *)(uintptr_t)tagmap.entries;
    for (size_t i = piece * PIECE_ENTRIES; i < (piece + 1) * PIECE_ENTRIES; i++) {
        if (from[i] == 0) continue;
        size_t to = tagmap_index(&tagmap, (uintptr_t)i << UNIT_SHIFT);
        if (!make_writable(to / PIECE_ENTRIES) || entries[to] != 0) return false;
        entries[to] = from[i] | TAG_WINDOWED;
    }
    return true;
}

static bool copy_map(const uint64_t *from, const uint8_t *pieces)
{
    for (size_t piece = 0; piece < PIECES; piece++)
        if ((pieces[piece / 8] & (1u << piece % 8)) && !copy_piece(from, piece)) return false;
    return true;
}

/* `pieces` is room for those of the full map. false = that is in its place again. */
static bool exchange_maps(const uint64_t *entries, size_t size, uint8_t *pieces)
{
    struct tagmap full = tagmap;
    __builtin_memcpy(pieces, piece_is_writable, sizeof(piece_is_writable));
    __builtin_memset(piece_is_writable, 0, sizeof(piece_is_writable));
    tagmap = (struct tagmap){.entries = entries, .mask = size - sizeof(*entries), .windowed = TAG_WINDOWED};
    if (copy_map(full.entries, pieces)) return true;
    __builtin_memcpy(piece_is_writable, pieces, sizeof(piece_is_writable));
    tagmap = full;
    return false;
}

COLD bool tagmap_narrow(size_t limit)
{
    size_t wish = window_size(limit);
    size_t size = wish < NARROW_MIN ? NARROW_MIN : wish;
    const uint64_t *full = tagmap.entries;
    const uint64_t *window = os_reserve_readable(size);
    uint8_t *pieces = os_map(sizeof(piece_is_writable));
    bool done = window && pieces && exchange_maps(window, size, pieces);
    if (pieces) (void)os_unmap(pieces, sizeof(piece_is_writable));
    if (done)
        (void)os_unmap((void *)(uintptr_t)full, TAGMAP_SIZE);
    else if (window)
        (void)os_unmap((void *)(uintptr_t)window, size);
    return done;
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
