/* explain.c - hakmem explain: why a process holds more than is live, in words, the largest reason first. */
#include <stdarg.h>
#include <stdlib.h>

#include "arguments.h"
#include "divide.h"

enum { REASONS_MAX = 16, REASON_TEXT = 700, CLASSES_NAMED = 3 };

struct reason {
    uint64_t bytes;
    char text[REASON_TEXT];
};

struct reasons {
    struct reason reason[REASONS_MAX];
    size_t count;
    uint64_t least; /* what is not worth a word */
};

static void add(struct reasons *r, uint64_t bytes, const char *format, ...) PRINTF_FORMAT(3, 4);

static void add(struct reasons *r, uint64_t bytes, const char *format, ...)
{
    if (bytes < r->least || r->count == REASONS_MAX) return;
    struct reason *reason = &r->reason[r->count++];
    va_list list;
    reason->bytes = bytes;
    va_start(list, format);
    vsnprintf(reason->text, sizeof(reason->text), format, list);
    va_end(list);
}

static int by_bytes(const void *a, const void *b)
{
    const struct reason *x = a;
    const struct reason *y = b;
    return (x->bytes < y->bytes) - (x->bytes > y->bytes);
}

/* The class whose sparse slabs hold most free bytes; class CLASS_COUNT = none. */
static unsigned worst_class(const struct snapshot *s, uint64_t below)
{
    unsigned worst = CLASS_COUNT;
    uint64_t most = 0;
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        uint64_t bytes = s->class[c].sparse_free_bytes;
        if (bytes <= most || bytes >= below) continue;
        most = bytes;
        worst = c;
    }
    return worst;
}

/* At most `most` bytes of all that is free in them have memory. */
static void explain_sparse(struct reasons *out, const struct snapshot *s, uint64_t most)
{
    char named[300] = "";
    size_t length = 0;
    uint64_t slabs = 0, blocks = 0, bytes = 0, below = UINT64_MAX;
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        slabs += s->class[c].sparse;
        bytes += s->class[c].sparse_free_bytes;
    }
    for (unsigned i = 0; i < CLASSES_NAMED; i++) {
        unsigned c = worst_class(s, below);
        if (c == CLASS_COUNT) break;
        below = s->class[c].sparse_free_bytes;
        blocks = s->class[c].used - s->class[c].cached - (uint64_t)s->class[c].on_way;
        length += (size_t)snprintf(named + length, sizeof(named) - length,
                                   "%s%u bytes (%lu slabs, %s free; %lu live blocks in all slabs of the class)",
                                   i ? "; " : "", class_stride(c), s->class[c].sparse, human(below), blocks);
        if (length >= sizeof(named)) break;
    }
    if (bytes > most) bytes = most;
    add(out, bytes, "A few blocks pin whole slabs: of %lu slabs less than a quarter is used. Most in blocks of %s. New "
        "blocks of these sizes fill the gaps at no cost. Pages without a used block go back once their class has been "
        "idle for purge_delay, or by 'hakmem purge'; the others when the program frees the blocks that pin. Threads "
        "that ended leave such slabs to the others.", slabs, named);
}

/* Of slabs without a used block, what has memory: some were never written. */
static uint64_t empty_bytes(const struct snapshot *s)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < s->superslab_count; i++)
        for (unsigned k = 0; k < SUPERSLAB_UNITS; k++) {
            const struct unit_view *unit = &s->superslabs[i].unit[k];
            if (unit->kind == UNIT_SLAB && unit->used == 0) bytes += unit->resident;
        }
    return bytes;
}

static void explain_slabs(struct reasons *out, const struct snapshot *s, const struct residence *r)
{
    uint64_t empty = empty_bytes(s);
    uint64_t sparse = 0;
    for (unsigned c = 0; c < CLASS_COUNT; c++) sparse += s->class[c].sparse_free_bytes;
    uint64_t rest = r->part[PART_free_in_slabs];
    rest -= empty < rest ? empty : rest;
    rest -= r->begun < rest ? r->begun : rest;
    explain_sparse(out, s, rest);
    rest -= sparse < rest ? sparse : rest;
    add(out, empty, "Each thread keeps one empty slab of a class as a spare. 'hakmem purge' has them retired; the "
        "next block of the class then costs a system call and page faults.");
    add(out, r->begun, "A slab for each thread and size, hardly begun: of %lu slabs less than a quarter was cut into blocks "
        "yet. What is behind these blocks has memory in the page of the last one, where something else was before, or by "
        "huge pages. New blocks of these sizes by these threads take it at no cost. 'hakmem purge' gives back whole "
        "pages, which then cost page faults; fewer threads, or fewer sizes, need fewer slabs.", r->begun_slabs);
    add(out, rest, "Free blocks between live ones, in slabs that are mostly used. New blocks take these places first. "
        "Pages without a used block go back as those of other slabs do; the rest is what every allocator with size "
        "classes holds.");
}

static void explain_caches(struct reasons *out, const struct snapshot *s, const struct residence *r)
{
    size_t threads = 0;
    uint64_t parked = 0;
    for (size_t i = 0; i < s->heap_count; i++) {
        threads += s->heaps[i].cached > 0 && s->heaps[i].state == HEAP_LIVE;
        if (s->heaps[i].state == HEAP_PARKED) parked += s->heaps[i].cached;
    }
    add(out, r->part[PART_cached], "%zu thread%s free blocks in bins, so that malloc and free need no lock (%s of it "
        "by threads that ended, kept for the next ones). 'hakmem purge' empties them, each when the thread next leaves "
        "the fast path; those of threads that sleep go by themselves where hakmem has a thread of its own. It costs some "
        "refills.", threads,
        threads == 1 ? " keeps" : "s keep", human(parked));
    add(out, r->part[PART_mail], "Blocks that one thread freed and that are on their way to the thread that owns "
        "them. Their owners take them in at their next call that leaves the fast path; 'hakmem purge' drains them.");
}

static void explain_dirty(struct reasons *out, const struct snapshot *s, const struct residence *r)
{
    const long delay = s->option[OPTION_purge_delay];
    add(out, r->part[PART_dirty], "Free memory that waits for %ld ms (purge_delay) before it goes back: %s in units, "
        "%s in kept mappings, %s in threads' reserves. The clock is looked at during calls, and by the background "
        "thread where there is one, so a process without one that makes no call keeps it. 'hakmem purge' gives it back "
        "at the next calls, 'hakmem set PID purge_delay=0' always at once; then memory that is needed again costs page "
        "faults.",
        delay, human(s->arena_dirty_units * (uint64_t)UNIT_SIZE), human(s->kept), human(s->reserve));
    add(out, r->part[PART_purged], "Free memory whose pages came back without being asked for, by huge pages. It is "
        "used next.");
}

static void explain_rest(struct reasons *out, const struct snapshot *s, const struct residence *r)
{
    add(out, r->part[PART_rounding], "Ends of large blocks and of slabs in which no block fits. Room behind blocks "
        "that grow by realloc has no memory until it is used; 'always' huge pages would fill it.");
    add(out, r->part[PART_records], "hakmem's own books: a heap for each thread that ran at the same time (%zu), "
        "256 bytes for each 64 KiB, and the tag map. They are not given back.", s->heap_count);
    add(out, r->part[PART_not_heap], "Not hakmem's: %s of program and libraries, and %s of stacks, static data and "
        "what the program or its libraries have mapped (Python and others have allocators of their own). hakmem "
        "cannot change it.", human(r->files),
        human(r->part[PART_not_heap] - r->files));
}

static void print_wrapped(const char *text, int indent, int width)
{
    int column = indent;
    while (*text) {
        int length = 0;
        while (text[length] && text[length] != ' ') length++;
        if (column + 1 + length > width) column = printf("\n%*s", indent - 1, "") - 1;
        column += printf(" %.*s", length, text);
        text += length;
        while (*text == ' ') text++;
    }
    putchar('\n');
}

static void explain(const struct target *target, const struct snapshot *s, const struct residence *r)
{
    uint64_t live = r->part[PART_live];
    struct reasons reasons = {.least = r->rss / 200};
    printf("Process %d (%s) has %s in RAM. The program holds blocks of %s, of which %s have memory: %.0f%% of the "
           "RSS.\n",
           (int)target->pid, target->name, human(r->rss), human(s->total.live), human(live),
           r->rss ? 100.0 * (double)live / (double)r->rss : 0);
    explain_slabs(&reasons, s, r);
    explain_caches(&reasons, s, r);
    explain_dirty(&reasons, s, r);
    explain_rest(&reasons, s, r);
    qsort(reasons.reason, reasons.count, sizeof(reasons.reason[0]), by_bytes);
    printf(reasons.count > 0 ? "The rest, the largest part first:\n" : "There is no rest worth a word.\n");
    for (size_t i = 0; i < reasons.count; i++) {
        printf("\n%12s ", human(reasons.reason[i].bytes));
        print_wrapped(reasons.reason[i].text, 14, 100);
    }
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    return parse_pid(key, arg, state, state->input);
}

static const struct argp argp = {
    .parser = parse,
    .args_doc = "PID",
    .doc = "Says in words why a process has more in RAM than its blocks take, what would bring that down, and what it "
           "would cost. What makes less than half a percent is left out.",
};

int explain_main(int argc, char **argv)
{
    pid_t pid = 0;
    struct target target;
    struct snapshot snapshot;
    struct residence residence;
    argp_parse(&argp, argc, argv, 0, NULL, &pid);
    target_open(&target, pid);
    look_at(&target, &snapshot, &residence);
    explain(&target, &snapshot, &residence);
    snapshot_free(&snapshot);
    target_close(&target);
    return STATUS_DONE;
}
