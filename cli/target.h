/* target.h - a process that runs on hakmem: its memory, and where the library's block is in it.
 *
 * Uses: the library's headers, procfs, process_vm_readv. The process is not stopped and notices nothing.
 */
#ifndef HAK_CLI_TARGET_H
#define HAK_CLI_TARGET_H

#include "../src/service/block.h"
#include "cli.h"

struct target {
    pid_t pid;
    int memory;          /* /proc/PID/mem where process_vm_readv is refused; else -1 */
    struct block block;
    char name[32];       /* of the program */
    char file[256];      /* which holds the library */
    char why[512];       /* a message, after target_try() failed */
};

/* STATUS_DONE, or why not, with the message in target->why. */
enum status target_try(struct target *target, pid_t pid);

/* Or else ends with the message. */
void target_open(struct target *target, pid_t pid);
void target_close(struct target *target);

/* false = not all of it is there, or is mapped no more. */
bool target_read(const struct target *target, const void *from, void *to, size_t size);
bool target_write(const struct target *target, void *at, const void *from, size_t size);

/* The name of a process, "?" when it is gone. */
void process_name(pid_t pid, char *out, size_t size);

/* true = it is not there, or is what is left of one that has ended. */
bool process_has_ended(pid_t pid);

/* One mapping of a process. */
struct mapping_line {
    uintptr_t start, end, offset;
    char rights[8];
    char path[256];
};

/* The next line of /proc/PID/maps. false = no more. */
bool mapping_next(FILE *maps, struct mapping_line *line);

/* A stream of /proc/PID/NAME, or NULL with errno. */
FILE *process_file(pid_t pid, const char *name);

/* Resident bytes, as the kernel sums them; 0 = it is gone. */
uint64_t process_rss(pid_t pid);

#endif
