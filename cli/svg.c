/* svg.c - the picture of hakmem map as SVG: a row for each SuperSlab, a rectangle for each unit, its colour the class,
 * its filling the fullness, and all figures in a title that viewers show under the pointer. */
#include "picture.h"

enum { UNIT_WIDTH = 24, ROW_HEIGHT = 18, LEFT = 130, TOP = 60, BAR = 14 };

static const char *fill_of(char letter)
{
    switch (letter) {
    case 'L': return "#6a6f7a";
    case 'r': return "#d9c38a";
    case 'd': return "#e0a070";
    case '?': return "#ff00ff";
    default: return "#f2f2f2";
    }
}

static void describe(FILE *out, const struct superslab_view *s, unsigned i)
{
    const struct unit_view *u = &s->unit[i];
    uintptr_t at = s->base + i * (uintptr_t)UNIT_SIZE;
    switch ((enum unit_kind)u->kind) {
    case UNIT_SLAB:
        fprintf(out, "%lx: %u B, %u of %u blocks used, %u cut, ", at, class_stride(u->class), u->used,
                class_capacity(u->class), u->carved);
        fprintf(out, "owner %sheap %u, %u KiB resident", u->owner == HEAP_COMMON ? "nobody: " : "", u->owner,
                u->resident / 1024);
        break;
    case UNIT_RUN:
        fprintf(out, "%lx: large, %u B of it live, %u KiB resident", at, u->run_live, u->resident / 1024);
        break;
    case UNIT_RESERVE: fprintf(out, "%lx: kept empty by a thread, %u KiB resident", at, u->resident / 1024); break;
    case UNIT_FREE:
        fprintf(out, "%lx: free, %s, %u KiB resident", at, s->dirty >> i & 1 ? "dirty" : "purged", u->resident / 1024);
        break;
    default: fprintf(out, "%lx: changed while it was read", at);
    }
}

static void draw_unit(FILE *out, const struct superslab_view *s, unsigned i, unsigned y)
{
    const struct unit_view *u = &s->unit[i];
    unsigned x = LEFT + i * UNIT_WIDTH;
    if (u->kind == UNIT_MISSING) return;
    fputs("<g><title>", out);
    describe(out, s, i);
    fputs("</title>", out);
    if (u->kind == UNIT_SLAB) {
        unsigned hue = u->class * 137 % 360; /* neighbours differ */
        unsigned filled = u->used * BAR / class_capacity(u->class);
        fprintf(out, "<rect x=\"%u\" y=\"%u\" width=\"%d\" height=\"%d\" "
                "fill=\"hsl(%u,60%%,88%%)\"/>", x, y, UNIT_WIDTH - 1,
                BAR, hue);
        fprintf(out, "<rect x=\"%u\" y=\"%u\" width=\"%d\" height=\"%u\" "
                "fill=\"hsl(%u,60%%,45%%)\"/>", x, y + BAR - filled,
                UNIT_WIDTH - 1, filled, hue);
    } else {
        fprintf(out, "<rect x=\"%u\" y=\"%u\" width=\"%d\" height=\"%d\" fill=\"%s\"/>", x, y, UNIT_WIDTH - 1, BAR,
                fill_of(unit_letter(s, i)));
    }
    fputs("</g>\n", out);
}

static void draw_superslab(FILE *out, const struct superslab_view *s, unsigned y)
{
    uint64_t resident = 0;
    fprintf(out, "<text x=\"10\" y=\"%u\">%lx</text>\n", y + BAR - 2, s->base);
    for (unsigned i = 0; i < SUPERSLAB_UNITS; i++) {
        resident += s->unit[i].resident;
        draw_unit(out, s, i, y);
    }
    fprintf(out, "<text x=\"%u\" y=\"%u\">%lu%%</text>\n", LEFT + SUPERSLAB_UNITS * UNIT_WIDTH + 8, y + BAR - 2,
            100 * resident / SUPERSLAB_SIZE);
}

static void put_escaped(FILE *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '<' || *text == '&' || *text < ' ')
            fprintf(out, "&#%u;", *text < ' ' ? '?' : (unsigned)*text);
        else
            fputc(*text, out);
    }
}

void draw_svg(FILE *out, const struct target *target, const struct snapshot *s)
{
    unsigned width = LEFT + SUPERSLAB_UNITS * UNIT_WIDTH + 60;
    fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%zu\" font-family=\"monospace\" "
            "font-size=\"11\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n", width,
            TOP + s->superslab_count * ROW_HEIGHT + 20);
    fprintf(out, "<text x=\"10\" y=\"20\" font-size=\"14\">process %d (", (int)target->pid);
    put_escaped(out, target->name);
    fprintf(out, "): %zu SuperSlabs of 2 MiB</text>\n", s->superslab_count);
    fputs("<text x=\"10\" y=\"36\">colour: class of a slab, filled as far as its blocks are used; light: without memory; "
          "right: share with memory</text>\n"
          "<text x=\"10\" y=\"50\">grey: large; orange: dirty; yellow: reserve</text>\n", out);
    for (size_t i = 0; i < s->superslab_count; i++)
        draw_superslab(out, &s->superslabs[i], (unsigned)(TOP + i * ROW_HEIGHT));
    fputs("</svg>\n", out);
}
