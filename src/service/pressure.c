/* pressure.c - see pressure.h.
 *
 * Uses: reclaim, cache, space, option, message, os. Locks: RANK_ARENA for the callback and its argument, which belong
 * together; none while it is called.
 */
#include "pressure.h"

#include <errno.h>

#include "../cache/heap.h"
#include "../diag/message.h"
#include "../diag/option.h"
#include "../os/os.h"
#include "../space/arena.h"
#include "../space/keep.h"
#include "reclaim.h"

enum { NEAR_PERCENT = 80, GONE_PERCENT = 95, STALL_NEAR = 500 }; /* 5 % of the time */
enum { NEAR_PART = 10, KEPT_PART = 64, BIN_PART = 512 };

enum shortness { MEMORY_ENOUGH = 0, MEMORY_NEAR, MEMORY_GONE };

static size_t group_limit = SIZE_MAX; /* of the control group, as last found; shared, as is the next */
static uint32_t group_shortness;      /* enum shortness, as pressure_look() last found it */

static struct {
    void (*call)(size_t held, size_t soft, void *context); /* under arena_lock, as is the next */
    void *context;
    const void *caller; /* lock_this_thread() of the thread that is inside; shared */
} callback;

static size_t option_bytes(enum option option)
{
    return (size_t)option_get(option) << 20;
}

/* Caches that are right for a machine are wrong for a small container: what is cached there is missing elsewhere. */
static void bound_caches(size_t limit)
{
    bin_bound(limit / BIN_PART);
    keep_bound(limit / KEPT_PART);
}

COLD static void print_group(void)
{
    struct os_pressure group;
    os_pressure(&group);
    if (group.limit == SIZE_MAX && group.processors == 0) return;
    size_t mib = group.limit == SIZE_MAX ? 0 : group.limit >> 20;
    message_print("control group: memory %zu MiB, %u %% used; processors %u (0 = no limit)", mib, group.percent,
                  group.processors);
}

COLD void pressure_start(void)
{
    size_t group = os_memory_limit();
    size_t soft = option_bytes(OPTION_limit_soft);
    size_t hard = option_bytes(OPTION_limit_hard);
    if (hard > 0 && soft > hard) {
        message_print("bad option: HAKMEM_LIMIT_SOFT is above HAKMEM_LIMIT_HARD; it is not used");
        soft = 0;
        (void)option_set(OPTION_limit_soft, 0);
    }
    if (soft > 0 || hard > 0) limit_set(soft, hard);
    store_relaxed(&group_limit, group);
    limit_set_group(group);
    bound_caches(hard > 0 && hard < group ? hard : group);
    if (option_get(OPTION_verbose)) print_group();
}

static enum shortness shortness_of(uint32_t percent)
{
    if (percent > GONE_PERCENT) return MEMORY_GONE;
    return percent > NEAR_PERCENT ? MEMORY_NEAR : MEMORY_ENOUGH;
}

COLD void pressure_look(void)
{
    struct os_pressure group;
    os_pressure(&group);
    enum shortness shortness = shortness_of(group.percent);
    if (shortness == MEMORY_ENOUGH && group.stall > STALL_NEAR) shortness = MEMORY_NEAR;
    store_relaxed(&group_limit, group.limit);
    limit_set_group(group.limit);
    store_relaxed(&group_shortness, (uint32_t)shortness);
}

void pressure_forget(void)
{
    store_relaxed(&group_shortness, MEMORY_ENOUGH);
}

/* From what hakmem itself holds. Not all of that was touched, so for the group it is no more than a hint. */
static enum shortness own_shortness(void)
{
    enum shortness own = shortness_of(limit_percent(load_relaxed(&limits.hard)));
    if (own != MEMORY_ENOUGH) return own;
    return limit_percent(load_relaxed(&group_limit)) > NEAR_PERCENT ? MEMORY_NEAR : MEMORY_ENOUGH;
}

uint64_t pressure_delay(uint64_t delay)
{
    enum shortness shortness = load_relaxed(&group_shortness);
    enum shortness own = own_shortness();
    if (own > shortness) shortness = own;
    if (likely(shortness == MEMORY_ENOUGH)) return delay;
    return shortness == MEMORY_GONE ? 0 : delay / NEAR_PART;
}

/* ---- the soft limit ---- */

/* false = another call is under way. */
static bool enter_callback(void)
{
    const void *nobody = NULL;
    return swap_if_acquire(&callback.caller, &nobody, lock_this_thread());
}

static void call_back(void)
{
    lock_acquire(&arena_lock);
    void (*call)(size_t, size_t, void *) = callback.call;
    void *context = callback.context;
    size_t soft = limits.soft;
    lock_release(&arena_lock);
    if (!call || soft == SIZE_MAX || !enter_callback()) return;
    call(limit_held(), soft, context);
    store_release(&callback.caller, NULL); /* pairs with enter_callback() */
}

COLD void pressure_follow(void)
{
    int saved = errno;
    uint32_t crossed = exchange_relaxed(&limits.passed, 0);
    if (!crossed) return; /* another thread has taken it */
    (void)reclaim_all();
    limit_follow_group();
    if (crossed & CROSSED_SOFT) call_back();
    errno = saved;
}

COLD void pressure_set_callback(void (*call)(size_t held, size_t soft, void *context), void *context)
{
    lock_acquire(&arena_lock);
    callback.call = call;
    callback.context = context;
    lock_release(&arena_lock);
}

COLD void pressure_child(void)
{
    if (load_relaxed(&callback.caller) != lock_this_thread()) store_relaxed(&callback.caller, NULL);
}
