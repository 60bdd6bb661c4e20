/* main.c - the table of commands, and what all of them use. See cli.h. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../src/base/config.h"
#include "arguments.h"
#include "cli.h"
#include "text.h"

struct command {
    const char *name;
    int (*main)(int argc, char **argv);
    const char *arguments;
    const char *help;
};

static const struct command commands[] = {
    {"run", run_main, "[--stats] [--option NAME=VALUE]... -- COMMAND...", "run a command on hakmem"},
    {"stat", stat_main, "PID [--json|--prometheus]", "what the process's memory is, adding up to its RSS"},
    {"top", top_main, "[PID...]", "all processes that run on hakmem, live"},
    {"map", map_main, "PID [--svg FILE]", "a picture of its SuperSlabs"},
    {"explain", explain_main, "PID", "in words: why it holds more than is live, and what would help"},
    {"purge", purge_main, "PID", "ask it to give free memory back"},
    {"set", set_main, "PID NAME=VALUE...", "change options while it runs"},
    {"doctor", doctor_main, "PID | COMMAND...", "look for what keeps a program from running well on hakmem"},
};

enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static bool has_failed;

void fail(enum status status, const char *format, ...)
{
    char text[MESSAGE_BYTES];
    va_list list;
    has_failed = true;
    fflush(stdout);
    va_start(list, format);
    format_printable(text, sizeof(text), format, list);
    va_end(list);
    fprintf(stderr, "hakmem: %s\n", text);
    exit(status);
}

void *take_memory(size_t size)
{
    void *p = calloc(1, size ? size : 1);
    if (!p) fail(STATUS_FAILED, "out of memory");
    return p;
}

void *grow_memory(void *p, size_t size)
{
    p = realloc(p, size);
    if (!p) fail(STATUS_FAILED, "out of memory");
    return p;
}

pid_t pid_of(const char *text)
{
    char *end;
    errno = 0;
    long pid = strtol(text, &end, 10);
    if (errno || *end || !isdigit((unsigned char)*text) || pid < 1 || pid > 1 << 30)
        fail(STATUS_USAGE, "'%s' is not a process id", text);
    return (pid_t)pid;
}

error_t parse_pid(int key, const char *arg, struct argp_state *state, pid_t *pid)
{
    switch (key) {
    case ARGP_KEY_ARG:
        if (*pid != 0) argp_error(state, "one PID at a time");
        *pid = pid_of(arg);
        return 0;
    case ARGP_KEY_END:
        if (*pid == 0) argp_error(state, "whose memory? PID is missing");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

const char *human(uint64_t bytes)
{
    static char buffers[8][24];
    static unsigned turn;
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    char *out = buffers[turn++ % 8];
    double value = (double)bytes;
    int unit = -1;
    while (value >= 1024 && unit < 3) value /= 1024, unit++;
    if (unit < 0)
        snprintf(out, sizeof(buffers[0]), "%u B", (unsigned)bytes);
    else
        snprintf(out, sizeof(buffers[0]), "%.1f %s", value, units[unit]);
    return out;
}

static void print_help(FILE *stream)
{
    fputs("Usage: hakmem COMMAND ...\n\n", stream);
    for (int i = 0; i < COMMANDS; i++)
        fprintf(stream, "  %-8s %-46s\n           %s\n", commands[i].name, commands[i].arguments, commands[i].help);
    fputs("\nhakmem COMMAND --help tells more, hakmem(1) all. hakmem --version: of the tool; it reads processes that "
          "run\non a library of the same build.\n", stream);
}

/* Who reads the output from a file must not take half of it for all. By exit(), which argp calls, too. */
static void check_output(void)
{
    if (has_failed || (fflush(stdout) == 0 && !ferror(stdout))) return;
    fprintf(stderr, "hakmem: standard output: %s\n", strerror(errno));
    _exit(STATUS_FAILED);
}

int main(int argc, char **argv)
{
    argp_err_exit_status = STATUS_USAGE;
    atexit(check_output);
    if (argc < 2) {
        print_help(stderr);
        return STATUS_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return STATUS_DONE;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        printf("hakmem %s, build %s\n", HAK_VERSION, HAK_BUILD_ID);
        return STATUS_DONE;
    }
    for (int i = 0; i < COMMANDS; i++) {
        char name[32];
        if (strcmp(argv[1], commands[i].name) != 0) continue;
        snprintf(name, sizeof(name), "hakmem %s", commands[i].name);
        argv[1] = name;
        return commands[i].main(argc - 1, argv + 1);
    }
    fail(STATUS_USAGE, "no command '%s'; hakmem --help lists them", argv[1]);
}
