/* growth_test.c - a block in a mapping of its own grows and is freed, time and again, where the system refuses to grow
 * or to move it: its addresses must not become more.
 *
 * The kernel refuses where the program has changed a page of the block, so that it lies in two mappings, and where the
 * process has as many mappings as it may, but for a few.
 */
#include "others.h"

enum { TURNS = 20, SPARE_LEAST = 2, SPARE_MOST = 5, TOO_MANY = 125, CANNOT = 126 };

static const size_t BEFORE = 66 << 20, AFTER = 68 << 20, LOST_MOST = 16 << 20; /* one reservation is longer */

typedef bool changer(char *page);

static bool nothing(char *page)
{
    return page != NULL;
}

static bool exclude_from_dumps(char *page)
{
    return madvise(page, PAGE, MADV_DONTDUMP) == 0;
}

static bool lock_page(char *page)
{
    return mlock(page, PAGE) == 0;
}

static const struct scene {
    const char *name;
    changer *change;
} scenes[] = {
    {"whole", nothing},
    {"split", exclude_from_dumps},
    {"locked", lock_page},
};

/* false = the block could not be had, or not be changed. */
static bool grow_once(changer *change)
{
    unsigned char *p = (unsigned char *)take(BEFORE);
    if (!p) return false;
    uintptr_t middle = (uintptr_t)p + BEFORE / 2;
    bool done = change((char *)(middle - middle % PAGE));
    mark(p, BEFORE);
    unsigned char *q = (unsigned char *)resize(p, AFTER);
    expect(is_marked(q ? q : p, BEFORE), "realloc spoiled the block");
    give(q ? q : p);
    hak_purge();
    return done;
}

static int grow_often(const struct scene *scene, int spare)
{
    unsigned done = 0;
    expect(grow_once(nothing), "the block cannot be had");
    if (spare >= 0 && !take_mappings()) return TOO_MANY;
    if (spare > 0) spare_mappings((unsigned)spare);
    (void)grow_once(scene->change); /* from here on the same in each turn */
    size_t before = address_bytes();
    for (unsigned i = 0; i < TURNS; i++) done += grow_once(scene->change);
    size_t after = address_bytes();
    expect(after < before + LOST_MOST, "%s: %zu MiB, then %zu", scene->name, before / MIB, after / MIB);
    if (spare >= 0) give_mappings();
    expect(hak_check(), "the heap is broken");
    return done > 0 || spare >= 0 ? verdict() : CANNOT;
}

static void try_scene(unsigned number, int spare)
{
    char text[2][16];
    snprintf(text[0], sizeof(text[0]), "%u", number);
    snprintf(text[1], sizeof(text[1]), "%d", spare);
    int status = run_self_with(text[0], text[1]);
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    const char *skip = code == TOO_MANY ? " # SKIP more mappings are allowed than can be taken"
                       : code == CANNOT ? " # SKIP the page cannot be changed" : "";
    bool good = *skip || succeeded(status, scenes[number].name);
    if (spare < 0)
        ok(good, "a_%s_block_that_cannot_grow_costs_no_addresses%s", scenes[number].name, skip);
    else
        ok(good, "nor_with_%d_mappings_left%s", 2 * spare, skip);
}

int main(int argc, char **argv)
{
    alarm(300);
    if (argc > 2) return grow_often(&scenes[strtoul(argv[1], NULL, 10)], (int)strtol(argv[2], NULL, 10));
    for (unsigned i = 0; i < COUNT(scenes); i++) try_scene(i, -1);
    for (int spare = SPARE_LEAST; spare <= SPARE_MOST; spare++) try_scene(0, spare);
    return done_testing();
}
