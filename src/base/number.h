/* number.h - reads numbers from texts of the system and of the user.
 *
 * Uses: compiler.
 */
#ifndef HAK_BASE_NUMBER_H
#define HAK_BASE_NUMBER_H

#include "compiler.h"

/* 16 = it is no digit. */
ALWAYS_INLINE unsigned digit_value(char c)
{
    if (c >= '0' && c <= '9') return (unsigned)(c - '0');
    return c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10 : 16;
}

/* Of the digits that the text begins with, to base 10 or 16; UINT64_MAX = more than it can hold. Returns what follows
 * them: `text` itself where there are none. */
static inline const char *read_number(const char *text, unsigned base, uint64_t *value)
{
    uint64_t sum = 0;
    bool fits = true;
    for (unsigned digit; (digit = digit_value(*text)) < base; text++)
        fits = fits && !__builtin_mul_overflow(sum, base, &sum) && !__builtin_add_overflow(sum, digit, &sum);
    *value = fits ? sum : UINT64_MAX;
    return text;
}

#endif
