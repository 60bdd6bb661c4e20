/* change.c - hakmem purge and hakmem set: one word in the process's memory, which the library looks at anyway. */
#include <stdlib.h>
#include <time.h>

#include "../src/service/reclaim.h"
#include "arguments.h"
#include "options.h"
#include "target.h"

enum { LOOK_MS = 10, SETS_MAX = 32 };

static void must_write(const struct target *target, void *at, const void *from, size_t size)
{
    if (target_write(target, at, from, size)) return;
    if (process_has_ended(target->pid)) fail(STATUS_NO_PROCESS, "process %d has ended", (int)target->pid);
    fail(STATUS_NOT_PERMITTED, "not permitted to write to process %d (%s)", (int)target->pid, target->name);
}

/* ---- purge ---- */

struct purge_arguments {
    pid_t pid;
    long wait_ms;
};

static error_t parse_purge(int key, char *arg, struct argp_state *state)
{
    struct purge_arguments *a = state->input;
    char *end;
    switch (key) {
    case 'w':
        a->wait_ms = strtol(arg, &end, 10);
        if (*end || a->wait_ms < 0 || a->wait_ms > 3600 * 1000L)
            argp_error(state, "'%s' is no number of milliseconds", arg);
        return 0;
    default: return parse_pid(key, arg, state, &a->pid);
    }
}

static const struct argp_option purge_options[] = {
    {"wait", 'w', "MS", 0, "wait so long for the process to follow (default 1000)", 0},
    {0},
};

static const struct argp purge_argp = {
    .options = purge_options,
    .parser = parse_purge,
    .args_doc = "PID",
    .doc = "Asks a process to give back all free memory that it can: it does so at the next of its calls that leaves "
           "the fast path and looks at the clock (about one in 64 of these). Its other threads empty their caches when "
           "they next leave it. A process that makes no call follows when its background thread looks, if it has one; "
           "else the request stays.",
};

int purge_main(int argc, char **argv)
{
    struct purge_arguments a = {.wait_ms = 1000};
    struct target target;
    uint32_t request = REQUEST_MADE;
    argp_parse(&purge_argp, argc, argv, 0, NULL, &a);
    target_open(&target, a.pid);
    uint64_t before = process_size(a.pid).resident;
    must_write(&target, target.block.reclaim_request, &request, sizeof(request));
    for (long waited = 0; waited < a.wait_ms && request != 0; waited += LOOK_MS) {
        nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000L}, NULL);
        if (!target_read(&target, target.block.reclaim_request, &request, sizeof(request)))
            fail(STATUS_NO_PROCESS, "process %d (%s) has ended", (int)a.pid, target.name);
    }
    uint64_t after = process_size(a.pid).resident;
    if (after == 0) fail(STATUS_NO_PROCESS, "process %d (%s) has ended", (int)a.pid, target.name);
    if (request == REQUEST_MADE)
        printf("process %d (%s) has not followed yet: it does at one of its next calls\n", (int)a.pid, target.name);
    else
        printf("process %d (%s): RSS was %lu KiB, is %lu KiB%s\n", (int)a.pid, target.name, before >> 10,
               after >> 10, request == 0 ? "" : ", and it is still at it");
    target_close(&target);
    return STATUS_DONE;
}

/* ---- set ---- */

struct set_arguments {
    pid_t pid;
    int count;
    int index[SETS_MAX];
    long value[SETS_MAX];
};

static error_t parse_set(int key, char *arg, struct argp_state *state)
{
    struct set_arguments *a = state->input;
    switch (key) {
    case ARGP_KEY_ARG:
        if (state->arg_num == 0) {
            a->pid = pid_of(arg);
            return 0;
        }
        if (a->count == SETS_MAX) argp_error(state, "so many options there are not");
        a->index[a->count] = option_parse(arg, &a->value[a->count]);
        if (!option_rows[a->index[a->count]].settable)
            fail(STATUS_USAGE, "%s can only be set at start, by 'hakmem run --option %s'",
                 option_rows[a->index[a->count]].name, arg);
        a->count++;
        return 0;
    case ARGP_KEY_END:
        if (a->count == 0) argp_error(state, "PID NAME=VALUE... is missing");
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp set_argp = {
    .parser = parse_set,
    .args_doc = "PID NAME=VALUE...",
    .doc = "Changes options of a process while it runs. hakmem-options(7) lists them; some can only be set at start.",
};

int set_main(int argc, char **argv)
{
    struct set_arguments a = {.count = 0};
    struct target target;
    argp_parse(&set_argp, argc, argv, 0, NULL, &a);
    target_open(&target, a.pid);
    for (int i = 0; i < a.count; i++) {
        long before;
        long *word = &target.block.option_value[a.index[i]];
        if (!target_read(&target, word, &before, sizeof(before)))
            fail(STATUS_NO_PROCESS, "process %d (%s) has ended", (int)a.pid, target.name);
        must_write(&target, word, &a.value[i], sizeof(a.value[i]));
        printf("%s was %s, is %s\n", option_rows[a.index[i]].name, option_text(a.index[i], before),
               option_text(a.index[i], a.value[i]));
    }
    target_close(&target);
    return STATUS_DONE;
}
