/* map.c - hakmem map: a picture of the SuperSlabs of a process, in the terminal; svg.c draws the other one. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arguments.h"
#include "divide.h"
#include "picture.h"

enum { PER_LINE = 2 };

struct arguments {
    pid_t pid;
    const char *svg;
    char colour; /* 'y', 'n', 'a' = on a terminal */
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct arguments *a = state->input;
    switch (key) {
    case 's': a->svg = arg; return 0;
    case 'c':
        if (strcmp(arg, "always") != 0 && strcmp(arg, "never") != 0 && strcmp(arg, "auto") != 0)
            argp_error(state, "'%s' is not one of always, never, auto", arg);
        a->colour = arg[1] == 'l' ? 'y' : arg[1] == 'e' ? 'n' : 'a';
        return 0;
    default: return parse_pid(key, arg, state, &a->pid);
    }
}

static const struct argp_option options[] = {
    {"svg", 's', "FILE", 0, "draw into a file instead, with class, owner and fullness of each slab; - is standard "
        "output", 0},
    {"colour", 'c', "WHEN", 0, "colours: always, never or auto (on a terminal)", 0},
    {0},
};

static const struct argp argp = {
    .options = options,
    .parser = parse,
    .args_doc = "PID",
    .doc = "Shows the SuperSlabs of a process: pieces of 2 MiB, 32 units of 64 KiB each, one character a unit. On "
           "a terminal slabs are coloured by class. Large blocks with mappings of their own are listed behind."
           "\v  1 ... 9   a slab, by how many of its blocks are used, live or cached: 1 = up\n"
           "            to 11 %, 9 = more than 88 %\n"
           "  0         a slab without a used block\n"
           "  L         part of a large block\n"
           "  r         an empty unit that a thread keeps\n"
           "  d         dirty: free, and has memory\n"
           "  .         free, without memory\n"
           "  ?         it changed while it was read\n",
};

char unit_letter(const struct superslab_view *s, unsigned i)
{
    const struct unit_view *u = &s->unit[i];
    switch ((enum unit_kind)u->kind) {
    case UNIT_SLAB: {
        uint32_t capacity = class_capacity(u->class);
        return u->used == 0 ? '0' : (char)('1' + (u->used - 1) * 9 / capacity);
    }
    case UNIT_RUN: return 'L';
    case UNIT_RESERVE: return 'r';
    case UNIT_FREE: return s->dirty >> i & 1 ? 'd' : '.';
    case UNIT_MISSING: return ' ';
    case UNIT_TORN: return '?';
    }
    return '?';
}

/* One of the 6 strong colours of a terminal for a slab. */
static int colour_of(const struct unit_view *u)
{
    if (u->kind == UNIT_SLAB) return 31 + u->class % 6;
    return u->kind == UNIT_RUN ? 37 : 90;
}

static void print_superslab(const struct superslab_view *s, bool colour)
{
    uint64_t resident = 0;
    printf("%012lx ", s->base);
    for (unsigned i = 0; i < SUPERSLAB_UNITS; i++) {
        resident += s->unit[i].resident;
        if (colour) printf("\033[%dm", colour_of(&s->unit[i]));
        putchar(unit_letter(s, i));
    }
    if (colour) fputs("\033[0m", stdout);
    printf(" %3lu%%", 100 * resident / SUPERSLAB_SIZE);
}

static int by_address(const void *a, const void *b)
{
    const struct superslab_view *x = a;
    const struct superslab_view *y = b;
    return (x->base > y->base) - (x->base < y->base);
}

static void print_picture(const struct target *target, struct snapshot *s, bool colour)
{
    printf("process %d (%s): %zu SuperSlabs; 0-9 fullness of a slab, L large, r reserve, d dirty, . without memory; "
           "share with memory\n", (int)target->pid, target->name, s->superslab_count);
    for (size_t i = 0; i < s->superslab_count; i++) {
        print_superslab(&s->superslabs[i], colour);
        bool last = i + 1 == s->superslab_count || (i + 1) % PER_LINE == 0;
        fputs(last ? "\n" : "   ", stdout);
    }
    for (size_t i = 0; i < s->mapping_count; i++)
        printf("%012lx mapping of %s, %s\n", s->mappings[i].base, human(s->mappings[i].map_size),
               s->mappings[i].kept ? "kept" : "live");
}

static void write_svg(const char *path, const struct target *target, const struct snapshot *s)
{
    FILE *out = strcmp(path, "-") == 0 ? stdout : fopen(path, "we");
    if (!out) fail(STATUS_FAILED, "%s: %s", path, strerror(errno));
    draw_svg(out, target, s);
    bool lost = fflush(out) != 0 || ferror(out);
    if (out != stdout && fclose(out) != 0) lost = true;
    if (lost) fail(STATUS_FAILED, "%s: cannot be written", path);
}

int map_main(int argc, char **argv)
{
    struct arguments a = {.colour = 'a'};
    struct target target;
    struct snapshot snapshot;
    struct residence residence;
    argp_parse(&argp, argc, argv, 0, NULL, &a);
    target_open(&target, a.pid);
    look_at(&target, &snapshot, &residence);
    if (snapshot.superslab_count > 0)
        qsort(snapshot.superslabs, snapshot.superslab_count, sizeof(*snapshot.superslabs), by_address);
    if (a.svg)
        write_svg(a.svg, &target, &snapshot);
    else
        print_picture(&target, &snapshot, a.colour == 'y' || (a.colour == 'a' && isatty(STDOUT_FILENO)));
    snapshot_free(&snapshot);
    target_close(&target);
    return STATUS_DONE;
}
