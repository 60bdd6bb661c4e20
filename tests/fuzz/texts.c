/* texts.c - fuzz target: texts that the library reads: files of control groups and processes, and options.
 *
 *   input: kind, texts with a byte of zero behind each
 *
 * Uses:  the parsers as includes: os/cgroup.c, os/inherited.c, os/sleep.c, os/thread.c, diag/option.c; the system
 *        behind them is here.
 *
 * What is demanded: no result is out of the range that os.h and option.def give, no path is made that leads elsewhere,
 * no look goes on for ever.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "../../src/os/cgroup.c"
#include "../../src/os/inherited.c"
#include "../../src/os/sleep.c"
#include "../../src/os/thread.c"

#include "../../src/diag/message.c"
#include "../../src/diag/option.c"

enum { TEXTS = 16, LOOKS_MAX = 3000, PATH_TEXT_MAX = 600 };

static struct {
    const char *text[TEXTS]; /* "" beyond the last */
    struct input stack;      /* what a sleeper has on its stack, over and over */
    unsigned looks;
    uint64_t operations;
    unsigned lines;          /* printed */
} given;

/* ---- the system ---- */

static unsigned index_of_path(const char *path)
{
    static const char *const names[] = {"/proc/self/cgroup", "/memory.max", "/memory.high", "/memory.current",
                                        "/memory.stat", "/cpu.max", "/memory.pressure", "/proc/pressure/memory",
                                        "/proc/self/status"};
    size_t length = strlen(path);
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t tail = strlen(names[i]);
        if (length >= tail && strcmp(path + length - tail, names[i]) == 0) return i;
    }
    return TEXTS - 1; /* of a task */
}

bool os_read_text(const char *path, char *text, size_t size)
{
    given.operations++;
    demand(strlen(path) < PATH_TEXT_MAX && !strchr(path, '\n'), "path '%s'", path);
    demand(strncmp(path, "/proc/", 6) == 0 || strncmp(path, "/sys/fs/cgroup/", 15) == 0, "path '%s'", path);
    const char *from = given.text[index_of_path(path)];
    size_t length = strlen(from);
    if (length > size - 1) length = size - 1;
    memcpy(text, from, length);
    text[length] = 0;
    return length > 0;
}

bool os_peek(const void *p, void *out, size_t size)
{
    demand(++given.looks < LOOKS_MAX, "%u looks, now at %p", given.looks, p);
    for (size_t i = 0; i < size; i++) {
        if (input_ended(&given.stack)) return false;
        ((uint8_t *)out)[i] = (uint8_t)input_byte(&given.stack);
    }
    return true;
}

bool os_purge(void *p, size_t size)
{
    (void)p;
    (void)size;
    return false;
}

void *os_map(size_t size)
{
    (void)size;
    return NULL;
}

size_t os_page_size(void)
{
    return 4096;
}

uint64_t os_now_ms(void)
{
    return 0;
}

const char *os_environment(const char *name)
{
    demand(strncmp(name, "HAKMEM_", 7) == 0, "%s", name);
    const char *text = given.text[given.operations++ % TEXTS];
    return *text ? text : NULL;
}

bool os_environment_has_prefix(const char *prefix)
{
    return *prefix == 'H';
}

void os_print(const char *text, size_t length)
{
    given.lines++;
    demand(length > 9 && length < 512 && memcmp(text, "hakmem: ", 8) == 0 && text[length - 1] == '\n', "%zu bytes: %.*s",
           length, (int)length, text);
}

_Noreturn void os_abort(void)
{
    fault(__func__, "abort", "a parser aborts");
}

/* ---- the readers ---- */

static void read_group(void)
{
    struct os_pressure group;
    os_pressure(&group);
    demand(group.percent <= 100 && group.stall <= STALL_MAX, "%u %%, stall %u", group.percent, group.stall);
    demand(group.percent == 0 || group.limit != SIZE_MAX, "%u %% of no limit", group.percent);
    demand(os_memory_limit() == group.limit, "limits %zu and %zu", os_memory_limit(), group.limit);
}

/* The text of the task, then what it points to. */
static void read_sleeper(struct input *in)
{
    for (unsigned byte = 1; byte != 0 && !input_ended(in);) byte = input_byte(in);
    uint64_t number = input_long(in), storage = input_long(in);
    given.stack = *in;
    given.looks = 0;
    (void)os_thread_sleeps((uint32_t)number, (const void *)(uintptr_t)storage);
}

static void read_rights(void)
{
    struct rights ids;
    if (!read_ids_of_process(&ids)) return;
    demand(strstr(given.text[8], "\nUid:") != NULL, "ids of a text without them");
    may_outlive_rights = true;
    (void)os_thread_outlives_rights();
    (void)os_thread_is_alone();
}

static void read_options(void)
{
    static long defaults[OPTION_COUNT];
    static bool has_defaults;
    if (!has_defaults) memcpy(defaults, option_value, sizeof(defaults));
    has_defaults = true;
    memcpy(option_value, defaults, sizeof(defaults));
    given.lines = 0;
    option_read_environment();
    for (int i = 0; i < OPTION_COUNT; i++)
        demand(option_value[i] >= option_info[i].minimum && option_value[i] <= option_info[i].maximum, "%s is %ld",
               option_info[i].name, option_value[i]);
    demand(given.lines <= OPTION_COUNT, "%u lines", given.lines);
    for (unsigned i = 0; i < TEXTS; i++) {
        int option = option_find(given.text[i]);
        demand(option < 0 || strcmp(option_info[option].name, given.text[i]) == 0, "'%s' is option %d", given.text[i],
               option);
    }
    option_print_all();
}

static void take_texts(char *text)
{
    for (unsigned i = 0; i < TEXTS; i++) {
        given.text[i] = text;
        if (*text || i == 0) text += strlen(text) + 1;
    }
}

/* Cuts the texts, in a buffer with zeros behind it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = input_of(data, size);
    unsigned kind = input_byte(&in);
    size_t left = (size_t)(in.end - in.at);
    char *text = calloc(1, left + TEXTS + 2);
    if (!text) return 0;
    memcpy(text, in.at, left);
    take_texts(text);
    given.operations = 0;
    switch (kind % 4) {
    case 0: read_group(); break;
    case 1:
        given.text[TEXTS - 1] = text;
        read_sleeper(&in);
        break;
    case 2:
        given.text[8] = text;
        read_rights();
        break;
    default: read_options();
    }
    fuzz_count(1, 0, 0, 0);
    free(text);
    return 0;
}
