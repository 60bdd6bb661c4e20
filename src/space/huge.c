/* huge.c - see huge.h.
 *
 * Uses: os. Locks: none.
 */
#include "huge.h"

#include "../base/atomics.h"
#include "../base/config.h"
#include "../os/os.h"

enum { SLOW_NS = 1000 * 1000, SLOW_COLLAPSE_NS = 3000 * 1000, PASS_MAX = 255 };

static uint32_t pass_next;  /* opportunities that pass after the next slow fill */
static uint32_t passing;    /* of these, to come */

bool huge_at_hand(void)
{
    uint32_t left = load_relaxed(&passing);
    if (left == 0) return true;
    store_relaxed(&passing, left - 1);
    return false;
}

static void learn_time(uint64_t start, bool done, uint64_t slow_ns)
{
    bool quick = done && os_now_ns() - start < slow_ns;
    uint32_t next = load_relaxed(&pass_next);
    if (quick) {
        store_relaxed(&pass_next, next / 2);
    } else {
        next = next < PASS_MAX ? 2 * next + 1 : next;
        store_relaxed(&pass_next, next);
        store_relaxed(&passing, next);
    }
}

bool huge_fill(uintptr_t superslab)
{
    uint64_t start = os_now_ns();
    bool done = os_fill_huge((void *)superslab, SUPERSLAB_SIZE);
    learn_time(start, done, SLOW_NS);
    return done;
}

bool huge_collapse(uintptr_t superslab)
{
    if (os_count_present((const void *)superslab, SUPERSLAB_SIZE) < SUPERSLAB_SIZE / os_page_size()) return false;
    uint64_t start = os_now_ns();
    bool done = os_collapse((void *)superslab, SUPERSLAB_SIZE);
    learn_time(start, done, SLOW_COLLAPSE_NS);
    return done;
}
