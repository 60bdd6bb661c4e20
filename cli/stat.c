/* stat.c - hakmem stat: where the memory of a process is. */
#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "screen.h"

struct arguments {
    pid_t pid;
    char form; /* 't', 'j' or 'p' */
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    switch (key) {
    case 'j':
    case 'p':
        if (a->form != 't' && a->form != key) argp_error(state, "--json or --prometheus, not both");
        a->form = (char)key;
        return 0;
    default: return parse_pid(key, arg, state, &a->pid);
    }
}

static const struct argp_option options[] = {
    {"json", 'j', NULL, 0, "print JSON", 0},
    {"prometheus", 'p', NULL, 0, "print metrics, as the node exporter's textfile collector reads them", 0},
    {0},
};

#define PART(id, title, meaning) "  " title ": " meaning ".\n"
static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "PID",
    .doc = "Tells where the memory of a process is. Each resident byte is in one of these parts, and the parts add up "
           "to the RSS that the kernel counts:\v" PARTS(PART)
           "Where pages of a class's slabs have no memory, without having been given back, the others are divided in "
           "proportion to its blocks. A "
           "class is the distance of its blocks; fullness is the share of blocks in its slabs that are live. "
           "Waits for locks are those since the process began; asleep: how often a thread slept for one. The "
           "process is not stopped; while it allocates, the figures are those of slightly different moments.",
};
#undef PART

int stat_main(int argc, char **argv)
{
    struct arguments a = {.form = 't'};
    struct target target;
    struct snapshot snapshot;
    struct residence residence;
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    target_open(&target, a.pid);
    look_at(&target, &snapshot, &residence);
    if (a.form == 'j')
        print_json(stdout, &target, &snapshot, &residence);
    else if (a.form == 'p')
        print_metrics(stdout, &target, &snapshot, &residence);
    else
        print_screen(stdout, &target, &snapshot, &residence);
    snapshot_free(&snapshot);
    target_close(&target);
    return STATUS_DONE;
}
