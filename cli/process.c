/* process.c - see process.h. */
#include "process.h"

#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "text.h"

enum { PATH_BYTES = 64, TASK_EXITING = 4 /* of the kernel's flags: it may take long to give the memory back */ };

/* The link is there even where who asks is in a namespace of which this /proc does not tell. */
bool procfs_is_mounted(void)
{
    struct stat info;
    return lstat("/proc/self", &info) == 0;
}

/* "PID (NAME) STATE PPID GROUP SESSION TERMINAL FOREGROUND FLAGS ...", where the name may hold any character, and all
 * that follows the state are numbers. */
static bool task_lives(pid_t task)
{
    char path[PATH_BYTES];
    char text[256];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)task);
    FILE *file = fopen(path, "re");
    if (!file) return false;
    text[fread(text, 1, sizeof(text) - 1, file)] = 0;
    fclose(file);
    const char *name_end = strrchr(text, ')');
    char state = 0;
    unsigned flags = 0;
    if (name_end) sscanf(name_end + 1, " %c %*d %*d %*d %*d %*d %u", &state, &flags);
    return state != 'Z' && state != 'X' && !(flags & TASK_EXITING);
}

pid_t process_task(pid_t pid)
{
    char path[PATH_BYTES];
    if (task_lives(pid)) return pid;
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    pid_t found = 0;
    DIR *folder = opendir(path);
    for (const struct dirent *e; !found && folder && (e = readdir(folder));) {
        pid_t task = isdigit((unsigned char)e->d_name[0]) ? (pid_t)atol(e->d_name) : 0;
        if (task != 0 && task_lives(task)) found = task;
    }
    if (folder) closedir(folder);
    return found;
}

bool process_has_ended(pid_t pid)
{
    return process_task(pid) == 0;
}

FILE *process_file(pid_t pid, const char *name)
{
    char path[PATH_BYTES];
    pid_t task = process_task(pid);
    snprintf(path, sizeof(path), "/proc/%d/%s", (int)(task ? task : pid), name);
    return fopen(path, "re");
}

/* The first thread's name is the process's, even when that thread has ended. */
void process_name(pid_t pid, char *out, size_t size)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
    FILE *file = fopen(path, "re");
    size_t length = file ? fread(out, 1, size - 1, file) : 0;
    if (file) fclose(file);
    out[length] = 0;
    if (length > 0 && out[length - 1] == '\n') out[length - 1] = 0;
    if (length == 0) snprintf(out, size, "?");
    make_printable(out);
}

struct process_size process_size(pid_t pid)
{
    unsigned long mapped = 0, resident = 0;
    FILE *file = process_file(pid, "statm");
    if (file && fscanf(file, "%lu %lu", &mapped, &resident) != 2) mapped = resident = 0;
    if (file) fclose(file);
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    return (struct process_size){.mapped = mapped * page, .resident = resident * page};
}

bool mapping_next(FILE *maps, struct mapping_line *line)
{
    char text[4096 + 128];
    if (!fgets(text, sizeof(text), maps)) return false;
    int at = 0;
    line->path[0] = 0;
    if (sscanf(text, "%lx-%lx %7s %lx %*s %*s %n", &line->start, &line->end, line->rights, &line->offset, &at) < 4)
        return false;
    if (at > 0) snprintf(line->path, sizeof(line->path), "%.*s", (int)strcspn(text + at, "\n"), text + at);
    return true;
}
