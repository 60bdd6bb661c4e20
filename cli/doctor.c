/* doctor.c - hakmem doctor: what keeps a program, or a running process, from running well on hakmem. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arguments.h"
#include "doctor.h"
#include "program.h"
#include "text.h"

static unsigned problems;

void found(enum weight weight, const char *format, ...)
{
    static const char *const words[] = {"ok", "note", "problem"};
    char text[MESSAGE_BYTES];
    va_list list;
    va_start(list, format);
    format_printable(text, sizeof(text), format, list);
    va_end(list);
    printf("%-8s %s\n", words[weight], text);
    problems += weight == PROBLEM;
}

/* ---- a command ---- */

static void examine_command(const char *command)
{
    static struct program p;
    program_look(&p, command);
    if (p.has_hakmem) {
        found(FINE, "%s has hakmem linked in", p.path);
    } else if (!p.takes_preload) {
        found(PROBLEM, "%s", p.why);
    } else {
        found(FINE, "%s%s%s can be preloaded: hakmem run -- %s", p.path,
              *p.script ? ", which runs " : "", p.script, command);
        if (elf_has_symbol(&p.elf, "dlopen", false))
            found(NOTE, "it loads libraries while it runs: one that is loaded with RTLD_DEEPBIND keeps libc's malloc; "
                  "look at the running process with 'hakmem doctor PID'");
    }
    if (p.elf.has_note && !p.has_hakmem)
        found(NOTE, "%s: hakmem is in it under its own names (hak_malloc ...); malloc is another one", p.path);
    if (*p.warning) found(NOTE, "%s: %s", p.path, p.warning);
    elf_close(&p.elf);
}

/* ---- */

struct arguments {
    char **command;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    (void)arg;
    switch (key) {
    case ARGP_KEY_ARG:
        a->command = &state->argv[state->next - 1];
        state->next = state->argc;
        return 0;
    case ARGP_KEY_END:
        if (!a->command) argp_error(state, "whom? PID or COMMAND is missing");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp argp = {
    .parser = parse,
    .args_doc = "PID | COMMAND...",
    .doc = "Looks for what keeps a program from running well on hakmem, and says what to do. A command is not run. A "
           "number is a process, unless a command of that name follows a --.\vLines begin with ok, note or problem. "
           "The status is 1 when there is a problem, else 0.",
};

static bool is_number(const char *text)
{
    return *text && text[strspn(text, "0123456789")] == 0;
}

int doctor_main(int argc, char **argv)
{
    struct arguments a = {.command = NULL};
    argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &a);
    bool process = is_number(a.command[0]) && strcmp(a.command[-1], "--") != 0;
    pid_t pid = process ? pid_of(a.command[0]) : getpid();
    if (process)
        examine_process(pid);
    else
        examine_command(a.command[0]);
    examine_limits(pid);
    examine_system(pid);
    return problems > 0 ? STATUS_FAILED : STATUS_DONE;
}
