/* option_test.c - options: parsing, bad values, setting. */
#include "unit.h"

static void read_with(const char *name, const char *value)
{
    fake_set_environment(name, value);
    option_read_environment();
}

static void without_variables_nothing_changes(void)
{
    long before[OPTION_COUNT];
    memcpy(before, option_value, sizeof(before));
    option_read_environment();
    require(memcmp(before, option_value, sizeof(before)) == 0);
    require_only_text("");
}

static void good_values_are_taken(void)
{
    read_with("HAKMEM_PURGE_DELAY", "250");
    read_with("HAKMEM_VERBOSE", "1");
    read_with("HAKMEM_ON_ERROR", "report");
    require(option_get(OPTION_purge_delay) == 250);
    require(option_get(OPTION_verbose) == 1);
    require(option_get(OPTION_on_error) == ON_ERROR_REPORT);
    read_with("HAKMEM_ON_ERROR", "abort");
    require(option_get(OPTION_on_error) == ON_ERROR_ABORT);
    require_only_text("");
}

static void the_ends_of_the_range_are_good(void)
{
    read_with("HAKMEM_PURGE_DELAY", "0");
    require(option_get(OPTION_purge_delay) == 0);
    read_with("HAKMEM_PURGE_DELAY", "600000");
    require(option_get(OPTION_purge_delay) == 600000);
    read_with("HAKMEM_PURGE_DELAY", "0000000000000000000000000000012");
    require(option_get(OPTION_purge_delay) == 12);
    require_only_text("");
}

static void bad_numbers_cost_one_line_each(void)
{
    const char *const bad[] = {"", "-1", "+5", " 5", "5 ", "5x", "0x10", "600001", "9223372036854775808",
                               "99999999999999999999999999", "1e3", "abc"};
    for (unsigned i = 0; i < array_length(bad); i++) {
        char line[300];
        snprintf(line, sizeof(line), "hakmem: bad option: HAKMEM_PURGE_DELAY=%s is not a number from 0 to 600000 ms; "
                 "the default 1000 is used\n", bad[i]);
        read_with("HAKMEM_PURGE_DELAY", bad[i]);
        require_only_text(line);
        require(option_get(OPTION_purge_delay) == 1000, "after '%s'", bad[i]);
    }
}

static void bad_switches_name_their_range(void)
{
    read_with("HAKMEM_VERBOSE", "2");
    require_only_text("hakmem: bad option: HAKMEM_VERBOSE=2 is not a number from 0 to 1; the default 0 is used\n");
}

static void bad_words_name_the_choice(void)
{
    const char *const bad[] = {"", "1", "Abort", "abor", "aborted", "abort|report", "|"};
    for (unsigned i = 0; i < array_length(bad); i++) {
        char line[300];
        snprintf(line, sizeof(line), "hakmem: bad option: HAKMEM_ON_ERROR=%s is not one of abort|report; "
                 "the default is used\n", bad[i]);
        read_with("HAKMEM_ON_ERROR", bad[i]);
        require_only_text(line);
        require(option_get(OPTION_on_error) == ON_ERROR_ABORT);
    }
}

static void every_option_is_found_and_bounded(void)
{
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_info *info = &option_info[i];
        long before = option_value[i];
        require(option_find(info->name) == i, "%s", info->name);
        require(before >= info->minimum && before <= info->maximum, "%s", info->name);
        require(!option_set((enum option)i, info->minimum - 1), "%s", info->name);
        require(!option_set((enum option)i, info->maximum + 1), "%s", info->name);
        require(option_value[i] == before, "%s", info->name);
        require(option_set((enum option)i, info->maximum) && option_value[i] == info->maximum, "%s", info->name);
        require(option_set((enum option)i, info->minimum) && option_value[i] == info->minimum, "%s", info->name);
    }
    require(option_find("purge_dela") == -1 && option_find("purge_delayy") == -1 && option_find("") == -1);
}

static void public_calls_tell_what_is_wrong(void)
{
    long value = 0;
    require(hak_option_get("purge_delay", &value) == 0 && value == 1000);
    require(hak_option_get("nothing", &value) == ENOENT && hak_option_get(NULL, &value) == EINVAL);
    require(hak_option_get("purge_delay", NULL) == EINVAL);
    require(hak_option_set("purge_delay", 5) == 0 && option_get(OPTION_purge_delay) == 5);
    require(hak_option_set("purge_delay", -1) == ERANGE && option_get(OPTION_purge_delay) == 5);
    require(hak_option_set("nothing", 1) == ENOENT && hak_option_set(NULL, 1) == EINVAL);
}

static void all_options_are_listed(void)
{
    option_print_all();
    const char *seen = fake_take_printed();
    for (int i = 0; i < OPTION_COUNT; i++) require(strstr(seen, option_info[i].name), "%s", option_info[i].name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_variables_nothing_changes),
        TEST(good_values_are_taken),
        TEST(the_ends_of_the_range_are_good),
        TEST(bad_numbers_cost_one_line_each),
        TEST(bad_switches_name_their_range),
        TEST(bad_words_name_the_choice),
        TEST(every_option_is_found_and_bounded),
        TEST(public_calls_tell_what_is_wrong),
        TEST(all_options_are_listed),
    };
    return run_unit_tests(tests);
}
