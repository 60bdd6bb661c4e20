/* slab.c - see slab.h.
 *
 * Uses: class, record. Locks: none.
 */
#include "slab.h"

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
        .fresh = !span->present,
    };
    return s;
}

bool slab_is_block(const struct slab *s, const void *p)
{
    uintptr_t offset = (uintptr_t)p - s->base;
    if (offset >= load_relaxed(&s->carved) * (uintptr_t)s->stride) return false;
    return (uint32_t)offset % s->stride == 0;
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

struct chain slab_take_free(struct slab *s)
{
    struct chain chain = {.first = s->free, .last = s->free_tail, .count = slab_free_count(s)};
    s->free = NULL;
    s->used += (uint16_t)chain.count;
    s->free_sum = 0;
    return chain;
}

void *slab_take_one(struct slab *s)
{
    void *block = s->free;
    s->free = link_get(block);
    s->free_sum -= slab_word(s, block);
    s->used++;
    return block;
}

bool slab_give(struct slab *s, struct chain chain)
{
    if (unlikely(chain.count > s->used)) return false;
    if (unlikely(chain.first == s->free)) return false;
    if (unlikely(s->absent) && slab_has_absent(s, chain.first, chain.count)) return false;
    const void *block = chain.first;
    s->free_sum += slab_word(s, block);
    for (uint32_t i = 1; i < chain.count; i++) s->free_sum += slab_word(s, block = link_get(block));
    if (!s->free) s->free_tail = chain.last;
    link_set(chain.last, s->free);
    s->free = chain.first;
    s->used -= (uint16_t)chain.count;
    return true;
}

/* Blocks 0 ... carved - 1, each once. */
bool slab_is_complete(const struct slab *s)
{
    if (s->absent) return !slab_find_fault(s);
    uint32_t steps = s->carved * (s->carved - 1u) / 2;
    return s->free_sum == (uint16_t)(steps * (s->stride / 8));
}

COLD const void *slab_find_fault(const struct slab *s)
{
    uint64_t met[UNIT_SIZE / 8 / 64] = {0};
    for (const void *b = s->free; b; b = link_get(b)) {
        if (!slab_is_block(s, b)) return b;
        uint32_t index = (uint32_t)((uintptr_t)b - s->base) / s->stride;
        if (met[index / 64] >> index % 64 & 1) return b;
        met[index / 64] |= UINT64_C(1) << index % 64;
    }
    return NULL;
}

COLD bool slab_lists(const struct slab *s, const void *block)
{
    uint32_t count = slab_free_count(s);
    for (const void *b = s->free; b && count > 0 && slab_is_block(s, b); b = link_get(b), count--)
        if (b == block) return true;
    return false;
}

COLD void slab_distrust(struct slab *s)
{
    s->free = NULL;
    s->free_sum = 0;
    s->used = (uint16_t)(s->carved - slab_absent_count(s));
}

COLD const char *slab_verify(const struct slab *s)
{
    uint32_t count = 0;
    uint16_t sum = 0;
    const void *last = NULL;
    if (s->carved > s->capacity || s->used > s->carved) return "slab I1: used <= carved <= capacity";
    for (const void *b = s->free; b; b = link_get(b)) {
        if (!slab_is_block(s, b)) return "slab I2: a free block is off a block boundary";
        if (slab_has_absent(s, b, 1)) return "slab I2: a free block is absent";
        if (++count > s->carved) return "slab I2: the free list has a cycle";
        sum += slab_word(s, b);
        last = b;
    }
    if (s->used + count + slab_absent_count(s) != s->carved) return "slab I1: used + free + absent == carved";
    if (last && last != s->free_tail) return "slab I3: the tail is not the last block";
    if (sum != s->free_sum) return "slab I5: the sum of the free blocks' places";
    return slab_verify_absent(s);
}
