/* class.h - size classes: 8; 16, 32, ... 128; four steps per doubling to 8 KiB; eight to 64 KiB.
 *
 * Uses: config, bits. Everything about a class is computed here and nowhere else.
 *
 * From 4 KiB on, classes whose size is a multiple of a page have a stride of 64 bytes more, and their first block
 * begins 64 bytes into the slab. Blocks then do not all begin in the same cache set, and the end of one block
 * shares a page with the beginning of the next. Requests for such alignments have classes of their own, behind the
 * others, whose stride is the size.
 *
 * I1  class_of(n) is the smallest class whose size is at least n
 * I2  strides of class 1 and up, and first blocks, are at multiples of 16
 */
#ifndef HAK_SLAB_CLASS_H
#define HAK_SLAB_CLASS_H

#include "../base/bits.h"

enum {
    COLOURED_SIZE_MIN = 4096,
    PLAIN_SIZE_MAX = COLOURED_SIZE_MIN / 8 * 7, /* largest size class below the coloured ones */
    COLOUR_BYTES = 64,
    FINE_CLASS = 9 + 6 * 4, /* first of the classes above 8 KiB, in steps of an eighth */
};

static const uint16_t aligned_class_pages[ALIGNED_CLASS_COUNT] = {1, 2, 3, 4, 6, 8, 16};

/* The largest request that the class serves. */
ALWAYS_INLINE uint32_t class_size(unsigned class)
{
    if (class == 0) return 8;
    if (class <= 8) return 16 * class;
    if (class >= SIZE_CLASS_COUNT) return 4096u * aligned_class_pages[class - SIZE_CLASS_COUNT];
    unsigned steps = class < FINE_CLASS ? 4 : 8; /* per doubling */
    unsigned step = class < FINE_CLASS ? class - 9 : class - FINE_CLASS;
    uint32_t base = (class < FINE_CLASS ? 128u : 8192u) << (step / steps);
    return base + (step % steps + 1) * (base / steps);
}

ALWAYS_INLINE bool class_is_coloured(unsigned class)
{
    uint32_t size = class_size(class);
    return class < SIZE_CLASS_COUNT && size >= COLOURED_SIZE_MIN && size % COLOURED_SIZE_MIN == 0;
}

/* Bytes from block to block. The one definition of the stride. */
ALWAYS_INLINE uint32_t class_stride(unsigned class)
{
    return class_size(class) + (class_is_coloured(class) ? COLOUR_BYTES : 0);
}

/* Where the first block of a slab begins. */
ALWAYS_INLINE uint32_t class_first(unsigned class)
{
    return class_is_coloured(class) ? COLOUR_BYTES : 0;
}

/* The class for a request of n bytes, 128 < n <= SMALL_SIZE_MAX; a constant expression for a constant n. */
#define CLASS_TOP(n) (63 - __builtin_clzl((n) - 1))
#define CLASS_STEP(n, bits) ((CLASS_TOP(n) << (bits)) + (((n) - 1) >> (CLASS_TOP(n) - (bits)) & ((1 << (bits)) - 1)))
#define CLASS_OF_MEDIUM(n) \
    ((n) <= 8192 ? 9 + CLASS_STEP(n, 2) - (7 << 2) : FINE_CLASS + CLASS_STEP(n, 3) - (13 << 3))

/* The class for a request of n bytes, 0 <= n <= SMALL_SIZE_MAX. */
ALWAYS_INLINE unsigned class_of(size_t n)
{
    if (n <= 8) return 0;
    if (n <= 128) return (unsigned)((n + 15) / 16);
    return (unsigned)CLASS_OF_MEDIUM(n);
}

/* Units of a slab of the class. */
ALWAYS_INLINE unsigned class_units(unsigned class)
{
    return class_size(class) <= SINGLE_UNIT_SIZE_MAX ? 1 : POOL_UNITS;
}

/* Blocks in a slab of the class. */
ALWAYS_INLINE uint32_t class_capacity(unsigned class)
{
    return (class_units(class) * UNIT_SIZE - class_first(class)) / class_stride(class);
}

/* The smallest class for n whose blocks are all aligned; alignment is a power of two <= UNIT_SIZE,
 * n <= SMALL_SIZE_MAX. Steps are powers of two: so the class of n rounded up has a size that is a multiple of the
 * alignment, and only where it is coloured the search goes on. */
static inline unsigned class_of_aligned(size_t n, size_t alignment)
{
    size_t mask = alignment - 1;
    unsigned class = class_of(align_up(n, alignment));
    if ((class_stride(class) & mask) == 0) return class;
    unsigned exact = SIZE_CLASS_COUNT; /* the last has 64 KiB, which fits all */
    while (class_size(exact) < n || (class_stride(exact) & mask) != 0) exact++;
    for (class++; class < SIZE_CLASS_COUNT && class_size(class) < class_size(exact); class++)
        if ((class_stride(class) & mask) == 0) return class;
    return exact;
}

#endif
