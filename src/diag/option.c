/* option.c - see option.h.
 *
 * Uses: message, os. Locks: none; each value is one word.
 */
#include "option.h"

#include <limits.h>

#include "../base/number.h"
#include "../os/os.h"
#include "message.h"

struct option_info {
    const char *name;
    const char *unit; /* "ms", or the words for 0, 1, ... separated by | */
    long minimum;
    long maximum;
    bool settable; /* while the program runs */
};

#define ANYTIME true
#define AT_START false

static const struct option_info option_info[OPTION_COUNT] = {
#define OPTION(name, value, minimum, maximum, unit, when, help) {#name, unit, minimum, maximum, when},
#include "option.def"
#undef OPTION
};

long option_value[OPTION_COUNT] = {
#define OPTION(name, value, minimum, maximum, unit, when, help) value,
#include "option.def"
#undef OPTION
};

static bool same_text(const char *a, const char *b)
{
    while (*a && *a == *b) a++, b++;
    return *a == *b;
}

static void variable_name(char *out, const char *name)
{
    const char *prefix = "HAKMEM_";
    while (*prefix) *out++ = *prefix++;
    for (; *name; name++) *out++ = *name >= 'a' && *name <= 'z' ? (char)(*name - 'a' + 'A') : *name;
    *out = 0;
}

/* The position of `word` in "abort|report", or -1. */
static long word_index(const char *words, const char *word)
{
    for (long index = 0; *words; index++) {
        size_t length = 0;
        while (words[length] && words[length] != '|') length++;
        if (__builtin_strlen(word) == length && __builtin_memcmp(words, word, length) == 0) return index;
        words += length + (words[length] == '|');
    }
    return -1;
}

static bool parse_number(const char *text, long *value)
{
    uint64_t number;
    const char *end = read_number(text, 10, &number);
    if (end == text || *end || number > LONG_MAX) return false;
    *value = (long)number;
    return true;
}

static bool has_words(const struct option_info *info)
{
    for (const char *c = info->unit; *c; c++)
        if (*c == '|') return true;
    return false;
}

static bool parse_value(const struct option_info *info, const char *text, long *value)
{
    if (has_words(info)) {
        *value = word_index(info->unit, text);
        return *value >= 0;
    }
    return parse_number(text, value) && *value >= info->minimum && *value <= info->maximum;
}

static void complain(const struct option_info *info, const char *variable, const char *text, long used)
{
    if (has_words(info))
        message_print("bad option: %s=%s is not one of %s; the default is used", variable, text, info->unit);
    else
        message_print("bad option: %s=%s is not a number from %ld to %ld%s%s; the default %ld is used", variable,
                      text, info->minimum, info->maximum, *info->unit ? " " : "", info->unit, used);
}

COLD void option_read_environment(void)
{
    if (!os_environment_has_prefix("HAKMEM_")) return; /* nearly always */
    for (int i = 0; i < OPTION_COUNT; i++) {
        char variable[64];
        long value = 0;
        variable_name(variable, option_info[i].name);
        const char *text = os_environment(variable);
        if (!text) continue;
        if (parse_value(&option_info[i], text, &value))
            store_relaxed(&option_value[i], value);
        else
            complain(&option_info[i], variable, text, option_value[i]);
    }
}

COLD int option_find(const char *name)
{
    for (int i = 0; i < OPTION_COUNT; i++)
        if (same_text(option_info[i].name, name)) return i;
    return -1;
}

bool option_set(enum option option, long value)
{
    if (value < option_info[option].minimum || value > option_info[option].maximum) return false;
    store_relaxed(&option_value[option], value);
    return true;
}

bool option_is_settable(enum option option)
{
    return option_info[option].settable;
}

COLD void option_print_all(void)
{
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_info *info = &option_info[i];
        if (has_words(info))
            message_print("option %s = %ld of %s", info->name, option_value[i], info->unit);
        else
            message_print("option %s = %ld%s%s", info->name, option_value[i], *info->unit ? " " : "", info->unit);
    }
}
