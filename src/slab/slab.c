/* slab.c - see slab.h.
 *
 * Uses: class, record, freemap, option. Locks: none.
 */
#include "slab.h"

#include "../base/bits.h"
#include "../diag/option.h"

static unsigned map_words(const struct slab *s)
{
    return (s->carved + SLAB_WORD_BITS - 1) / SLAB_WORD_BITS;
}

struct slab *slab_init(const struct span *span, unsigned class)
{
    struct slab *s = slab_at(span->record);
    *s = (struct slab){
        .base = span->base + class_first(class),
        .capacity = (uint16_t)class_capacity(class),
        .stride = class_stride(class),
        .number = span->record,
        .class = (uint8_t)class,
        .units = (uint8_t)class_units(class),
        .place = SLAB_NOWHERE,
        .fresh = span->present ? FRESH_NOWHERE : span->untouched ? FRESH_EVERYWHERE : FRESH_IN_PART,
        .marked = option_get(OPTION_failfast),
    };
    s->map = s->capacity > SLAB_WORD_BITS ? freemap_word(s->number, 0) : &s->word;
    if (s->capacity > RECORD_MAP_WORDS * SLAB_WORD_BITS) arena_note_map(s->number);
    return s;
}

void slab_retire(struct slab *s)
{
    for (unsigned w = s->low; w < map_words(s); w++) *slab_word(s, w) = 0;
    s->units = 0;
}

struct chain slab_carve(struct slab *s, uint32_t want)
{
    uint32_t count = s->capacity - s->carved;
    if (count > want) count = want;
    char *block = slab_block(s, s->carved);
    if (unlikely(s->absent)) slab_make_present(s, s->carved, count);
    struct chain chain = {.first = block, .count = count};
    for (uint32_t i = 1; i < count; i++, block += s->stride) link_set(block, block + s->stride);
    chain.last = block;
    store_relaxed(&s->carved, (uint16_t)(s->carved + count));
    s->used += (uint16_t)count;
    return chain;
}

struct chain slab_take(struct slab *s, uint32_t want)
{
    struct chain chain = {.count = 0};
    uint32_t count = slab_free_count(s);
    if (count > want) count = want;
    for (unsigned w = s->low; ; w++) {
        uint64_t *word = slab_word(s, w);
        uint64_t bits = *word;
        for (; bits && chain.count < count; bits &= bits - 1) {
            void *block = slab_block(s, w * SLAB_WORD_BITS + lowest_bit(bits));
            if (chain.count++ == 0)
                chain.first = block;
            else
                link_set(chain.last, block);
            chain.last = block;
        }
        *word = bits;
        s->low = (uint8_t)w;
        if (chain.count == count) break;
    }
    s->used += (uint16_t)count;
    return chain;
}

bool slab_give(struct slab *s, uint32_t index)
{
    uint64_t bit = slab_bit(index);
    unsigned w = index / SLAB_WORD_BITS;
    uint64_t *word = slab_word(s, w);
    if (unlikely(*word & bit)) return false;
    if (unlikely(s->absent) && slab_has_absent(s, index)) return false;
    *word |= bit;
    if (w < s->low) s->low = (uint8_t)w;
    s->used--;
    if (unlikely(s->marked)) __builtin_memset(slab_block(s, index), 0, s->stride < MARK_BYTES ? s->stride : MARK_BYTES);
    return true;
}

static bool has_mark(const struct slab *s, uint32_t index)
{
    const uint64_t *words = slab_block(s, index);
    for (unsigned i = 0; i < MARK_BYTES / 8 && i < s->stride / 8; i++)
        if (words[i] != 0) return false;
    return true;
}

COLD const void *slab_find_written(const struct slab *s)
{
    for (uint32_t i = 0; s->marked && i < s->carved; i++)
        if (slab_is_free(s, i) && !has_mark(s, i)) return slab_block(s, i);
    return NULL;
}

COLD void slab_withdraw(struct slab *s, uint32_t index)
{
    *slab_word(s, index / SLAB_WORD_BITS) &= ~slab_bit(index);
    s->used++;
}

COLD const char *slab_verify(const struct slab *s)
{
    uint32_t count = 0;
    if (s->carved > s->capacity || s->used > s->carved) return "slab I1: used <= carved <= capacity";
    for (uint32_t i = 0; i < s->capacity; i++) {
        if (!slab_is_free(s, i)) continue;
        if (i >= s->carved) return "slab I2: a free block is not carved";
        if (s->absent && slab_has_absent(s, i)) return "slab I2: a free block is absent";
        if (i / SLAB_WORD_BITS < s->low) return "slab I3: a free block is below the lowest word";
        count++;
    }
    if (s->used + count + slab_absent_count(s) != s->carved) return "slab I1: used + free + absent == carved";
    if (option_get(OPTION_failfast) && slab_find_written(s)) return "slab I5: a free block was written to";
    return slab_verify_absent(s);
}
