/* top.c - hakmem top: all processes that run on hakmem, live, with rates. */
#include <ctype.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "arguments.h"
#include "top.h"

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct top *t = state->input;
    char *end;
    switch (key) {
    case 'o': t->once = true; return 0;
    case 'd':
        t->delay = strtod(arg, &end);
        if (*end || !(t->delay >= 0.1 && t->delay <= 3600))
            argp_error(state, "'%s' is no number of seconds from 0.1", arg);
        return 0;
    case 's':
        if (strlen(arg) != 1 || !column_of(*arg)) argp_error(state, "'%s' is no column: one of r l p c m t n", arg);
        t->sort = *arg;
        return 0;
    case ARGP_KEY_ARG:
        if (t->wanted_count == WANTED_MAX) argp_error(state, "so many processes are not");
        t->wanted[t->wanted_count++] = pid_of(arg);
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"once", 'o', NULL, 0, "print one table, of two looks a delay apart, and end", 0},
    {"delay", 'd', "SECONDS", 0, "between looks (default 2)", 0},
    {"sort", 's', "KEY", 0, "by which column: r RSS, l live, p percent live, c cached, m mallocs/s, t threads, n "
        "name", 0},
    {0},
};

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "[PID...]",
    .doc = "Shows the processes that run on hakmem, or those given, every few seconds. On the screen, the keys of "
           "--sort sort, space looks again, q ends.",
};

/* ---- looking ---- */

static int by_pid(const void *a, const void *b)
{
    const struct row *x = a;
    const struct row *y = b;
    return (x->pid > y->pid) - (x->pid < y->pid);
}

static void look(struct top *t, pid_t pid)
{
    struct target target;
    struct snapshot s;
    if (t->count == ROWS_MAX || target_try(&target, pid) != STATUS_DONE) return;
    if (snapshot_take(&target, &s)) {
        struct row *row = &t->row[t->count++];
        *row = (struct row){.pid = pid, .rss = process_size(pid).resident, .live = s.total.live, .cached = s.total.cached,
                            .threads = s.total.threads, .mallocs = s.total.mallocs, .frees = s.total.frees};
        clock_gettime(CLOCK_MONOTONIC, &row->time);
        snprintf(row->name, sizeof(row->name), "%s", target.name);
        snapshot_free(&s);
    }
    target_close(&target);
}

static void look_at_all(struct top *t)
{
    DIR *folder = opendir("/proc");
    for (const struct dirent *e; folder && (e = readdir(folder));)
        if (isdigit((unsigned char)e->d_name[0])) look(t, (pid_t)atol(e->d_name));
    if (folder) closedir(folder);
}

/* Rates from the look before: a process that was not there then has none. */
static void take_rates(struct top *t, const struct row *before, size_t count)
{
    for (size_t i = 0; i < t->count; i++) {
        struct row *now = &t->row[i];
        const struct row *then = bsearch(now, before, count, sizeof(*before), by_pid);
        if (!then || strcmp(then->name, now->name) != 0) continue;
        double seconds = (double)(now->time.tv_sec - then->time.tv_sec) +
                         (double)(now->time.tv_nsec - then->time.tv_nsec) / 1e9;
        int64_t calls = (int64_t)(now->mallocs - then->mallocs);
        now->rate = calls > 0 && seconds > 0 ? (double)calls / seconds : 0;
    }
}

void top_look(struct top *t)
{
    static struct row before[ROWS_MAX];
    size_t count = t->count;
    memcpy(before, t->row, count * sizeof(*before));
    qsort(before, count, sizeof(*before), by_pid);
    t->count = 0;
    if (t->wanted_count == 0) look_at_all(t);
    for (int i = 0; i < t->wanted_count; i++) look(t, t->wanted[i]);
    take_rates(t, before, count);
}

/* ---- the table ---- */

static double share_live(const struct row *r)
{
    double share = r->rss ? 100.0 * (double)r->live / (double)r->rss : 0;
    return share < 100 ? share : 100; /* blocks that were not touched */
}

static char sort_key;

static int by_key(const void *a, const void *b)
{
    const struct row *x = a;
    const struct row *y = b;
    double difference = 0;
    switch (sort_key) {
    case 'l': difference = (double)y->live - (double)x->live; break;
    case 'p': difference = share_live(y) - share_live(x); break;
    case 'c': difference = (double)y->cached - (double)x->cached; break;
    case 'm': difference = y->rate - x->rate; break;
    case 't': difference = (double)y->threads - (double)x->threads; break;
    case 'n': return strcmp(x->name, y->name);
    default: difference = (double)y->rss - (double)x->rss;
    }
    return difference != 0 ? (difference > 0 ? 1 : -1) : by_pid(a, b);
}

bool column_of(char key)
{
    return key != 0 && strchr("rlpcmtn", key) != NULL;
}

void top_sort(struct top *t)
{
    sort_key = t->sort;
    qsort(t->row, t->count, sizeof(*t->row), by_key);
}

const char *top_title(void)
{
    return "    PID name                   RSS       live  live%    cached thrd  mallocs/s          mallocs";
}

void top_line(const struct row *r, char *out, size_t size)
{
    snprintf(out, size, "%7d %-15.15s %10s %10s %5.1f%% %9s %4zu %10.0f %16lu", (int)r->pid, r->name, human(r->rss),
             human(r->live), share_live(r), human(r->cached), r->threads, r->rate, r->mallocs);
}

static void print_once(struct top *t)
{
    char line[256];
    top_look(t);
    struct timespec delay = {.tv_sec = (time_t)t->delay, .tv_nsec = (long)((t->delay - (double)(long)t->delay) * 1e9)};
    nanosleep(&delay, NULL);
    top_look(t);
    top_sort(t);
    puts(top_title());
    for (size_t i = 0; i < t->count; i++) {
        top_line(&t->row[i], line, sizeof(line));
        puts(line);
    }
}

int top_main(int argc, char **argv)
{
    static struct top t = {.delay = 2, .sort = 'r'};
    argp_parse(&argp, argc, argv, 0, NULL, &t);
    if (!procfs_is_mounted()) fail(STATUS_FAILED, PROCFS_MISSING);
    for (int i = 0; i < t.wanted_count; i++) { /* says what is wrong with one that was asked for */
        struct target target;
        target_open(&target, t.wanted[i]);
        target_close(&target);
    }
    if (t.once)
        print_once(&t);
    else
        top_screen(&t);
    return STATUS_DONE;
}
