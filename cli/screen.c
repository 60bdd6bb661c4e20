/* screen.c - the screen of `hakmem stat`, and its JSON. See screen.h. */
#include "screen.h"

#include <stdlib.h>

#include "text.h"

enum { CACHES_SHOWN = 8, DELETE = 0x7f };

static double percent(uint64_t part, uint64_t whole)
{
    return whole ? 100.0 * (double)part / (double)whole : 0;
}

static uint64_t live_blocks(const struct class_view *c)
{
    return c->used - c->cached - (uint64_t)c->on_way;
}

static bool is_used(const struct class_view *c)
{
    return c->slabs > 0 || c->mallocs > 0;
}

/* ---- text ---- */

static void print_parts(FILE *out, const struct residence *r)
{
    for (int i = 0; i < PART_COUNT; i++)
        fprintf(out, "  %-10s %14lu B %10.1f MiB %6.1f%%  %s\n", part_title[i], r->part[i],
                (double)r->part[i] / (1 << 20), percent(r->part[i], r->rss), part_meaning[i]);
    fprintf(out, "  %-10s %14lu B %10.1f MiB %6.1f%%  %s\n", "RSS", r->rss, (double)r->rss / (1 << 20), 100.0,
            "sum of all above: what the kernel counts");
}

static void print_beside(FILE *out, const struct snapshot *s, const struct residence *r)
{
    uint64_t sparse = 0;
    uint64_t pinned = 0;
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        sparse += s->class[c].sparse;
        pinned += s->class[c].sparse_free_bytes;
    }
    fprintf(out, "  huge pages %s; swapped out %s; sparse slabs %lu, with %s free in them\n", human(r->huge),
            human(r->swap), sparse, human(pinned));
    fprintf(out, "  addresses: live %s, mapped %s, purged %s, books %s\n", human(s->total.live), human(s->total.mapped),
            human(s->total.purged), human(s->total.records));
}

static void print_classes(FILE *out, const struct snapshot *s, const struct residence *r)
{
    fprintf(out, "    class      slabs       blocks         live       cached  fullness     resident        mallocs"
                 "          frees\n");
    for (unsigned i = 0; i < CLASS_COUNT; i++) {
        const struct class_view *c = &s->class[i];
        if (!is_used(c)) continue;
        fprintf(out, "  %7u B %8lu %12lu %12lu %12lu %8.1f%% %12lu %14lu %14lu\n", class_stride(i), c->slabs, c->blocks,
                live_blocks(c), c->cached + (uint64_t)c->on_way, percent(live_blocks(c), c->blocks), r->class[i],
                c->mallocs, c->frees);
    }
}

static int by_cached(const void *a, const void *b)
{
    const struct heap_view *x = a;
    const struct heap_view *y = b;
    return (x->cached < y->cached) - (x->cached > y->cached);
}

static void print_caches(FILE *out, const struct snapshot *s)
{
    size_t size = s->heap_count * sizeof(*s->heaps);
    struct heap_view *sorted = take_memory(size);
    for (size_t i = 0; i < s->heap_count; i++) sorted[i] = s->heaps[i];
    qsort(sorted, s->heap_count, sizeof(*sorted), by_cached);
    fprintf(out, "  caches:");
    size_t shown = 0;
    for (; shown < s->heap_count && shown < CACHES_SHOWN && sorted[shown].cached > 0; shown++)
        fprintf(out, "%s %s %s", shown ? "," : "", heap_title(&sorted[shown]), human(sorted[shown].cached));
    uint64_t rest = 0;
    for (size_t i = shown; i < s->heap_count; i++) rest += sorted[i].cached;
    if (rest > 0) fprintf(out, ", all others %s", human(rest));
    fprintf(out, "%s\n", shown ? "" : " none");
    free(sorted);
}

static void print_waits(FILE *out, const struct snapshot *s)
{
    unsigned shown = 0;
    fprintf(out, "  waits for locks:");
    for (unsigned rank = 1; rank < LOCK_RANKS; rank++)
        if (s->waits[rank].waits > 0)
            fprintf(out, "%s %s %lu (%lu asleep)", shown++ ? "," : "", lock_title[rank], s->waits[rank].waits,
                    s->waits[rank].sleeps);
    fprintf(out, "%s\n", shown ? "" : " none");
}

void print_screen(FILE *out, const struct target *target, const struct snapshot *s, const struct residence *r)
{
    const struct hak_stats *t = &s->total;
    fprintf(out, "hakmem %s: process %d (%s), %zu threads on it, %zu mallocs, %zu frees\n", HAK_VERSION,
            (int)target->pid, target->name, t->threads, t->mallocs, t->frees);
    print_parts(out, r);
    print_beside(out, s, r);
    print_caches(out, s);
    print_waits(out, s);
    print_classes(out, s, r);
    if (s->torn == 0) return;
    fprintf(out, "  (%u records changed while they were read: the figures are near the truth)\n", s->torn);
}

/* ---- JSON ---- */

static void print_text(FILE *out, const char *text)
{
    fputc('"', out);
    while (*text) {
        size_t length = utf8_length(text);
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (length == 0)
            fputs("\\ufffd", out);
        else if (c < ' ' || c == DELETE)
            fprintf(out, "\\u%04x", c);
        else
            fwrite(text, 1, length, out);
        text += length ? length : 1;
    }
    fputc('"', out);
}

static void json_stats(FILE *out, const struct hak_stats *t)
{
    fprintf(out, "  \"stats\": {\"live\": %zu, \"cached\": %zu, \"free_in_slabs\": %zu, \"dirty\": %zu, \"purged\": "
            "%zu,\n    \"mapped\": %zu, \"records\": %zu, \"mallocs\": %zu, \"frees\": %zu, \"threads\": %zu},\n",
            t->live, t->cached, t->free_in_slabs, t->dirty, t->purged, t->mapped, t->records, t->mallocs, t->frees,
            t->threads);
}

static void json_resident(FILE *out, const struct residence *r)
{
    fprintf(out, "  \"resident\": {");
    for (int i = 0; i < PART_COUNT; i++) fprintf(out, "%s\"%s\": %lu", i ? ", " : "", part_id[i], r->part[i]);
    fprintf(out, ", \"rss\": %lu},\n  \"huge\": %lu, \"swap\": %lu, \"files\": "
            "%lu,\n", r->rss, r->huge, r->swap, r->files);
}

static void json_classes(FILE *out, const struct snapshot *s, const struct residence *r)
{
    const char *comma = "";
    fprintf(out, "  \"classes\": [");
    for (unsigned i = 0; i < CLASS_COUNT; i++) {
        const struct class_view *c = &s->class[i];
        if (!is_used(c)) continue;
        fprintf(out, "%s\n    {\"size\": %u, \"stride\": %u, \"slabs\": %lu, \"blocks\": %lu, \"live\": %lu, "
                "\"cached\": %lu, \"mail\": %ld, \"sparse\": %lu, \"mallocs\": %lu, \"frees\": %lu, \"resident\": "
                "%lu}", comma, class_size(i),
                class_stride(i), c->slabs, c->blocks, live_blocks(c), c->cached, c->on_way, c->sparse, c->mallocs,
                c->frees, r->class[i]);
        comma = ",";
    }
    fprintf(out, "],\n");
}

static void json_heaps(FILE *out, const struct snapshot *s)
{
    static const char *const states[] = {"free", "live", "parked", "gone"};
    fprintf(out, "  \"heaps\": [");
    for (size_t i = 0; i < s->heap_count; i++) {
        const struct heap_view *h = &s->heaps[i];
        fprintf(out, "%s\n    {\"id\": %u, \"state\": \"%s\", \"cached\": %lu, \"slabs\": %lu, \"reserve\": %lu}",
                i ? "," : "", h->id, h->id == HEAP_COMMON ? "common" : states[h->state < 4 ? h->state : 0], h->cached,
                h->slabs, h->reserve);
    }
    fprintf(out, "],\n");
}

static void json_locks(FILE *out, const struct snapshot *s)
{
    fprintf(out, "  \"locks\": {");
    for (unsigned rank = 1; rank < LOCK_RANKS; rank++)
        fprintf(out, "%s\"%s\": {\"waits\": %lu, \"sleeps\": %lu}", rank > 1 ? ",\n    " : "", lock_title[rank],
                s->waits[rank].waits, s->waits[rank].sleeps);
    fprintf(out, "},\n");
}

void print_json(FILE *out, const struct target *target, const struct snapshot *s, const struct residence *r)
{
    static const char *const names[OPTION_COUNT] = {
#define OPTION(name, value, minimum, maximum, unit, when, help) #name,
#include "../src/diag/option.def"
#undef OPTION
    };
    fprintf(out, "{\n  \"pid\": %d, \"name\": ", (int)target->pid);
    print_text(out, target->name);
    fprintf(out, ", \"version\": ");
    print_text(out, target->block.version);
    fprintf(out, ", \"build\": ");
    print_text(out, target->block.build_id);
    fprintf(out, ", \"library\": ");
    print_text(out, target->file);
    fprintf(out, ",\n");
    json_stats(out, &s->total);
    json_resident(out, r);
    json_classes(out, s, r);
    json_heaps(out, s);
    json_locks(out, s);
    fprintf(out, "  \"options\": {");
    for (int i = 0; i < OPTION_COUNT; i++) fprintf(out, "%s\"%s\": %ld", i ? ", " : "", names[i], s->option[i]);
    fprintf(out, "},\n  \"torn\": %u\n}\n", s->torn);
}
