/* absent.c - granules of a slab that have no memory. See slab.h.
 *
 * Uses: class. Callers: slab.c, cache (heap.c). Locks: none; ownership is the lock.
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

enum { ALL_GRANULES = (1 << SLAB_GRANULES) - 1 };

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

/* ---- giving back ---- */

static uint32_t block_index(const struct slab *s, const void *block)
{
    return (uint32_t)((uintptr_t)block - s->base) / s->stride;
}

/* Counts the free blocks that overlap each granule. A list that ends after as many blocks as are free holds none of
 * them twice. false = it does not, or leads elsewhere. */
static bool count_free(const struct slab *s, uint16_t count[SLAB_GRANULES])
{
    uint32_t left = slab_free_count(s);
    const void *last = s->free_tail;
    for (const void *b = s->free; b; last = b, b = link_get(b)) {
        if (left-- == 0 || !slab_is_block(s, b)) return false;
        uint32_t granules = granules_under(s, block_index(s, b), 1);
        if (unlikely(granules & s->absent)) return false;
        for (; granules; granules &= granules - 1) count[lowest_bit(granules)]++;
    }
    return left == 0 && (!s->free || last == s->free_tail);
}

bool slab_find_vacant(const struct slab *s, uint32_t *granules)
{
    uint16_t count[SLAB_GRANULES] = {0};
    *granules = 0;
    if (!count_free(s, count)) return false;
    for (unsigned g = 0; g < SLAB_GRANULES; g++) {
        struct blocks blocks = blocks_over(s, g);
        bool is_carved = blocks.begin < s->carved;
        bool is_vacant = count[g] == (is_carved ? blocks.end - blocks.begin : 0);
        if (is_vacant && may_be_absent(s, blocks)) *granules |= 1u << g;
    }
    *granules &= ~(uint32_t)s->absent;
    return true;
}

void slab_make_absent(struct slab *s, uint32_t granules)
{
    void **end = &s->free;
    s->free_sum = 0;
    for (void *b = s->free, *next; b; b = next) {
        next = link_get(b);
        if (granules_under(s, block_index(s, b), 1) & granules) continue;
        *end = b;
        end = b;
        s->free_tail = b;
        s->free_sum += slab_word(s, b);
    }
    *end = NULL;
    s->absent |= (uint16_t)granules;
}

/* ---- bringing back ---- */

void slab_make_present(struct slab *s, uint32_t first, uint32_t count)
{
    s->absent &= (uint16_t)~granules_under(s, first, count);
}

void slab_restore(struct slab *s, uint32_t granules)
{
    struct chain chain = {.count = 0};
    uint32_t next = 0; /* blocks before it are back, or stay absent */
    s->absent &= (uint16_t)~granules;
    for (; granules; granules &= granules - 1) {
        struct blocks blocks = blocks_over(s, lowest_bit(granules));
        if (blocks.end > s->carved) blocks.end = s->carved;
        for (uint32_t i = blocks.begin > next ? blocks.begin : next; i < blocks.end; i++) {
            void *block = slab_block(s, i);
            if (granules_under(s, i, 1) & s->absent) continue;
            if (chain.count++ == 0)
                chain.first = block;
            else
                link_set(chain.last, block);
            chain.last = block;
            s->free_sum += slab_word(s, block);
        }
        if (next < blocks.end) next = blocks.end;
    }
    if (chain.count == 0) return;
    if (!s->free) s->free_tail = chain.last;
    link_set(chain.last, s->free);
    s->free = chain.first;
}

/* The first absent granule, and those that its first block needs besides: the lowest addresses first. */
void slab_revive(struct slab *s)
{
    struct blocks blocks = blocks_over(s, lowest_bit(s->absent));
    slab_restore(s, granules_under(s, blocks.begin, 1) & s->absent);
}

/* ---- checks ---- */

bool slab_has_absent(const struct slab *s, const void *first, uint32_t count)
{
    for (const void *b = first; s->absent && count > 0; count--) {
        if (granules_under(s, block_index(s, b), 1) & s->absent) return true;
        if (count > 1) b = link_get(b);
    }
    return false;
}

COLD const char *slab_verify_absent(const struct slab *s)
{
    for (uint32_t granules = s->absent; granules; granules &= granules - 1)
        if (!may_be_absent(s, blocks_over(s, lowest_bit(granules))))
            return "slab I4: an absent granule is where carving ends, or without blocks";
    return NULL;
}
