/* limits.c - what the system allows a process, and how it hands memory out. See doctor.h. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../src/space/tagmap.h"
#include "doctor.h"
#include "process.h"

#define NO_LIMIT (~UINT64_C(0))
enum { MAPPINGS_FEW = 65530 };

/* The first line of a file; false = there is none. */
static bool first_line(const char *path, char *out, size_t size)
{
    FILE *file = fopen(path, "re");
    bool good = file && fgets(out, (int)size, file);
    if (file) fclose(file);
    if (good) out[strcspn(out, "\n")] = 0;
    return good;
}

/* A soft limit in bytes, by the name that /proc/PID/limits gives it. */
static uint64_t soft_limit(pid_t pid, const char *name)
{
    char line[256];
    uint64_t limit = NO_LIMIT;
    FILE *file = process_file(pid, "limits");
    while (file && fgets(line, sizeof(line), file)) {
        unsigned long value;
        if (strncmp(line, name, strlen(name)) == 0 && sscanf(line + strlen(name), "%lu", &value) == 1) limit = value;
    }
    if (file) fclose(file);
    return limit;
}

void examine_limits(pid_t pid)
{
    if (!procfs_is_mounted()) {
        found(NOTE, "/proc is not mounted: nothing tells of limits, and of the settings of the system");
        return;
    }
    uint64_t addresses = soft_limit(pid, "Max address space");
    uint64_t data = soft_limit(pid, "Max data size");
    uint64_t mapped = process_size(pid).mapped;
    if (mapped > addresses)
        found(PROBLEM, "addresses are limited to %s (RLIMIT_AS), and %s are mapped: the limit came while the program "
              "ran, and the system refuses it every further mapping, and its stack each page more; set the limit "
              "before the program starts", human(addresses), human(mapped));
    else if (addresses < TAGMAP_LIMIT_MIN)
        found(PROBLEM, "addresses are limited to %s (ulimit -v): below %s every free takes a slower way; raise it, or "
              "limit memory by a cgroup", human(addresses), human(TAGMAP_LIMIT_MIN));
    else
        found(FINE, "addresses are not limited, or to enough");
    if (data != NO_LIMIT)
        found(NOTE, "RLIMIT_DATA is %s: memory that was given back counts against it, too; limit memory by a cgroup "
              "instead",
              human(data));
}

struct group {
    uint64_t limit, used;
};

static uint64_t number_in(const char *folder, const char *name)
{
    char path[PATH_MAX + 64], text[64];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (!first_line(path, text, sizeof(text)) || strcmp(text, "max") == 0) return NO_LIMIT;
    return strtoul(text, NULL, 10);
}

/* Pages of files that the system drops before it misses anything. */
static uint64_t idle_files(const char *folder)
{
    char path[PATH_MAX + 64], line[128];
    uint64_t bytes = 0;
    snprintf(path, sizeof(path), "%s/memory.stat", folder);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file)) (void)sscanf(line, "inactive_file %lu", &bytes);
    if (file) fclose(file);
    return bytes;
}

static struct group group_in(const char *folder, bool unified)
{
    uint64_t most = number_in(folder, unified ? "memory.max" : "memory.limit_in_bytes");
    uint64_t high = unified ? number_in(folder, "memory.high") : NO_LIMIT;
    uint64_t used = number_in(folder, unified ? "memory.current" : "memory.usage_in_bytes");
    uint64_t idle = idle_files(folder);
    if (used == NO_LIMIT || used < idle) used = idle;
    return (struct group){.limit = high < most ? high : most, .used = used - idle};
}

/* The limits of a group hold for all groups in it: of all up to the root, the one that is fullest. `folder` is cut. */
static struct group fullest_group(char *folder, size_t root, bool unified)
{
    struct group fullest = {.limit = NO_LIMIT};
    for (;;) {
        struct group g = group_in(folder, unified);
        bool limited = g.limit < UINT64_C(1) << 60;
        if (limited && (double)g.used / (double)(g.limit + 1) >= (double)fullest.used / (double)fullest.limit) fullest = g;
        if (strlen(folder) <= root) return fullest;
        *strrchr(folder, '/') = 0;
    }
}

/* false = its memory is not limited by any. */
static bool group_limit(pid_t pid, struct group *out)
{
    char line[PATH_MAX], folder[PATH_MAX + 32];
    *out = (struct group){.limit = NO_LIMIT};
    FILE *file = process_file(pid, "cgroup");
    while (file && out->limit == NO_LIMIT && fgets(line, sizeof(line), file)) {
        bool unified = strncmp(line, "0::", 3) == 0;
        char *memory = strstr(line, ":memory:");
        if (!unified && !memory) continue;
        char *group = unified ? line + 3 : memory + 8;
        group[strcspn(group, "\n")] = 0;
        if (strcmp(group, "/") == 0 || strncmp(group, "/..", 3) == 0) *group = 0; /* seen from another namespace */
        const char *root = unified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
        snprintf(folder, sizeof(folder), "%s%s", root, group);
        *out = fullest_group(folder, strlen(root), unified);
    }
    if (file) fclose(file);
    return out->limit != NO_LIMIT;
}

static void examine_group(pid_t pid)
{
    struct group group;
    if (!group_limit(pid, &group)) return;
    found(group.used > group.limit / 10 * 9 ? PROBLEM : NOTE, "its cgroup, or one around it, may use %s and uses %s; when "
          "that is near the limit, set purge_delay=0, so that free memory goes back at once", human(group.limit),
          human(group.used));
}

static void examine_overcommit(void)
{
    char text[64];
    if (first_line("/proc/sys/vm/overcommit_memory", text, sizeof(text)) && text[0] == '2')
        found(NOTE, "the system does not overcommit (vm.overcommit_memory=2): memory is charged as it is made "
              "writable; hakmem makes small steps then, which costs some system calls");
    if (first_line("/proc/sys/vm/max_map_count", text, sizeof(text)) && atol(text) < MAPPINGS_FEW)
        found(NOTE, "vm.max_map_count is %s: programs with very many large blocks may meet it; the default is "
              "65530", text);
}

static void examine_huge_pages(void)
{
    char text[128];
    if (access("/sys/kernel", F_OK) != 0) {
        found(NOTE, "/sys is not mounted: nothing tells of transparent huge pages, and of the memory of cgroups");
        return;
    }
    if (!first_line("/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof(text))) {
        found(NOTE, "this kernel has no transparent huge pages: large heaps cost more page faults");
        return;
    }
    if (strstr(text, "[never]"))
        found(NOTE, "transparent huge pages are off: 'echo madvise > /sys/kernel/mm/transparent_hugepage/enabled' "
              "lets hakmem have them where memory is filled");
    else if (strstr(text, "[always]"))
        found(NOTE, "transparent huge pages are on for all memory: hakmem forbids them where they would only cost "
              "memory; madvise is the better setting for the others in the process");
    else
        found(FINE, "transparent huge pages are given to those who ask");
}

void examine_system(pid_t pid)
{
    char text[64];
    examine_group(pid);
    examine_overcommit();
    examine_huge_pages();
    if (first_line("/proc/sys/kernel/yama/ptrace_scope", text, sizeof(text)) && text[0] != '0')
        found(NOTE, "kernel.yama.ptrace_scope is %s: 'hakmem stat' and its kin need root", text);
}
