/* process.h - a process, as procfs shows it.
 *
 * Uses: procfs. A process lives as long as one of its threads; while its first one has ended, and others run on, they
 * stand for it.
 */
#ifndef HAK_CLI_PROCESS_H
#define HAK_CLI_PROCESS_H

#include "cli.h"

/* Whether /proc is there at all: else there are processes, and nothing tells of them. And what to say then. */
bool procfs_is_mounted(void);
#define PROCFS_MISSING "/proc is not mounted: nothing tells of processes"

/* The thread by whose id memory and mappings are to be had. 0 = the process is not there, or is what is left of one
 * that has ended. */
pid_t process_task(pid_t pid);
bool process_has_ended(pid_t pid);

/* A stream of /proc/PID/NAME, or NULL with errno. */
FILE *process_file(pid_t pid, const char *name);

/* Its name, in characters that can be printed; "?" when it is gone. */
void process_name(pid_t pid, char *out, size_t size);

/* Bytes, as the kernel sums them; 0 = it is gone. */
struct process_size {
    uint64_t mapped, resident;
};
struct process_size process_size(pid_t pid);

/* One mapping of a process. */
struct mapping_line {
    uintptr_t start, end, offset;
    char rights[8];
    char path[256];
};

/* The next line of /proc/PID/maps. false = no more. */
bool mapping_next(FILE *maps, struct mapping_line *line);

#endif
