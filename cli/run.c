/* run.c - hakmem run: a command with the library preloaded. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arguments.h"
#include "options.h"
#include "process.h"
#include "program.h"

enum { OPTIONS_MAX = 32 };

struct arguments {
    char **command;
    const char *library;
    const char *option[OPTIONS_MAX];
    int options;
    bool stats;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    long value;
    switch (key) {
    case 's': a->stats = true; return 0;
    case 'l': a->library = arg; return 0;
    case 'o':
        if (a->options == OPTIONS_MAX) argp_error(state, "so many options there are not");
        (void)option_parse(arg, &value);
        a->option[a->options++] = arg;
        return 0;
    case ARGP_KEY_ARG:
        a->command = &state->argv[state->next - 1];
        state->next = state->argc;
        return 0;
    case ARGP_KEY_END:
        if (!a->command) argp_error(state, "which command? It is missing");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"stats", 's', NULL, 0, "print the statistics at the end (HAKMEM_SHOW_STATS=1)", 0},
    {"option", 'o', "NAME=VALUE", 0, "set an option; hakmem-options(7) lists them", 0},
    {"library", 'l', "FILE", 0, "the library to preload, instead of the one that belongs to this tool", 0},
    {0},
};

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "-- COMMAND...",
    .doc = "Runs a command on hakmem. LD_PRELOAD is kept, behind hakmem's library. Says why, with status 8, where a "
           "program cannot be preloaded: it is static, gains rights (set-user-ID, capabilities), is for another "
           "machine, has 32 bits, or is not there; and where FILE is not hakmem's library. Of a script the interpreter is "
           "looked at, /bin/sh where it names none. Else the status is the command's.",
};

/* Beside the tool in a build folder; installed, in the neighbour lib. */
static bool find_library(char *out, size_t size)
{
    static const char *const places[] = {"libhakmem.so", "../lib/libhakmem.so.0", "../lib64/libhakmem.so.0",
                                         "../lib/x86_64-linux-gnu/libhakmem.so.0",
                                         "../lib/aarch64-linux-gnu/libhakmem.so.0"};
    char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (length <= 0) return false;
    self[length] = 0;
    *strrchr(self, '/') = 0;
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char path[2 * PATH_MAX];
        snprintf(path, sizeof(path), "%s/%s", self, places[i]);
        char *real = access(path, R_OK) == 0 ? realpath(path, NULL) : NULL;
        if (!real) continue;
        snprintf(out, size, "%s", real);
        free(real);
        return true;
    }
    return false;
}

/* A library given by name: hakmem's, to be loaded into programs, with malloc in it. Ends when it is none. */
static void take_library(const char *name, char *path)
{
    struct elf elf;
    if (!realpath(name, path)) fail(STATUS_CANNOT_TAKE, "%s: %s", name, strerror(errno));
    bool good = elf_open(&elf, path) == NULL && elf.has_note && !elf_interpreter(&elf) &&
                elf_has_symbol(&elf, "malloc", true);
    elf_close(&elf);
    if (!good)
        fail(STATUS_CANNOT_TAKE, "%s cannot be preloaded: it is not hakmem's library (libhakmem.so), or not for this "
             "machine", name);
}

static void preload(const char *library)
{
    const char *before = getenv("LD_PRELOAD");
    if (strpbrk(library, " :")) fail(STATUS_CANNOT_TAKE, "%s cannot be preloaded: its path has a blank or a colon", library);
    size_t size = strlen(library) + 2 + (before ? strlen(before) : 0);
    char *value = take_memory(size);
    snprintf(value, size, "%s%s%s", library, before && *before ? ":" : "", before ? before : "");
    setenv("LD_PRELOAD", value, 1);
    free(value);
}

/* HAKMEM_NAME=VALUE */
static void export_option(const char *text)
{
    char name[64] = "HAKMEM_";
    size_t length = strlen(name);
    for (; *text != '=' && length + 1 < sizeof(name); text++)
        name[length++] = *text >= 'a' && *text <= 'z' ? (char)(*text - 'a' + 'A') : *text;
    name[length] = 0;
    setenv(name, text + 1, 1);
}

int run_main(int argc, char **argv)
{
    static struct program program;
    struct arguments a = {.command = NULL};
    char library[PATH_MAX];
    argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &a);
    if (a.library) {
        take_library(a.library, library);
    } else if (!find_library(library, sizeof(library))) {
        if (!procfs_is_mounted())
            fail(STATUS_CANNOT_TAKE, "/proc is not mounted: it tells where this tool, and libhakmem.so beside it, is; give "
                 "the library by --library");
        fail(STATUS_CANNOT_TAKE, "libhakmem.so is neither beside this tool nor in ../lib; give it by --library");
    }
    program_look(&program, a.command[0]);
    if (!program.takes_preload) fail(STATUS_CANNOT_TAKE, "%s", program.why);
    if (*program.warning) fprintf(stderr, "hakmem: %s: %s\n", program.path, program.warning);
    for (int i = 0; i < a.options; i++) export_option(a.option[i]);
    if (a.stats) setenv("HAKMEM_SHOW_STATS", "1", 1);
    preload(library);
    execvp(a.command[0], a.command);
    fail(STATUS_CANNOT_TAKE, "%s: %s", a.command[0], strerror(errno));
}
