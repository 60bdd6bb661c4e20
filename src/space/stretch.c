/* stretch.c - where long runs lie: SuperSlabs of one chunk, one behind the other.
 *
 * Uses: chunk, density, os. Locks: none; the caller holds RANK_ARENA.
 */
#include "../base/bits.h"
#include "../os/os.h"
#include "chunk.h"
#include "density.h"

enum { CHUNK_FOR_LONG = 4 }; /* a chunk is made for a long run only if this many would fit */

/* Dirty ones of the first `units` units of SuperSlab `index`; -1 = some are occupied. Unused ones are clean. */
static int dirty_in_front(const struct chunk *c, uint32_t index, unsigned units)
{
    if (index >= c->used) return chunk_superslab_length(c, index) >= units * (size_t)UNIT_SIZE ? 0 : -1;
    const struct superslab *s = &c->superslabs[index];
    uint32_t front = bit_run(0, units);
    return s->occupied & front ? -1 : (int)bit_count(s->dirty & front);
}

/* Slides a window of whole SuperSlabs and, behind it, `tail` units over the chunk. Returns the dirty units of the
 * best place before SuperSlab `end`, and the index of its first SuperSlab; -1 = there is none. Where large blocks are
 * hardly touched, dirty units are no gain, and the first place does. */
static int chunk_search_long(const struct chunk *c, uint32_t end, unsigned whole, unsigned tail, uint32_t *first)
{
    int enough = density_is_low() ? 0 : (int)(whole * SUPERSLAB_UNITS + tail);
    int best = -1;
    int sum = 0;         /* dirty units of the window */
    unsigned length = 0; /* SuperSlabs of the window */
    for (uint32_t i = 0; i + (tail > 0) < end && i < c->used + whole; i++) {
        int dirty = dirty_in_front(c, i, SUPERSLAB_UNITS);
        if (dirty < 0) {
            sum = 0;
            length = 0;
            continue;
        }
        sum += dirty;
        if (length == whole)
            sum -= dirty_in_front(c, i - whole, SUPERSLAB_UNITS);
        else
            length++;
        if (length < whole) continue;
        int behind = tail > 0 ? dirty_in_front(c, i + 1, tail) : 0;
        if (behind < 0 || sum + behind <= best) continue;
        best = sum + behind;
        *first = i + 1 - whole;
        if (best >= enough) break;
    }
    return best;
}

/* The best place of all chunks, SuperSlabs never used included or not. NULL = there is none. */
static struct chunk *search_long(bool grow, unsigned whole, unsigned tail, uint32_t *first)
{
    struct chunk *best = NULL;
    int best_dirty = -1;
    for (uint32_t block = 1; block <= chunk_last_block; block++) {
        struct chunk *c = chunk_of_block[block];
        if (!c || c->empty + (grow ? c->total - c->used : 0) < whole) continue;
        uint32_t place = 0;
        int dirty = chunk_search_long(c, grow ? c->total : c->used, whole, tail, &place);
        if (dirty <= best_dirty) continue;
        best = c;
        best_dirty = dirty;
        *first = place;
    }
    return best;
}

/* In SuperSlabs never used, too, or not. */
static bool find_long(bool unused, unsigned count, bool grow, struct stretch *stretch)
{
    uint32_t first = 0;
    unsigned whole = count / SUPERSLAB_UNITS;
    unsigned tail = count % SUPERSLAB_UNITS;
    struct chunk *c = search_long(unused, whole, tail, &first);
    if (!c) return false;
    uint32_t end = first + whole + (tail > 0);
    stretch->unused = end > c->used ? end - c->used : 0;
    stretch->first = &c->superslabs[first];
    return stretch->unused == 0 || ((grow || !os_memory_is_charged()) && chunk_use(c, stretch->unused));
}

bool chunk_find_long(unsigned count, bool grow, struct stretch *stretch)
{
    stretch->first = NULL;
    if (find_long(true, count, grow, stretch) || find_long(false, count, grow, stretch)) return true;
    bool had_place = stretch->first != NULL; /* but no memory for it */
    if (had_place || os_memory_is_charged() || !chunk_add(CHUNK_FOR_LONG * (size_t)count * UNIT_SIZE)) return false;
    return find_long(true, count, grow, stretch);
}
