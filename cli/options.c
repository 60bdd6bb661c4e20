/* options.c - see options.h. */
#include "options.h"

#include <errno.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define ANYTIME true
#define AT_START false

const struct option_row option_rows[] = {
#define OPTION(name, value, minimum, maximum, unit, when, help) {#name, value, minimum, maximum, unit, when, help},
#include "../src/diag/option.def"
#undef OPTION
};

const int option_row_count = sizeof(option_rows) / sizeof(option_rows[0]);

static bool word_at(const char *words, long index, const char **word, size_t *length)
{
    for (; index > 0; index--) {
        words = strchr(words, '|');
        if (!words) return false;
        words++;
    }
    *word = words;
    *length = strcspn(words, "|");
    return true;
}

static bool parse_word(const char *words, const char *text, long *value)
{
    const char *word;
    size_t length;
    for (*value = 0; word_at(words, *value, &word, &length); ++*value)
        if (strlen(text) == length && memcmp(text, word, length) == 0) return true;
    return false;
}

static bool parse_value(const struct option_row *row, const char *text, long *value)
{
    if (strchr(row->unit, '|')) return parse_word(row->unit, text, value);
    char *end;
    errno = 0;
    *value = strtol(text, &end, 10);
    return errno == 0 && isdigit((unsigned char)*text) && *end == 0 && *value >= row->minimum && *value <= row->maximum;
}

int option_parse(const char *text, long *value)
{
    const char *equals = strchr(text, '=');
    if (!equals) fail(STATUS_USAGE, "'%s' is not NAME=VALUE", text);
    size_t length = (size_t)(equals - text);
    int index = 0;
    while (index < option_row_count &&
           (strlen(option_rows[index].name) != length || memcmp(option_rows[index].name, text, length) != 0))
        index++;
    if (index == option_row_count)
        fail(STATUS_USAGE, "no option '%.*s'; hakmem-options(7) lists them", (int)length, text);
    const struct option_row *row = &option_rows[index];
    if (parse_value(row, equals + 1, value)) return index;
    if (strchr(row->unit, '|')) fail(STATUS_USAGE, "%s is not one of %s", text, row->unit);
    fail(STATUS_USAGE, "%s is not a number from %ld to %ld%s%s", text, row->minimum, row->maximum,
         *row->unit ? " " : "", row->unit);
}

const char *option_text(int index, long value)
{
    static char texts[4][40];
    static unsigned turn;
    char *text = texts[turn++ % 4];
    const char *word;
    size_t length;
    const struct option_row *row = &option_rows[index];
    if (strchr(row->unit, '|') && value >= 0 && word_at(row->unit, value, &word, &length))
        snprintf(text, sizeof(texts[0]), "%.*s", (int)length, word);
    else
        snprintf(text, sizeof(texts[0]), "%ld%s%s", value, *row->unit ? " " : "",
                 strchr(row->unit, '|') ? "" : row->unit);
    return text;
}
