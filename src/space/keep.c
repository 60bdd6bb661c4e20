/* keep.c - see keep.h. */
#include "keep.h"

#include "../base/atomics.h"

#define KEPT_BYTES_MAX ((size_t)64 << 20)
#define KEPT_UNATTENDED_MAX ((size_t)8 << 20)
enum { KEPT_MAX = 64, REGRET_MS = 1000, KEEP_MS = 4000, REGRETS_MAX = 4 };

static uint32_t keep_attended;                 /* written by the background thread */
static size_t kept_bytes_max = KEPT_BYTES_MAX; /* less beside a limit; without, one alone may have twice as much */

/* Under RANK_LARGE; until_ms is also looked at without. */
static struct {
    size_t size;        /* of the last mapping that was not kept for want of attention, or of all together */
    uint64_t at_ms;     /* when */
    uint64_t until_ms;  /* large ones are kept */
    unsigned regrets;
} regret;

bool keep_is_wise(size_t size, unsigned kept, size_t kept_bytes, uint64_t now_ms)
{
    size_t sum = kept_bytes + size;
    size_t most = load_relaxed(&kept_bytes_max);
    if (kept == 0 && most == KEPT_BYTES_MAX) most *= 2;
    if (kept >= KEPT_MAX || sum > most) return false;
    if (sum <= KEPT_UNATTENDED_MAX || load_relaxed(&keep_attended) || now_ms < regret.until_ms) return true;
    regret.size = size;
    regret.at_ms = now_ms;
    return false;
}

bool keep_is_much(size_t kept_bytes, uint64_t now_ms)
{
    return kept_bytes > KEPT_UNATTENDED_MAX && now_ms >= load_relaxed(&regret.until_ms);
}

bool keep_is_left(size_t kept_bytes, uint64_t now_ms)
{
    if (!keep_is_much(kept_bytes, now_ms)) return false;
    regret.size = kept_bytes;
    regret.at_ms = now_ms;
    return true;
}

void keep_missed(size_t size, uint64_t now_ms)
{
    if (size > regret.size || now_ms - regret.at_ms > REGRET_MS) return;
    if (regret.regrets < REGRETS_MAX) regret.regrets++;
    store_relaxed(&regret.until_ms, now_ms + ((uint64_t)KEEP_MS << regret.regrets));
    regret.size = 0;
}

void keep_attend(bool attended)
{
    store_relaxed(&keep_attended, attended);
}

COLD void keep_bound(size_t bytes)
{
    store_relaxed(&kept_bytes_max, bytes < KEPT_BYTES_MAX ? bytes : KEPT_BYTES_MAX);
}
