/* diag_test.c - messages, options and errors: what is printed is what the tables and headers promise. */
#include "unit.h"

#include <limits.h>

/* ---- formats ---- */

/* Formats with both and compares text and length. */
#define require_as_printf(...) \
    do { \
        char ours[256], theirs[256]; \
        size_t length = message_format(ours, sizeof(ours), __VA_ARGS__); \
        int expected = snprintf(theirs, sizeof(theirs), __VA_ARGS__); \
        require(strcmp(ours, theirs) == 0, "\"%s\" instead of \"%s\"", ours, theirs); \
        require(length == (size_t)expected, "length %zu", length); \
    } while (0)

static void every_format_prints_as_printf(void)
{
    require_as_printf("plain text");
    require_as_printf("%s and %s", "one", "");
    require_as_printf("%c%c", 'x', '%');
    require_as_printf("100%%");
    require_as_printf("%d %d %d %d", 0, -1, INT_MAX, INT_MIN);
    require_as_printf("%u %u", 0u, UINT_MAX);
    require_as_printf("%x %x", 0u, 0xdeadbeefu);
    require_as_printf("%ld %ld %ld", LONG_MAX, LONG_MIN, 0L);
    require_as_printf("%lu %lx", ULONG_MAX, ULONG_MAX);
    require_as_printf("%zu", SIZE_MAX);
    require_as_printf("%p", (void *)0x7f31c0042a80);
}

static void widths_pad_as_printf(void)
{
    require_as_printf("[%8s][%-8s][%2s]", "abc", "abc", "abc");
    require_as_printf("[%8u][%-8u][%08u]", 42u, 42u, 42u);
    require_as_printf("[%8x][%-8x][%08x]", 0xabcu, 0xabcu, 0xabcu);
    require_as_printf("[%6d][%-6d]", -42, -42);
    require_as_printf("[%14zu][%-14zu][%014zu]", (size_t)7, (size_t)7, (size_t)7);
    require_as_printf("[%10lu][%12ld]", 5ul, -5l);
    require_as_printf("[%1u][%3u]", 12345u, 12345u);
}

static void zeros_stand_between_sign_and_digits(void)
{
    require_as_printf("[%06d][%06d]", -42, 42);
    require_as_printf("[%012ld]", LONG_MIN / 1000000000);
}

static void a_text_that_is_too_long_is_cut(void)
{
    for (size_t size = 1; size <= 16; size++) {
        char out[32], expected[32];
        memset(out, '#', sizeof(out));
        size_t length = message_format(out, size, "%s%u", "hello", 1234567u);
        (void)snprintf(expected, size, "%s%u", "hello", 1234567u);
        require(strcmp(out, expected) == 0, "size %zu: %s", size, out);
        require(length == strlen(expected), "size %zu: length %zu", size, length);
        for (size_t i = size; i < sizeof(out); i++) require(out[i] == '#', "size %zu wrote at %zu", size, i);
    }
}

static void a_message_is_one_line_with_a_prefix(void)
{
    message_print("what %s at %u", "happened", 3u);
    require_only_text("hakmem: what happened at 3\n");
    message_raw("%-5s|%5u|\n", "ab", 12u);
    require_only_text("ab   |   12|\n");
    message_print("%s", "");
    require_only_text("hakmem: \n");
}

static void a_message_too_long_still_ends_its_line(void)
{
    char text[2000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    for (size_t length = 480; length < 530; length++) {
        message_print("%s", text + sizeof(text) - 1 - length);
        const char *line = fake_take_printed();
        size_t printed = strlen(line);
        require(strncmp(line, "hakmem: xxx", 11) == 0);
        require(line[printed - 1] == '\n' && strchr(line, '\n') == line + printed - 1, "length %zu", length);
        require(printed <= length + 9 && printed >= (length < 500 ? length + 9 : 500), "%zu of %zu", printed, length);
    }
}

static void a_fatal_message_aborts(void)
{
    require_abort("hakmem: internal error: slab 7 is odd\n", message_fatal("slab %u is odd", 7u));
    require(fake.aborts == 1);
}

/* ---- options ---- */

struct row {
    const char *name;
    long value, minimum, maximum;
    const char *unit;
};

static const struct row row[] = {
#define OPTION(name, value, minimum, maximum, unit, when, help) {#name, value, minimum, maximum, unit},
#include "../../src/diag/option.def"
#undef OPTION
};

static const char *variable_of(unsigned i)
{
    static char text[OPTION_COUNT][64];
    char *out = text[i] + sprintf(text[i], "HAKMEM_");
    for (const char *c = row[i].name; *c; c++) *out++ = *c == '_' ? '_' : (char)(*c - 'a' + 'A');
    *out = 0;
    return text[i];
}

static bool is_word_option(unsigned i)
{
    return strchr(row[i].unit, '|') != NULL;
}

static void read_one(unsigned i, const char *text)
{
    option_value[i] = row[i].value;
    fake_set_environment(variable_of(i), text);
    option_read_environment();
    fake_set_environment(variable_of(i), NULL);
}

static void defaults_are_those_of_the_table(void)
{
    require(array_length(row) == OPTION_COUNT);
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        require(option_get((enum option)i) == row[i].value, "%s", row[i].name);
        require(row[i].minimum <= row[i].value && row[i].value <= row[i].maximum, "%s", row[i].name);
    }
}

static void every_name_is_found_and_no_other(void)
{
    for (unsigned i = 0; i < OPTION_COUNT; i++) require(option_find(row[i].name) == (int)i, "%s", row[i].name);
    const char *const unknown[] = {"", "purge", "purge_delay_ms", "PURGE_DELAY", "HAKMEM_PURGE_DELAY", " verbose"};
    for (unsigned i = 0; i < array_length(unknown); i++) require(option_find(unknown[i]) == -1, "%s", unknown[i]);
    long value = 77;
    require(hak_option_get("no_such_option", &value) == ENOENT && value == 77);
    require(hak_option_set("no_such_option", 0) == ENOENT);
    require(hak_option_get(NULL, &value) == EINVAL && hak_option_get("verbose", NULL) == EINVAL);
    require(hak_option_set(NULL, 0) == EINVAL);
}

static void values_in_range_are_set_and_others_refused(void)
{
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        require(option_set((enum option)i, row[i].minimum) && option_value[i] == row[i].minimum);
        require(option_set((enum option)i, row[i].maximum) && option_value[i] == row[i].maximum);
        require(!option_set((enum option)i, row[i].minimum - 1) && option_value[i] == row[i].maximum);
        require(!option_set((enum option)i, row[i].maximum + 1) && option_value[i] == row[i].maximum);
        bool settable = option_is_settable((enum option)i);
        require(hak_option_set(row[i].name, LONG_MAX) == (settable ? ERANGE : EPERM), "%s", row[i].name);
        require(hak_option_set(row[i].name, row[i].minimum) == (settable ? 0 : EPERM), "%s", row[i].name);
        long value = -5;
        require(hak_option_get(row[i].name, &value) == 0);
        require(value == (settable ? row[i].minimum : row[i].maximum), "%s", row[i].name);
    }
    require_only_text("");
}

static void the_environment_sets_numbers(void)
{
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        if (is_word_option(i)) continue;
        const long values[] = {row[i].minimum, row[i].maximum, (row[i].minimum + row[i].maximum) / 2};
        for (unsigned k = 0; k < array_length(values); k++) {
            char text[32];
            sprintf(text, k == 2 ? "000%ld" : "%ld", values[k]);
            read_one(i, text);
            require(option_value[i] == values[k], "%s=%s", row[i].name, text);
        }
    }
    require_only_text("");
}

static void the_environment_sets_words(void)
{
    read_one(OPTION_on_error, "report");
    require(option_get(OPTION_on_error) == ON_ERROR_REPORT);
    read_one(OPTION_on_error, "abort");
    require(option_get(OPTION_on_error) == ON_ERROR_ABORT);
    require_only_text("");
}

static void require_complaint(unsigned i, const char *text)
{
    char line[512];
    read_one(i, text);
    if (is_word_option(i))
        sprintf(line, "hakmem: bad option: %s=%s is not one of %s; the default is used\n", variable_of(i), text,
                row[i].unit);
    else
        sprintf(line, "hakmem: bad option: %s=%s is not a number from %ld to %ld%s%s; the default %ld is used\n",
                variable_of(i), text, row[i].minimum, row[i].maximum, *row[i].unit ? " " : "", row[i].unit,
                row[i].value);
    require_only_text(line);
    require(option_value[i] == row[i].value, "%s=%s changed it", row[i].name, text);
}

static void each_bad_value_costs_one_line_and_changes_nothing(void)
{
    static const char *const bad[] = {
        "", " ", "x", "-1", "+1", " 1", "1 ", "1x", "0x1", "1.0", "1e3", "999999999999999999999999999999",
        "9223372036854775807", "9223372036854775808", "18446744073709551616",
    };
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        for (unsigned k = 0; k < array_length(bad); k++) require_complaint(i, bad[k]);
        char above[32];
        sprintf(above, "%ld", row[i].maximum + 1);
        require_complaint(i, above);
    }
}

static void the_lines_for_bad_values_are_exactly_these(void)
{
    read_one(OPTION_purge_delay, "soon");
    require_only_text("hakmem: bad option: HAKMEM_PURGE_DELAY=soon is not a number from 0 to 600000 ms; "
                      "the default 1000 is used\n");
    read_one(OPTION_verbose, "yes");
    require_only_text("hakmem: bad option: HAKMEM_VERBOSE=yes is not a number from 0 to 1; the default 0 is used\n");
    read_one(OPTION_on_error, "maybe");
    require_only_text("hakmem: bad option: HAKMEM_ON_ERROR=maybe is not one of abort|report; the default is used\n");
}

static void words_are_taken_whole_only(void)
{
    static const char *const bad[] = {"abor", "aborts", "ABORT", "abort|report", "|", "report|", "|report", "0", "1"};
    for (unsigned k = 0; k < array_length(bad); k++) require_complaint(OPTION_on_error, bad[k]);
}

static void unknown_variables_are_left_alone(void)
{
    fake_set_environment("HAKMEM_NO_SUCH_OPTION", "1");
    fake_set_environment("HAKMEM_", "1");
    fake_set_environment("hakmem_verbose", "1");
    option_read_environment();
    require_only_text("");
    defaults_are_those_of_the_table();
}

static void the_listing_names_every_option(void)
{
    char expected[4096] = "";
    for (unsigned i = 0; i < OPTION_COUNT; i++) {
        char *end = expected + strlen(expected);
        if (is_word_option(i))
            sprintf(end, "hakmem: option %s = %ld of %s\n", row[i].name, row[i].value, row[i].unit);
        else
            sprintf(end, "hakmem: option %s = %ld%s%s\n", row[i].name, row[i].value, *row[i].unit ? " " : "",
                    row[i].unit);
    }
    option_print_all();
    require_only_text(expected);
}

static void verbose_prints_version_and_options_at_start(void)
{
    fake_set_environment("HAKMEM_VERBOSE", "1");
    library_start(0, NULL, environ);
    const char *text = fake_take_printed();
    require(strncmp(text, "hakmem: version " HAK_VERSION ", build ", 22 + strlen(HAK_VERSION)) == 0, "%s", text);
    require(strstr(text, "hakmem: option verbose = 1\n") != NULL, "%s", text);
}

/* ---- errors ---- */

static const char *const error_line[] = {
#define ERROR(id, text, meaning) text,
#include "../../src/diag/error.def"
#undef ERROR
};

static void each_error_prints_its_line_and_aborts(void)
{
    for (volatile unsigned i = 0; i < ERROR_COUNT; i++) {
        char line[256];
        sprintf(line, "hakmem: %s: p=0x7f31c0042a80 size=48 (see hakmem-errors(7))\n", error_line[i]);
        require_abort(line, error_report((enum error)i, (void *)0x7f31c0042a80, 48));
        sprintf(line, "hakmem: %s: p=0x10 (see hakmem-errors(7))\n", error_line[i]);
        require_abort(line, error_report((enum error)i, (void *)0x10, 0));
    }
    require(fake.aborts == 2 * ERROR_COUNT);
}

static void each_error_is_only_reported_when_asked(void)
{
    require(option_set(OPTION_on_error, ON_ERROR_REPORT));
    for (unsigned i = 0; i < ERROR_COUNT; i++) {
        char line[256];
        sprintf(line, "hakmem: %s: p=0x20 size=16 (see hakmem-errors(7))\n", error_line[i]);
        error_report((enum error)i, (void *)0x20, 16);
        require_only_text(line);
    }
    require(fake.aborts == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_format_prints_as_printf),
        TEST(widths_pad_as_printf),
        TEST(zeros_stand_between_sign_and_digits),
        TEST(a_text_that_is_too_long_is_cut),
        TEST(a_message_is_one_line_with_a_prefix),
        TEST(a_message_too_long_still_ends_its_line),
        TEST(a_fatal_message_aborts),
        TEST(defaults_are_those_of_the_table),
        TEST(every_name_is_found_and_no_other),
        TEST(values_in_range_are_set_and_others_refused),
        TEST(the_environment_sets_numbers),
        TEST(the_environment_sets_words),
        TEST(each_bad_value_costs_one_line_and_changes_nothing),
        TEST(the_lines_for_bad_values_are_exactly_these),
        TEST(words_are_taken_whole_only),
        TEST(unknown_variables_are_left_alone),
        TEST(the_listing_names_every_option),
        TEST(verbose_prints_version_and_options_at_start),
        TEST(each_error_prints_its_line_and_aborts),
        TEST(each_error_is_only_reported_when_asked),
    };
    return run_unit_tests(tests);
}
