/* metrics.c - a snapshot in Prometheus's text format, for the node exporter's textfile collector. See screen.h. */
#include "screen.h"

/* HELP and TYPE may stand once in a text: so there is one process to a text. */
static void head(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP hakmem_%s %s\n# TYPE hakmem_%s %s\n", name, help, name, type);
}

static const char *labels_of(const struct target *target)
{
    static char text[128];
    char name[64];
    size_t length = 0;
    for (const char *c = target->name; *c && length + 2 < sizeof(name); c++) {
        if (*c == '"' || *c == '\\') name[length++] = '\\';
        name[length++] = *c;
    }
    name[length] = 0;
    snprintf(text, sizeof(text), "pid=\"%d\",name=\"%s\"", (int)target->pid, name);
    return text;
}

static void print_residence(FILE *out, const char *labels, const struct residence *r)
{
    head(out, "resident_bytes", "gauge", "Resident memory by what it holds; the parts add up to the RSS.");
    for (int i = 0; i < PART_COUNT; i++)
        fprintf(out, "hakmem_resident_bytes{%s,part=\"%s\"} %lu\n", labels, part_id[i], r->part[i]);
    head(out, "rss_bytes", "gauge", "Resident memory of the process.");
    fprintf(out, "hakmem_rss_bytes{%s} %lu\n", labels, r->rss);
    head(out, "huge_bytes", "gauge", "Resident memory of the heap in huge pages.");
    fprintf(out, "hakmem_huge_bytes{%s} %lu\n", labels, r->huge);
}

static void print_totals(FILE *out, const char *labels, const struct hak_stats *t)
{
    head(out, "live_bytes", "gauge", "Bytes of blocks that the program holds.");
    fprintf(out, "hakmem_live_bytes{%s} %zu\n", labels, t->live);
    head(out, "mapped_bytes", "gauge", "Addresses that the allocator holds for blocks.");
    fprintf(out, "hakmem_mapped_bytes{%s} %zu\n", labels, t->mapped);
    head(out, "mallocs_total", "counter", "Calls that returned a block.");
    fprintf(out, "hakmem_mallocs_total{%s} %zu\n", labels, t->mallocs);
    head(out, "frees_total", "counter", "Blocks freed.");
    fprintf(out, "hakmem_frees_total{%s} %zu\n", labels, t->frees);
    head(out, "threads", "gauge", "Threads that have a heap.");
    fprintf(out, "hakmem_threads{%s} %zu\n", labels, t->threads);
}

static void print_by_class(FILE *out, const char *labels, const struct snapshot *s, const struct residence *r)
{
    head(out, "class_live_blocks", "gauge", "Live blocks by distance of blocks in bytes.");
    for (unsigned i = 0; i < CLASS_COUNT; i++) {
        const struct class_view *c = &s->class[i];
        if (c->slabs > 0)
            fprintf(out, "hakmem_class_live_blocks{%s,class=\"%u\",stride=\"%u\"} %lu\n", labels, i, class_stride(i),
                    c->used - c->cached - (uint64_t)c->on_way);
    }
    head(out, "class_resident_bytes", "gauge", "Resident bytes of slabs by distance of blocks in bytes.");
    for (unsigned i = 0; i < CLASS_COUNT; i++)
        if (s->class[i].slabs > 0)
            fprintf(out, "hakmem_class_resident_bytes{%s,class=\"%u\",stride=\"%u\"} %lu\n", labels, i, class_stride(i),
                    r->class[i]);
}

static void print_waits(FILE *out, const char *labels, const struct lock_waits *waits)
{
    head(out, "lock_waits_total", "counter", "Locks that were not free at once.");
    for (unsigned rank = 1; rank < LOCK_RANKS; rank++)
        fprintf(out, "hakmem_lock_waits_total{%s,lock=\"%s\"} %lu\n", labels, lock_title[rank], waits[rank].waits);
    head(out, "lock_sleeps_total", "counter", "Times that a thread slept for a lock.");
    for (unsigned rank = 1; rank < LOCK_RANKS; rank++)
        fprintf(out, "hakmem_lock_sleeps_total{%s,lock=\"%s\"} %lu\n", labels, lock_title[rank], waits[rank].sleeps);
}

void print_metrics(FILE *out, const struct target *target, const struct snapshot *s, const struct residence *r)
{
    const char *labels = labels_of(target);
    print_residence(out, labels, r);
    print_totals(out, labels, &s->total);
    print_by_class(out, labels, s, r);
    print_waits(out, labels, s->waits);
}
