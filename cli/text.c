/* text.c - see text.h. */
#include "text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { DELETE = 0x7f, CONTROLS_END = 0xa0, LAST_CHARACTER = 0x10ffff, SURROGATES = 0xd800, SURROGATES_END = 0xe000 };

/* The character at the start of a text, and its bytes. false = it is none. */
static bool decode(const char *text, uint32_t *character, size_t *length)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *c = (const unsigned char *)text;
    *character = *c;
    *length = 1;
    if (*c < 0x80) return *c != 0;
    *length = *c >= 0xf0 ? 4 : *c >= 0xe0 ? 3 : 2;
    if (*c < 0xc0 || *c >= 0xf8) return false;
    *character = *c & (0x7fu >> *length);
    for (size_t i = 1; i < *length; i++) {
        if ((c[i] & 0xc0) != 0x80) return false;
        *character = *character << 6 | (c[i] & 0x3f);
    }
    bool surrogate = *character >= SURROGATES && *character < SURROGATES_END;
    return *character >= least[*length] && *character <= LAST_CHARACTER && !surrogate;
}

size_t utf8_length(const char *text)
{
    uint32_t character;
    size_t length;
    return decode(text, &character, &length) ? length : 0;
}

void make_printable(char *text)
{
    uint32_t character;
    size_t length;
    for (; *text; text += length) {
        bool good = decode(text, &character, &length);
        bool control = character < ' ' || (character >= DELETE && character < CONTROLS_END);
        if (good && !control) continue;
        if (!good) length = 1;
        memset(text, '?', length);
    }
}

void format_printable(char *text, size_t size, const char *format, va_list list)
{
    vsnprintf(text, size, format, list);
    make_printable(text);
}
