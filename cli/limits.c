/* limits.c - what the system allows a process, and how it hands memory out. See doctor.h. */
#include <stdlib.h>
#include <string.h>

#include "doctor.h"
#include "process.h"

#define WINDOW_LIMIT (UINT64_C(64) << 30)
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
    uint64_t addresses = soft_limit(pid, "Max address space");
    uint64_t data = soft_limit(pid, "Max data size");
    uint64_t mapped = process_size(pid).mapped;
    if (mapped > addresses)
        found(PROBLEM, "addresses are limited to %s (RLIMIT_AS), and %s are mapped: the limit came while the program "
              "ran, and the system refuses it every further mapping, and its stack each page more; set the limit "
              "before the program starts", human(addresses), human(mapped));
    else if (addresses < WINDOW_LIMIT)
        found(PROBLEM, "addresses are limited to %s (ulimit -v): below 64 GiB every free takes a slower way; raise "
              "it, or limit memory by a cgroup", human(addresses));
    else
        found(FINE, "addresses are not limited, or to enough");
    if (data != NO_LIMIT)
        found(NOTE, "RLIMIT_DATA is %s: memory that was given back counts against it, too; limit memory by a cgroup "
              "instead",
              human(data));
}

/* The group's folder below a controller's mount, and the name of the limit in it. */
static bool group_limit(pid_t pid, uint64_t *limit, uint64_t *current)
{
    char line[4096];
    bool good = false;
    FILE *file = process_file(pid, "cgroup");
    while (file && !good && fgets(line, sizeof(line), file)) {
        char path[4200], text[64];
        bool unified = strncmp(line, "0::", 3) == 0;
        char *memory = strstr(line, ":memory:");
        if (!unified && !memory) continue;
        char *group = unified ? line + 3 : memory + 8;
        group[strcspn(group, "\n")] = 0;
        const char *root = unified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
        snprintf(path, sizeof(path), "%s%s/%s", root, group, unified ? "memory.max" : "memory.limit_in_bytes");
        if (!first_line(path, text, sizeof(text))) continue;
        *limit = strcmp(text, "max") == 0 ? NO_LIMIT : strtoul(text, NULL, 10);
        snprintf(path, sizeof(path), "%s%s/%s", root, group, unified ? "memory.current" : "memory.usage_in_bytes");
        *current = first_line(path, text, sizeof(text)) ? strtoul(text, NULL, 10) : 0;
        good = *limit < UINT64_C(1) << 60;
    }
    if (file) fclose(file);
    return good;
}

static void examine_group(pid_t pid)
{
    uint64_t limit = 0;
    uint64_t current = 0;
    if (!group_limit(pid, &limit, &current)) return;
    found(current > limit / 10 * 9 ? PROBLEM : NOTE, "its cgroup may use %s and uses %s; when it is near the limit, "
          "set purge_delay=0, so that free memory goes back at once", human(limit), human(current));
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
