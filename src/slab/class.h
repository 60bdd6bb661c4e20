/* class.h - size classes: 8; 16, 32, ... 128; then four steps per doubling, to 65,536.
 *
 * Uses: config, bits. Everything about a class is computed here and nowhere else.
 *
 * From 4 KiB on, classes whose size is a multiple of a page have a stride of 64 bytes more. Blocks then do not all
 * begin in the same cache set, and the end of one block shares a page with the beginning of the next. Requests for
 * such alignments have classes of their own, behind the others, whose stride is the size.
 *
 * I1  class_of(n) is the smallest class whose size is at least n
 * I2  strides of class 1 and up are multiples of 16
 */
#ifndef HAK_SLAB_CLASS_H
#define HAK_SLAB_CLASS_H

#include "../base/bits.h"

enum { COLOURED_SIZE_MIN = 4096, COLOUR_BYTES = 64 };

/* The largest request that the class serves. */
ALWAYS_INLINE uint32_t class_size(unsigned class)
{
    if (class == 0) return 8;
    if (class <= 8) return 16 * class;
    if (class >= SIZE_CLASS_COUNT) { /* 4, 8, 12, 16, 24, 32, 48, 64 KiB */
        unsigned i = class - SIZE_CLASS_COUNT;
        return i < 2 ? 4096u << i : i % 2 == 0 ? 12288u << (i - 2) / 2 : 16384u << (i - 2) / 2;
    }
    uint32_t base = 128u << ((class - 9) / 4);
    return base + ((class - 9) % 4 + 1) * (base / 4);
}

/* Bytes from block to block. The one definition of the stride. */
ALWAYS_INLINE uint32_t class_stride(unsigned class)
{
    uint32_t size = class_size(class);
    bool coloured = class < SIZE_CLASS_COUNT && size >= COLOURED_SIZE_MIN && size % COLOURED_SIZE_MIN == 0;
    return coloured ? size + COLOUR_BYTES : size;
}

/* The class for a request of n bytes, 0 <= n <= SMALL_SIZE_MAX. */
ALWAYS_INLINE unsigned class_of(size_t n)
{
    if (n <= 8) return 0;
    if (n <= 128) return (unsigned)((n + 15) / 16);
    unsigned top = highest_bit(n - 1);
    return 9 + (top - 7) * 4 + (unsigned)((n - 1) >> (top - 2) & 3);
}

/* class_of() for 128 < n, as a constant expression. */
#define CLASS_TOP_CONSTANT(n) (63 - __builtin_clzl((n) - 1))
#define class_of_constant(n) \
    (9 + (CLASS_TOP_CONSTANT(n) - 7) * 4 + (((n) - 1) >> (CLASS_TOP_CONSTANT(n) - 2) & 3))

/* Units of a slab of the class. */
ALWAYS_INLINE unsigned class_units(unsigned class)
{
    return class_size(class) <= SINGLE_UNIT_SIZE_MAX ? 1 : POOL_UNITS;
}

/* Blocks in a slab of the class. */
ALWAYS_INLINE uint32_t class_capacity(unsigned class)
{
    return class_units(class) * UNIT_SIZE / class_stride(class);
}

/* The smallest class for n whose blocks are all aligned; alignment is a power of two <= UNIT_SIZE,
 * n <= SMALL_SIZE_MAX. */
static inline unsigned class_of_aligned(size_t n, size_t alignment)
{
    unsigned class = class_of(n);
    while (class_size(class) < n || class_stride(class) % alignment != 0) class++;
    return class; /* the last class fits all: 64 KiB */
}

#endif
