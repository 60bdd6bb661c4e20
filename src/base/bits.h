/* bits.h - arithmetic on powers of two and on the 32-bit maps of a SuperSlab.
 *
 * Uses: compiler.
 */
#ifndef HAK_BASE_BITS_H
#define HAK_BASE_BITS_H

#include "compiler.h"

ALWAYS_INLINE bool is_power_of_two(size_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

ALWAYS_INLINE uintptr_t align_up(uintptr_t value, size_t alignment)
{
    return (value + alignment - 1) & ~(uintptr_t)(alignment - 1);
}

ALWAYS_INLINE uintptr_t align_down(uintptr_t value, size_t alignment)
{
    return value & ~(uintptr_t)(alignment - 1);
}

ALWAYS_INLINE unsigned highest_bit(size_t n)
{
    return 63u - (unsigned)__builtin_clzl(n);
}

ALWAYS_INLINE unsigned lowest_bit(uint64_t n)
{
    return (unsigned)__builtin_ctzll(n);
}

/* One bits of a map. Mostly all or none; the rest without the instruction, which not every x86-64 has, nor
 * the call that gcc makes instead. */
ALWAYS_INLINE unsigned bit_count(uint32_t map)
{
    if (map == 0 || map == UINT32_MAX) return map & 32;
    map -= map >> 1 & 0x55555555;
    map = (map & 0x33333333) + (map >> 2 & 0x33333333);
    return ((map + (map >> 4)) & 0x0f0f0f0f) * 0x01010101 >> 24;
}

/* `count` one bits from `first` on; count 1 ... 32. */
ALWAYS_INLINE uint32_t bit_run(unsigned first, unsigned count)
{
    return (uint32_t)(((UINT64_C(1) << count) - 1) << first);
}

/* Bit i of the result is set when bits i ... i+count-1 of `map` are all set. */
static inline uint32_t bit_run_starts(uint32_t map, unsigned count)
{
    unsigned have = 1;
    while (have < count) {
        unsigned step = have < count - have ? have : count - have;
        map &= map >> step;
        have += step;
    }
    return map;
}

#endif
