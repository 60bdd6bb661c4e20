/* mappings_test.c - the process has as many mappings as it may (65,530 by default), but for a few.
 *
 * There mmap, mprotect of a part and munmap of a part give ENOMEM; which call meets it depends on how many mappings are
 * left, so that is gone through. Each scene is a program of its own: the mappings are taken before its first block, or
 * after a heap of all sorts has grown. Nothing may end the program; what is freed can be had again at once; and when
 * the mappings are gone, everything can.
 */
#define EACH 12
#include "others.h"
#include "table.h"

enum { SPARE_MOST = 12, RUN_MOST = 64 << 20, TOO_MANY = 125 };

/* ---- scenes ---- */

/* What has a mapping of its own may need one more than its end has left; and growing takes a second block for a
 * while. */
static bool is_certain(const struct sort *sort)
{
    return sort->size <= RUN_MOST && sort->how != BY_REALLOC;
}

static bool is_full(bool without_exception)
{
    for (unsigned i = 0; i < COUNT(sorts); i++)
        for (unsigned k = 0; k < EACH; k++)
            if (!block[i][k] && (without_exception || is_certain(&sorts[i]))) return false;
    return true;
}

/* One after the other is freed and taken again. */
static void exchange_all(void)
{
    for (unsigned i = 0; i < COUNT(sorts); i++)
        for (unsigned k = 0; k < EACH; k++) {
            if (!block[i][k]) continue;
            give_checked(block[i][k], sorts[i].size);
            block[i][k] = take_checked(&sorts[i]);
            expect(block[i][k] || !is_certain(&sorts[i]), "size %zu: block %u cannot be had again", sorts[i].size, k);
        }
}

/* Large blocks grow and shrink; what is refused stays. */
static void resize_all(void)
{
    for (unsigned i = 0; i < COUNT(sorts); i++) {
        size_t size = sorts[i].size;
        unsigned char *p = (unsigned char *)block[i][0];
        unsigned char *q = p ? (unsigned char *)resize(p, size * 2) : NULL;
        if (!p) continue;
        expect(is_marked(q ? q : p, size), "size %zu: realloc spoiled the block", size);
        if (q) p = (unsigned char *)resize(q, size);
        expect(p && is_marked(p, size), "size %zu: the way back", size);
        block[i][0] = p;
    }
}

/* With `spare` mappings left, or before the first block. */
static int live_without_mappings(unsigned spare, bool late)
{
    if (late) fill_all();
    if (!take_mappings()) return TOO_MANY;
    spare_mappings(spare);
    fill_all();
    exchange_all();
    resize_all();
    hak_purge();
    exchange_all();
    expect(hak_check(), "the heap is broken at the limit");
    free_all();
    fill_all();
    expect(!late || is_full(false), "not all can be had again");
    give_mappings();
    fill_all();
    resize_all();
    expect(is_full(true), "not all can be had without the limit");
    free_all();
    hak_purge();
    expect(hak_check(), "the heap is broken");
    return verdict();
}

/* ---- */

int main(int argc, char **argv)
{
    static const char *const times[] = {"early", "late"};
    alarm(600);
    if (argc > 2) return live_without_mappings((unsigned)strtoul(argv[1], NULL, 10), strcmp(argv[2], "late") == 0);
    for (unsigned spare = 0; spare <= SPARE_MOST; spare++)
        for (unsigned i = 0; i < COUNT(times); i++) {
            char text[16];
            snprintf(text, sizeof(text), "%u", spare);
            int status = run_self_with(text, times[i]);
            bool skip = WIFEXITED(status) && WEXITSTATUS(status) == TOO_MANY;
            ok(skip || succeeded(status, text), "the_heap_lives_with_%u_mappings_left_taken_%s%s", 2 * spare, times[i],
               skip ? " # SKIP more mappings are allowed than can be taken" : "");
        }
    return done_testing();
}
