/* cgroup.c - what the process's control group allows and holds, from the system's text files.
 *
 * Uses: os_read_text() of this layer. Callers: service, through os.h.
 * Locks: none; no state either.
 *
 * Only cgroup v2 is read, where it is mounted as systemd and containers mount it. The limits of a group hold for all
 * groups in it, so the way leads from the own group up to the root of the mount. In a container that root is a group of
 * its own, and the path told by the kernel may be one that only the host can see: then the root is all there is.
 */
#include "../base/number.h"
#include "os.h"

#define CGROUP_MOUNT "/sys/fs/cgroup"
enum {
    LIST_MAX = 2048,  /* of /proc/self/cgroup: v1 hierarchies come first in it */
    GROUP_MAX = 512,
    VALUE_MAX = 160,
    TABLE_MAX = 4096, /* of memory.stat */
    STALL_MAX = 10000,
};

/* A number at the start of the text, "max" for none, or one too large to be counted. false = it is neither. */
static bool read_value(const char *text, size_t *value)
{
    uint64_t number;
    *value = SIZE_MAX;
    if (__builtin_strncmp(text, "max", 3) == 0) return true;
    const char *end = read_number(text, 10, &number);
    if (end == text || (*end != 0 && *end != '\n' && *end != ' ')) return false;
    *value = number;
    return true;
}

/* The text of a group's file, as much as fits. false = there is none. */
static bool read_group_file(const char *group, const char *name, char *text, size_t size)
{
    char path[sizeof(CGROUP_MOUNT) + GROUP_MAX + 32];
    const char *const parts[] = {CGROUP_MOUNT, group, name};
    size_t length = 0;
    for (unsigned i = 0; i < array_length(parts); i++)
        for (const char *c = parts[i]; *c; c++) path[length++] = *c;
    path[length] = 0;
    return os_read_text(path, text, size);
}

static bool read_group_value(const char *group, const char *name, size_t *value)
{
    char text[VALUE_MAX];
    return read_group_file(group, name, text, VALUE_MAX) && read_value(text, value);
}

/* Takes the path behind "0::" over, without a closing slash. false = it is not there, or no place below the mount. */
static bool read_own_group(char group[GROUP_MAX])
{
    char list[LIST_MAX];
    group[0] = 0;
    if (!os_read_text("/proc/self/cgroup", list, sizeof(list))) return false;
    const char *line = list;
    while (line && __builtin_strncmp(line, "0::/", 4) != 0) {
        line = __builtin_strchr(line, '\n');
        if (line) line++;
    }
    if (!line) return false;
    const char *path = line + 3;
    size_t length = 0;
    while (path[length] && path[length] != '\n') length++;
    if (length >= GROUP_MAX || path[length] == 0 || __builtin_strncmp(path, "/..", 3) == 0) return true;
    while (length > 0 && path[length - 1] == '/') length--;
    __builtin_memcpy(group, path, length);
    group[length] = 0;
    return true;
}

/* "some avg10=1.25 ...": 125. Anything else: 0. */
static uint32_t parse_stall(const char *text)
{
    static const char head[] = "some avg10=";
    uint64_t whole, hundredths;
    if (__builtin_strncmp(text, head, sizeof(head) - 1) != 0) return 0;
    text = read_number(text + sizeof(head) - 1, 10, &whole);
    if (whole >= STALL_MAX / 100) return STALL_MAX;
    bool exact = text[0] == '.' && read_number(text + 1, 10, &hundredths) == text + 3;
    return (uint32_t)(whole * 100 + (exact ? hundredths : 0));
}

static uint32_t read_stall(const char *group)
{
    char text[VALUE_MAX];
    bool known = read_group_file(group, "/memory.pressure", text, VALUE_MAX);
    return known || os_read_text("/proc/pressure/memory", text, VALUE_MAX) ? parse_stall(text) : 0;
}

/* Pages of files that nobody has used for a while: the system drops them before it misses anything. */
static size_t read_idle_files(const char *group)
{
    static const char name[] = "\ninactive_file ";
    char table[TABLE_MAX];
    size_t bytes = 0;
    if (!read_group_file(group, "/memory.stat", table, TABLE_MAX)) return 0;
    const char *line = __builtin_strstr(table, name);
    return line && read_value(line + sizeof(name) - 1, &bytes) && bytes != SIZE_MAX ? bytes : 0;
}

/* Its limit, if it has one, else SIZE_MAX. */
static size_t read_limit(const char *group)
{
    size_t most = SIZE_MAX, high = SIZE_MAX;
    if (!read_group_value(group, "/memory.max", &most)) return SIZE_MAX; /* no group, or the host's root */
    (void)read_group_value(group, "/memory.high", &high);
    return high < most ? high : most;
}

static void look_at_memory(const char *group, struct os_pressure *out)
{
    size_t limit = read_limit(group), current = 0;
    if (limit == SIZE_MAX) return;
    if (limit < out->limit) out->limit = limit;
    if (!read_group_value(group, "/memory.current", &current)) return;
    size_t idle = read_idle_files(group);
    current = current > idle ? current - idle : 0;
    size_t percent = current >= limit ? 100 : current / (limit / 100 + 1);
    if (percent > out->percent) out->percent = (uint32_t)percent;
}

/* "150000 100000" is a processor and a half, which makes two. */
static void look_at_processors(const char *group, struct os_pressure *out)
{
    char text[VALUE_MAX];
    size_t quota, period;
    if (!read_group_file(group, "/cpu.max", text, VALUE_MAX) || !read_value(text, &quota) || quota == SIZE_MAX) return;
    const char *second = __builtin_strchr(text, ' ');
    if (!second || !read_value(second + 1, &period) || period == 0 || period == SIZE_MAX) return;
    size_t count = quota / period + (quota % period > 0);
    if (count > 0 && count < UINT32_MAX && (out->processors == 0 || count < out->processors))
        out->processors = (uint32_t)count;
}

/* Makes the path that of the group around it. false = it was the root. */
static bool go_up(char *group)
{
    char *slash = __builtin_strrchr(group, '/');
    if (slash) *slash = 0;
    return slash != NULL;
}

COLD void os_pressure(struct os_pressure *out)
{
    char group[GROUP_MAX];
    *out = (struct os_pressure){.limit = SIZE_MAX};
    bool known = read_own_group(group);
    out->stall = read_stall(group);
    if (!known) return;
    do {
        look_at_memory(group, out);
        look_at_processors(group, out);
    } while (go_up(group));
}

COLD size_t os_memory_limit(void)
{
    char group[GROUP_MAX];
    size_t least = SIZE_MAX;
    if (!read_own_group(group)) return SIZE_MAX;
    do {
        size_t limit = read_limit(group);
        if (limit < least) least = limit;
    } while (go_up(group));
    return least;
}
