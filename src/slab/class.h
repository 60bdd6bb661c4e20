/* class.h - size classes: 8; 16, 32, ... 128; then four steps per doubling, to 65,536.
 *
 * Uses: config, bits. Everything about a class is computed here and nowhere else.
 *
 * I1  class_of(n) is the smallest class whose stride is at least n
 * I2  strides of class 1 and up are multiples of 16
 */
#ifndef HAK_SLAB_CLASS_H
#define HAK_SLAB_CLASS_H

#include "../base/bits.h"

/* Bytes of a block of the class. The one definition of the stride. */
ALWAYS_INLINE uint32_t class_stride(unsigned class)
{
    if (class == 0) return 8;
    if (class <= 8) return 16 * class;
    uint32_t base = 128u << ((class - 9) / 4);
    return base + ((class - 9) % 4 + 1) * (base / 4);
}

/* The class for a request of n bytes, 0 <= n <= SMALL_SIZE_MAX. */
ALWAYS_INLINE unsigned class_of(size_t n)
{
    if (n <= 8) return 0;
    if (n <= 128) return (unsigned)((n + 15) / 16);
    unsigned top = highest_bit(n - 1);
    return 9 + (top - 7) * 4 + (unsigned)((n - 1) >> (top - 2) & 3);
}

/* Units of a slab of the class. */
ALWAYS_INLINE unsigned class_units(unsigned class)
{
    return class_stride(class) <= SINGLE_UNIT_STRIDE_MAX ? 1 : POOL_UNITS;
}

/* Blocks in a slab of the class. */
ALWAYS_INLINE uint32_t class_capacity(unsigned class)
{
    return class_units(class) * UNIT_SIZE / class_stride(class);
}

/* The smallest class for n whose blocks are all aligned; alignment is a power of two <= UNIT_SIZE, and n <= SMALL_SIZE_MAX.
 * CLASS_COUNT = none. */
static inline unsigned class_of_aligned(size_t n, size_t alignment)
{
    unsigned class = class_of(n);
    while (class < CLASS_COUNT && class_stride(class) % alignment != 0) class++;
    return class;
}

#endif
