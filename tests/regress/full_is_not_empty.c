/* full_is_not_empty - a full map is full, a map with room has room, and memory ends where the system says.
 *
 * What went wrong once: the test for exhaustion read the bitmap inverted. "32 of 32 occupied" looked like
 * free space, and malloc returned NULL with memory to spare.
 *
 * Shown: units are handed out past every power of two, each one once, and found again when given back, one by
 * one and in runs of every length; and in a process with limited address space, blocks are handed out until
 * nearly all of it is in use, then NULL comes with ENOMEM, and after freeing as many fit as before.
 */
#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "whitebox.h"

enum { UNITS = 1 << 16, LIMIT_MIB = 768, BLOCKS_MAX = 1 << 20 };

static struct span span[UNITS];
static void *block[BLOCKS_MAX];

/* ---- units, without touching their memory ---- */

static bool is_marked(uint32_t record, unsigned count)
{
    const struct superslab *s = chunk_superslab_of(record);
    uint32_t run = bit_run(record - s->record, count);
    return (s->occupied & run) == run && (s->dirty & run) == 0;
}

static int by_base(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    return (x->base > y->base) - (x->base < y->base);
}

static uint32_t count_overlaps(uint32_t spans, unsigned units)
{
    uint32_t overlaps = 0;
    qsort(span, spans, sizeof span[0], by_base);
    for (uint32_t i = 1; i < spans; i++) overlaps += span[i - 1].base + units * (uintptr_t)UNIT_SIZE > span[i].base;
    return overlaps;
}

static void past_every_power_of_two(void)
{
    for (uint32_t taken = 0; taken < UNITS; taken++) {
        if (!expect(arena_take(1, false, &span[taken]), "refused unit %u", taken)) break;
        expect(is_marked(span[taken].record, 1), "unit %u is handed out and not marked", taken);
        if (is_power_of_two(taken)) expect(!arena_verify(), "after %u units: %s", taken, arena_verify());
    }
    uint32_t overlaps = count_overlaps(UNITS, 1);
    expect(overlaps == 0, "%u units were handed out twice", overlaps);
    claim("units_are_handed_out_past_every_power_of_two_to_%d", UNITS);
}

static void give_all(uint32_t spans, unsigned units)
{
    for (uint32_t i = 0; i < spans; i++) arena_give(span[i].base, span[i].record, units);
}

static void room_is_found_again(void)
{
    struct arena_usage before, after;
    arena_usage(&before);
    give_all(UNITS, 1);
    for (unsigned units = 1; units <= SUPERSLAB_UNITS; units++) {
        uint32_t spans = UNITS / SUPERSLAB_UNITS * (SUPERSLAB_UNITS / units);
        uint32_t refused = 0;
        for (uint32_t i = 0; i < spans; i++) refused += !arena_take(units, false, &span[i]);
        uint32_t overlaps = count_overlaps(spans, units);
        expect(refused + overlaps == 0, "runs of %u units: %u refused, %u overlap", units, refused, overlaps);
        expect(!arena_verify(), "with runs of %u units: %s", units, arena_verify());
        give_all(spans, units);
    }
    arena_usage(&after);
    expect(after.units == before.units, "%zu units for what fitted into %zu", after.units, before.units);
    claim("free_units_are_found_again_before_new_ones_are_asked_for");
}

/* ---- blocks, in a process with a limit ---- */

static uint32_t take_until_refused(size_t size)
{
    uint32_t count = 0;
    errno = 0;
    while (count < BLOCKS_MAX && (block[count] = call_malloc(size))) count++;
    return count;
}

static void give_blocks(uint32_t count)
{
    while (count > 0) call_free(block[--count]);
}

static int run_limited(size_t size)
{
    size_t limit = (size_t)LIMIT_MIB << 20;
    struct rlimit rlimit = {.rlim_cur = limit, .rlim_max = limit};
    if (setrlimit(RLIMIT_AS, &rlimit) != 0) return 10;
    uint32_t count = take_until_refused(size);
    if (count == BLOCKS_MAX || errno != ENOMEM) return 11;
    if (count * size < limit / 4 * 3) return 12;
    call_free(block[--count]);
    if (!(block[count++] = call_malloc(size))) return 13;
    give_blocks(count);
    (void)hak_purge();
    uint32_t again = take_until_refused(size);
    if (again < count - count / 50) return 14;
    give_blocks(again);
    return hak_check() ? 0 : 15;
}

/* Address space or data that many blocks were given serves one that is larger than any of them. */
static int run_then_larger(int resource)
{
    size_t limit = (size_t)LIMIT_MIB << 20;
    struct rlimit rlimit = {.rlim_cur = limit, .rlim_max = limit};
    if (setrlimit(resource, &rlimit) != 0) return 1;
    uint32_t count = take_until_refused(3 << 20);
    if (count == BLOCKS_MAX || count * (size_t)(3 << 20) < limit / 2) return 2;
    give_blocks(count);
    void *larger = call_malloc(limit / 2);
    if (!larger) return 3;
    call_free(larger);
    return hak_check() ? 0 : 4;
}

static void larger_blocks_use_what_smaller_ones_gave_back(void)
{
    static const int resources[] = {RLIMIT_AS, RLIMIT_DATA};
    for (unsigned i = 0; i < array_length(resources); i++) {
        int status = -1; /* also where there is no child */
        pid_t child = fork();
        if (child == 0) _exit(run_then_larger(resources[i]));
        waitpid(child, &status, 0);
        expect(status == 0, "limit %d: wait status %d", resources[i], status);
    }
    claim("under_a_limit_larger_blocks_use_what_smaller_ones_gave_back");
}

static void until_the_system_refuses(size_t size)
{
    static const char *const fault[] = {"no limit can be set", "no NULL, or errno is not ENOMEM",
                                        "NULL with memory to spare", "a freed block was not to be had again",
                                        "after freeing all, less fits", "the check failed"};
    int status = -1;
    pid_t child = fork();
    if (child == 0) _exit(run_limited(size));
    waitpid(child, &status, 0);
    int code = child > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    expect(code == 0, "blocks of %zu: %s", size, code >= 10 && code <= 15 ? fault[code - 10] : "the process crashed");
}

static void limited_processes(void)
{
    static const size_t sizes[] = {2048, 8192, 12288, 65536, 130000, 1 << 20, 3 << 20};
    for (unsigned i = 0; i < array_length(sizes); i++) until_the_system_refuses(sizes[i]);
    claim("blocks_come_until_the_system_refuses");
}

int main(void)
{
    if (CAN_LIMIT) { /* first: each begins as a process that has not allocated */
        limited_processes();
        larger_blocks_use_what_smaller_ones_gave_back();
    }
    be(heap_enter());
    past_every_power_of_two();
    room_is_found_again();
    return done_testing();
}
