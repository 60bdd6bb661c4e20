/* background.c - see background.h.
 *
 * Uses: heap, recall, reclaim, pressure, arena, large, keep, option, thread. Locks: none of its own.
 *
 * Started late: by a visit, when other threads are there already and the heap is large enough for anybody to care. It
 * does a round twice in purge_delay, and ends when it found nothing to do for a while: a visit starts it again, and one
 * that leaves something to do does so at once, since it may be the last. A
 * program must never see a second thread because of us. So when but one of its threads has a heap, the one that
 * leaves last takes the background thread along, waits until the system has forgotten it, for a second at most, and
 * gives back what is free.
 *
 *   thread.id   0 -- STARTING -- its number -- 0
 *               by start()    by the system    by the system, when the thread is gone
 *
 * I1  the thread holds no lock while it sleeps, and never asks for memory
 * I2  at most one is there; only the child of a fork forgets one
 */
#include "background.h"

#include "../cache/recall.h"
#include "../os/thread.h"
#include "../space/arena.h"
#include "../space/keep.h"
#include "../space/large.h"
#include "pressure.h"
#include "reclaim.h"

enum {
    STARTING = INT32_MAX,
    UNITS_MIN = 512,             /* 32 MiB: smaller heaps are left to visits */
    ROUND_MIN_MS = 50,           /* also where memory is all but gone, unless the program wants it shorter */
    ROUNDS_IDLE_MAX = 8,
    ROUNDS_AWAITING_MAX = 120,   /* while some thread runs: its bins are emptied when it sleeps, or by nobody */
    RETRY_MS = 10000,            /* after a refusal, and after an end for want of work while there is none */
    LOOK_MS = 1000,
    PAUSE_MS = 100,              /* after an end for want of threads, unless much is free then */
    LATE_MS = 10000,             /* a thread that has not been seen for so long is none: a raw fork has lost it */
};

static struct os_thread background;
static uint32_t background_stop;      /* 1 = it shall end */
static uint64_t background_seen_ms;   /* its last look around */
static uint64_t background_next_ms;   /* no start before, as a rule, */
static uint32_t background_rests;     /* 1 = unless there is work: it ended for want of that */

static uint64_t round_ms(void)
{
    uint64_t wish = (uint64_t)option_get(OPTION_purge_delay);
    uint64_t least = wish / 2 < ROUND_MIN_MS ? wish / 2 : ROUND_MIN_MS;
    uint64_t round = pressure_delay(wish) / 2;
    if (round < least) round = least;
    return round > 0 ? round : 1;
}

static bool is_wanted(void)
{
    if (option_get(OPTION_purge_delay) == 0) return false; /* visits give back at once */
    long wish = option_get(OPTION_background);
    if (wish == BACKGROUND_ON) return true;
    return wish == BACKGROUND_AUTO && load_seq(&heap_threads) > 1;
}

/* ---- on the thread ---- */

/* Files are read once a second, however short the delay has become. */
static void look_at_group(void)
{
    static uint64_t next_ms;
    uint64_t now_ms = os_now_ms();
    if (now_ms < next_ms) return;
    next_ms = now_ms + LOOK_MS;
    pressure_look();
}

static bool shall_end(void)
{
    return load_acquire(&background_stop) || os_thread_outlives_rights();
}

/* Until the next round, in steps, at least one: the delay may become shorter meanwhile, the thread unwanted, and a
 * request come, also from another process, which can wake nobody. false = the thread shall end. */
static bool sleep_for_round(void)
{
    uint64_t slept = 0;
    for (uint64_t round = round_ms(); slept < round; round = round_ms()) {
        uint64_t step = round - slept < LOOK_MS ? round - slept : LOOK_MS;
        store_relaxed(&background_seen_ms, os_now_ms());
        bool is_asked = slept > 0 && load_relaxed(&reclaim_request) == REQUEST_MADE;
        if (is_asked || !is_wanted()) break;
        os_wait_for(&background_stop, 0, step);
        if (shall_end()) return false;
        look_at_group();
        slept += step;
    }
    return true;
}

static bool is_of_use(unsigned idle)
{
    if (!is_wanted()) return false;
    return idle < ROUNDS_IDLE_MAX || (idle < ROUNDS_AWAITING_MAX && reclaim_awaits_threads());
}

static int background_main(bool alone)
{
    heap_self = &heap_exited;
    unsigned idle = alone ? 0 : ROUNDS_AWAITING_MAX;
    keep_attend(true);
    heap_allow_files(true);
    while (is_of_use(idle)) {
        if (!sleep_for_round()) break;
        bool some = reclaim_round(&background_stop);
        some |= arena_collapse() > 0;
        idle = some ? 0 : idle + 1;
    }
    keep_attend(false);
    pressure_forget();
    bool left = alone && !is_wanted();
    if (left && !load_acquire(&background_stop)) reclaim_left(); /* nobody waits for it, to do that */
    store_relaxed(&background_rests, alone && idle >= ROUNDS_IDLE_MAX);
    store_relaxed(&background_next_ms, os_now_ms() + (left ? PAUSE_MS : RETRY_MS));
    return 0;
}

/* ---- on the program's threads ---- */

/* Called when a thread has left its heap, or a heap was found that its thread has lost: after it was counted out. */
static void background_end(void)
{
    uint32_t id = load_seq(&background.id);
    if (is_wanted() || id == STARTING || id == os_thread_number()) return; /* who starts it, and itself, look again */
    if (id != 0) {
        store_release(&background_stop, 1);
        os_wake_one(&background_stop);
        os_thread_join(&background, id);
        store_relaxed(&background_next_ms, os_now_ms() + PAUSE_MS);
    }
    if (id != 0 || reclaim_has_much()) reclaim_left();
}

COLD static void background_start(uint64_t now_ms)
{
    uint32_t none = 0;
    if (!swap_if_seq(&background.id, &none, STARTING)) return;
    store_relaxed(&background_stop, 0);
    store_relaxed(&background_rests, 0);
    store_relaxed(&background_seen_ms, now_ms);
    store_seq(&heap_when_alone, background_end); /* before the count is looked at: pairs with detach() */
    if (os_thread_start(&background, background_main)) {
        background_end(); /* others may have left before they could see it */
        return;
    }
    store_relaxed(&background_next_ms, now_ms + RETRY_MS);
    store_release(&background.id, 0);
}

static bool may_start(uint64_t now_ms)
{
    if (load_relaxed(&background.id) != 0) return false;
    uint64_t next_ms = load_relaxed(&background_next_ms);
    if (now_ms >= next_ms || (load_relaxed(&background_rests) && reclaim_has_work())) return true;
    return next_ms - now_ms <= PAUSE_MS && reclaim_has_much();
}

/* So much memory is in our hands that somebody cares. */
static bool is_large(void)
{
    return arena_units() + (large_kept_bytes() >> UNIT_SHIFT) >= UNITS_MIN;
}

bool background_poll(void)
{
    if (!is_large() && option_get(OPTION_background) != BACKGROUND_ON) return false;
    if (!is_wanted()) return false;
    uint64_t now_ms = os_now_ms();
    if (may_start(now_ms)) background_start(now_ms);
    bool there = load_relaxed(&background.id) != 0 && now_ms < load_relaxed(&background_seen_ms) + round_ms() + LATE_MS;
    if (there) arena_end_burst();
    return there;
}

void background_forget(void)
{
    keep_attend(false);
    pressure_forget();
    background.id = 0;
    background_next_ms = 0;
    background_rests = 0;
}
