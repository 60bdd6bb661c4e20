/* target.h - a process that runs on hakmem: its memory, and where the library's block is in it.
 *
 * Uses: the library's headers, process, process_vm_readv. The process is not stopped and notices nothing.
 */
#ifndef HAK_CLI_TARGET_H
#define HAK_CLI_TARGET_H

#include "../src/service/block.h"
#include "process.h"

struct target {
    pid_t pid;
    pid_t task;          /* one of its threads; its memory is read by this id */
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

/* After a while, for a process that has ended meanwhile, or runs another program. Or else ends with the message. */
void target_reopen(struct target *target);

/* false = its memory is gone. */
bool target_is_there(const struct target *target);

/* false = not all of it is there, or is mapped no more. */
bool target_read(const struct target *target, const void *from, void *to, size_t size);
bool target_write(const struct target *target, void *at, const void *from, size_t size);

#endif
