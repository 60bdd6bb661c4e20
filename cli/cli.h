/* cli.h - what the files of the command-line tool share.
 *
 * hakmem COMMAND ...: one file for each command, a row for each in main.c. The tool looks at processes from outside:
 * target.c reads their memory, walk.c makes a snapshot of it, rss.c asks the kernel which pages are resident, and
 * divide.c says what these hold.
 */
#ifndef HAK_CLI_CLI_H
#define HAK_CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* Exit statuses; hakmem(1) lists them. */
enum status {
    STATUS_DONE = 0,
    STATUS_FAILED = 1,        /* what the message says; doctor: something was found */
    STATUS_USAGE = 2,
    STATUS_NO_PROCESS = 3,
    STATUS_NOT_PERMITTED = 4,
    STATUS_NO_HAKMEM = 5,     /* the process does not run on hakmem */
    STATUS_OTHER_BUILD = 6,
    STATUS_32_BIT = 7,
    STATUS_CANNOT_TAKE = 8,   /* run: the program, or the library, cannot be preloaded */
};

enum { MESSAGE_BYTES = 8192 }; /* of a line, with two paths in it */

#define PRINTF_FORMAT(f, a) __attribute__((format(printf, f, a)))

/* Prints "hakmem: <text>" on standard error and exits. */
_Noreturn void fail(enum status status, const char *format, ...) PRINTF_FORMAT(2, 3);

/* Memory or nothing: a tool that has none left says so and ends. */
void *take_memory(size_t size);
void *grow_memory(void *p, size_t size);

/* A process id given as an argument; ends with STATUS_USAGE when it is none. */
pid_t pid_of(const char *text);

/* "12.3 MiB", in one of a few buffers that are used in turn. */
const char *human(uint64_t bytes);

/* The commands: argv[0] is "hakmem COMMAND". Each returns an exit status. */
int run_main(int argc, char **argv);
int stat_main(int argc, char **argv);
int top_main(int argc, char **argv);
int map_main(int argc, char **argv);
int explain_main(int argc, char **argv);
int purge_main(int argc, char **argv);
int set_main(int argc, char **argv);
int doctor_main(int argc, char **argv);

#endif
