/* density.c - see density.h.
 *
 * Uses: option, os. Locks: none.
 */
#include "density.h"

#include "../base/atomics.h"
#include "../base/bits.h"
#include "../base/config.h"
#include "../diag/option.h"
#include "../os/os.h"

enum {
    WHOLE = 1 << 10,           /* density when every page is touched */
    EXPECTED_MIN = WHOLE / 6,
    LOW_MAX = WHOLE / 16,      /* far enough below that chance does not lead from one to the other */
    LESSONS_MIN = 2,           /* before, nothing is expected */
    LESSONS_MAX = 16,          /* later a lesson counts as one of so many */
    LESSON_PAGES = 4,
    BLOCK_PAGES = 16,
    LEARN_EVERY = 8,
    SLABS_LEARN_EVERY = 17,    /* prime: a class that grows alone, by 32 or 4 a SuperSlab, begins one with each */
    FILLED_LOOK_EVERY = 4,     /* a look takes time of somebody's malloc */
};

static int density;
static int lessons; /* so far, up to LESSONS_MAX */
static uint32_t asked;
static uintptr_t watched; /* 0 = nothing */

/* What slabs of a class teach. */
enum lesson { LESSON_NONE = 0, LESSON_SPARSE, LESSON_FILLED };
static const uint8_t look_every[] = {1, SLABS_LEARN_EVERY, FILLED_LOOK_EVERY}; /* slabs, after each lesson */
static uint8_t lesson_of[CLASS_COUNT];  /* enum lesson */
static uint8_t turn_of[CLASS_COUNT];    /* below SLABS_LEARN_EVERY; slabs of turn 0 are for learning */

/* Pages with memory among `count` evenly spread ones. */
static unsigned sample(uintptr_t base, size_t size, unsigned count)
{
    unsigned present = 0;
    size_t step = size / count;
    for (unsigned i = 0; i < count; i++) {
        uintptr_t middle = base + i * step + step / 2;
        present += os_has_memory((const void *)align_down(middle, os_page_size()));
    }
    return present;
}

static void learn(uintptr_t superslab)
{
    int touched = (int)sample(superslab, SUPERSLAB_SIZE, LESSON_PAGES) * (WHOLE / LESSON_PAGES);
    int before = load_relaxed(&density);
    int count = load_relaxed(&lessons);
    if (count < LESSONS_MAX) store_relaxed(&lessons, ++count);
    store_relaxed(&density, before + (touched - before) / count);
}

bool density_expected(void)
{
    long thp = option_get(OPTION_thp);
    if (thp != THP_AUTO) return thp == THP_ALWAYS;
    uintptr_t superslab = exchange_relaxed(&watched, 0);
    if (superslab) learn(superslab);
    return load_relaxed(&lessons) >= LESSONS_MIN && load_relaxed(&density) >= EXPECTED_MIN;
}

bool density_wants_lesson(void)
{
    return add_relaxed(&asked, 1) % LEARN_EVERY == 0;
}

bool density_is_low(void)
{
    return load_relaxed(&lessons) > 0 && load_relaxed(&density) < LOW_MAX;
}

void density_watch(uintptr_t superslab)
{
    store_relaxed(&watched, superslab);
}

bool density_of_slab(unsigned class, uintptr_t unit)
{
    uint8_t turn = load_relaxed(&turn_of[class]);
    uint8_t lesson = load_relaxed(&lesson_of[class]);
    if (option_get(OPTION_thp) != THP_AUTO) return false;
    store_relaxed(&turn_of[class], (uint8_t)((turn + 1) % SLABS_LEARN_EVERY));
    if (unit && turn % look_every[lesson] == 0) {
        size_t pages = UNIT_SIZE / os_page_size();
        lesson = os_count_present((const void *)unit, UNIT_SIZE) > pages * 3 / 4 ? LESSON_FILLED : LESSON_SPARSE;
        store_relaxed(&lesson_of[class], lesson);
    }
    return lesson == LESSON_FILLED && turn != 0;
}

bool density_is_high(uintptr_t base, size_t size)
{
    long thp = option_get(OPTION_thp);
    if (thp != THP_AUTO) return thp == THP_ALWAYS;
    return sample(base, size, BLOCK_PAGES) > BLOCK_PAGES * 3 / 4;
}
