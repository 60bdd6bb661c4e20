/* absent.c - granules of a slab that have no memory. See slab.h.
 *
 * Uses: class, freemap. Callers: slab.c, cache (heap.c). Locks: none; ownership is the lock.
 *
 *   granules  |   0   |   1   |   2   |   3   | ...
 *   blocks    |  a  |  b  |  c  |  d  |  e  | ...     d in use: 2 and what overlaps it stays; with a, b and c free,
 *                                                     0 and 1 can go, and a, b and c are absent
 *
 * A granule that has both carved blocks and such as are yet to be carved keeps its memory: else the next carving would
 * have to bring back blocks of which it knows nothing.
 */
#include "../base/bits.h"
#include "slab.h"

/* Blocks from begin on, before end. */
struct blocks {
    uint32_t begin;
    uint32_t end;
};

static unsigned granule_shift(const struct slab *s)
{
    return highest_bit(slab_granule_size(s));
}

/* Bytes of the slab before its first block. */
static uint32_t first_offset(const struct slab *s)
{
    return (uint32_t)(s->base - slab_units_base(s));
}

/* The granules that `count` neighbouring blocks overlap, at least one. */
static uint32_t granules_under(const struct slab *s, uint32_t first, uint32_t count)
{
    uint32_t begin = first_offset(s) + first * s->stride;
    uint32_t end = begin + count * s->stride - 1;
    unsigned low = begin >> granule_shift(s);
    return bit_run(low, (end >> granule_shift(s)) - low + 1);
}

/* The blocks that overlap a granule, carved or not. */
static struct blocks blocks_over(const struct slab *s, unsigned granule)
{
    uint32_t begin = granule << granule_shift(s);
    uint32_t end = begin + (uint32_t)slab_granule_size(s) - first_offset(s);
    begin -= granule > 0 ? first_offset(s) : 0;
    struct blocks blocks = {.begin = begin / s->stride, .end = (end + s->stride - 1) / s->stride};
    if (blocks.end > s->capacity) blocks.end = s->capacity;
    return blocks;
}

uint32_t slab_blocks_over(const struct slab *s, uint32_t granules, uint32_t limit)
{
    uint32_t count = 0;
    uint32_t next = 0; /* blocks before it are counted */
    for (; granules; granules &= granules - 1) {
        struct blocks blocks = blocks_over(s, lowest_bit(granules));
        if (blocks.begin < next) blocks.begin = next;
        if (blocks.end > limit) blocks.end = limit;
        if (blocks.begin >= blocks.end) continue;
        count += blocks.end - blocks.begin;
        next = blocks.end;
    }
    return count;
}

/* true = it may be absent as far as I4 goes. */
static bool may_be_absent(const struct slab *s, struct blocks blocks)
{
    if (blocks.begin >= blocks.end) return false; /* nobody would ever bring it back */
    return s->carved <= blocks.begin || s->carved >= blocks.end;
}

/* Bits of word `w` of the map that stand for these blocks. */
static uint64_t bits_of(struct blocks blocks, uint32_t w)
{
    uint32_t first = w * SLAB_WORD_BITS;
    uint64_t bits = UINT64_MAX;
    if (blocks.begin > first) bits <<= blocks.begin - first;
    if (blocks.end < first + SLAB_WORD_BITS) bits &= (UINT64_C(1) << (blocks.end - first)) - 1;
    return bits;
}

/* ---- giving back ---- */

static bool are_free(const struct slab *s, struct blocks blocks)
{
    for (uint32_t w = blocks.begin / SLAB_WORD_BITS; w * SLAB_WORD_BITS < blocks.end; w++)
        if (~*slab_word(s, w) & bits_of(blocks, w)) return false;
    return true;
}

uint32_t slab_find_vacant(const struct slab *s)
{
    uint32_t granules = 0;
    for (unsigned g = 0; g < SLAB_GRANULES; g++) {
        struct blocks blocks = blocks_over(s, g);
        bool is_carved = blocks.begin < s->carved;
        if (may_be_absent(s, blocks) && (!is_carved || are_free(s, blocks))) granules |= 1u << g;
    }
    return granules & ~(uint32_t)s->absent;
}

void slab_make_absent(struct slab *s, uint32_t granules)
{
    s->absent |= (uint16_t)granules;
    for (; granules; granules &= granules - 1) {
        struct blocks blocks = blocks_over(s, lowest_bit(granules));
        for (uint32_t w = blocks.begin / SLAB_WORD_BITS; w * SLAB_WORD_BITS < blocks.end; w++)
            *slab_word(s, w) &= ~bits_of(blocks, w);
    }
}

/* ---- bringing back ---- */

void slab_make_present(struct slab *s, uint32_t first, uint32_t count)
{
    s->absent &= (uint16_t)~granules_under(s, first, count);
}

void slab_restore(struct slab *s, uint32_t granules)
{
    s->absent &= (uint16_t)~granules;
    for (; granules; granules &= granules - 1) {
        struct blocks blocks = blocks_over(s, lowest_bit(granules));
        for (uint32_t i = blocks.begin; i < blocks.end && i < s->carved; i++)
            if (!slab_has_absent(s, i)) *slab_word(s, i / SLAB_WORD_BITS) |= slab_bit(i);
        if (blocks.begin / SLAB_WORD_BITS < s->low) s->low = (uint8_t)(blocks.begin / SLAB_WORD_BITS);
    }
}

/* The first absent granule, and those that its first block needs besides: the lowest addresses first. */
void slab_revive(struct slab *s)
{
    struct blocks blocks = blocks_over(s, lowest_bit(s->absent));
    slab_restore(s, granules_under(s, blocks.begin, 1) & s->absent);
}

/* ---- checks ---- */

bool slab_has_absent(const struct slab *s, uint32_t index)
{
    return granules_under(s, index, 1) & s->absent;
}

COLD const char *slab_verify_absent(const struct slab *s)
{
    for (uint32_t granules = s->absent; granules; granules &= granules - 1)
        if (!may_be_absent(s, blocks_over(s, lowest_bit(granules))))
            return "slab I4: an absent granule is where carving ends, or without blocks";
    return NULL;
}
