/* latency.c - how long single calls of malloc and free take: percentiles of each, in three phases.
 *
 *     latency [BACKGROUND [SEED]]
 *
 * BACKGROUND threads (default 0) do what the steady phase does, unmeasured, while the main thread is measured.
 *
 *     steady  50,000 slots: a random one is freed when it is filled, and filled when it is empty
 *     growth  blocks are added and one in four freed, until 225,000 more of them live
 *     purge   all of these are freed at once; then the steady calls go on for 2.5 seconds, in small portions with
 *             pauses between them, while the allocator gives the memory back, if it does
 *
 * Sizes: 16 to 1,024 bytes, one in 32 up to 64 KiB, one in 2,048 up to 2 MiB. Only the call is inside of the timed
 * window; the block's first and last byte are written after malloc and read before free, outside of it.
 *
 * Prints one line of JSON for each phase and call, times in nanoseconds, the timer's own time subtracted. The
 * first line, phase "timer", is of empty windows: its max and quiet_max say what interrupts and the machine's host
 * add to any call. quiet_max leaves out batches in which the kernel switched the thread away, and is null when
 * there was no other batch. resident_kib is the process's memory at the end of the phase.
 *
 * Callers: compare.py. Sharing: histograms and slots belong to the main thread; `stop` is written by it alone.
 */
#include "background.h"
#include "bench.h"
#include "histogram.h"
#include "process.h"
#include "ticks.h"

enum {
    WARM_UP = 400000,       /* calls */
    STEADY_CALLS = 4000000,
    GROWTH_CALLS = 375000,  /* four mallocs, then a free, and so on */
    GROWTH_SLOTS = GROWTH_CALLS / 5 * 4,
    TIMER_WINDOWS = 2000000,
    BATCH = 1000,           /* calls between two looks at the context switches */
    PORTIONS = 500,         /* of the purge phase */
    PORTION_CALLS = 2000,
    PORTION_NS = 5000000,
};

static struct histogram timer, mallocs, frees;
static struct block slots[SLOTS];
static struct block grown[GROWTH_SLOTS];
static uint32_t grown_count;
static uint64_t seed = 12345;
static struct epoch start;

static void take_timed(struct block *b, uint64_t bits)
{
    uint32_t size = random_size(bits);
    void *(*call)(size_t) = bench_malloc;
    uint64_t begin = ticks_begin();
    unsigned char *p = call(size);
    histogram_add(&mallocs, begin, ticks_end());
    if (p == NULL)
        bench_fail("malloc(%u) returned NULL: %s", size, strerror(errno));
    *b = (struct block){.p = p, .size = size, .mark = (unsigned char)bits};
    p[0] = p[size - 1] = b->mark;
}

static void give_timed(struct block *b)
{
    if (b->p[0] != b->mark || b->p[b->size - 1] != b->mark)
        bench_fail("block %p of %u bytes was changed", (void *)b->p, b->size);
    void (*call)(void *) = bench_free;
    uint64_t begin = ticks_begin();
    call(b->p);
    histogram_add(&frees, begin, ticks_end());
    b->p = NULL;
}

static void turn_timed(void)
{
    uint64_t bits = bench_random(&seed);
    struct block *b = &slots[bench_scale((uint32_t)(bits >> 32), SLOTS)];
    if (b->p != NULL)
        give_timed(b);
    else
        take_timed(b, bench_random(&seed));
}

static void grow_timed(void)
{
    static uint32_t calls;
    if (++calls % 5 != 0) {
        take_timed(&grown[grown_count++], bench_random(&seed));
        return;
    }
    struct block *victim = &grown[bench_scale((uint32_t)bench_random(&seed), grown_count)];
    give_timed(victim);
    *victim = grown[--grown_count];
}

static void shrink_timed(void)
{
    give_timed(&grown[--grown_count]);
}

static void time_nothing(void)
{
    uint64_t begin = ticks_begin();
    histogram_add(&timer, begin, ticks_end());
}

static void run_batches(void (*step)(void), uint32_t calls)
{
    while (calls > 0) {
        uint32_t batch = calls < BATCH ? calls : BATCH;
        long before = context_switches();
        for (uint32_t i = 0; i < batch; i++)
            step();
        bool was_quiet = context_switches() == before;
        histogram_end_batch(&mallocs, was_quiet);
        histogram_end_batch(&frees, was_quiet);
        histogram_end_batch(&timer, was_quiet);
        calls -= batch;
    }
}

static void run_purge(void)
{
    run_batches(shrink_timed, grown_count);
    uint64_t next = ticks_nanoseconds();
    for (int i = 0; i < PORTIONS; i++) {
        next += PORTION_NS;
        run_batches(turn_timed, PORTION_CALLS);
        struct timespec until = {.tv_sec = (time_t)(next / 1000000000), .tv_nsec = (long)(next % 1000000000)};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
            continue;
    }
}

/* A length as nanoseconds, less the timer's own: the mean of the empty windows without the rarest, which were
 * interrupted. */
static double call_ns(const struct histogram *h, uint64_t length)
{
    double own = h == &timer ? 0 : histogram_mean_below(&timer, 0.99);
    return (double)length > own ? ((double)length - own) * ticks_length(start) : 0;
}

static void print_call(const char *call, const char *phase, const struct histogram *h, unsigned long resident)
{
    static const struct { const char *name; double share; } rows[] =
        {{"p50", 0.5}, {"p99", 0.99}, {"p999", 0.999}, {"p9999", 0.9999}};
    printf("{\"call\":\"%s\",\"phase\":\"%s\"", call, phase);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        printf(",\"%s\":%.1f", rows[i].name, call_ns(h, histogram_percentile(h, rows[i].share)));
    char quiet[32] = "null";
    if (h->quiet_max > 0)
        snprintf(quiet, sizeof quiet, "%.0f", call_ns(h, h->quiet_max));
    printf(",\"max\":%.0f,\"quiet_max\":%s,\"samples\":%llu,\"resident_kib\":%lu}\n", call_ns(h, h->max), quiet,
           (unsigned long long)h->count, resident);
}

static void print_phase(const char *phase)
{
    unsigned long resident = resident_kib();
    print_call("malloc", phase, &mallocs, resident);
    print_call("free", phase, &frees, resident);
    memset(&mallocs, 0, sizeof mallocs);
    memset(&frees, 0, sizeof frees);
}

static void measure_phases(void)
{
    run_batches(time_nothing, TIMER_WINDOWS);
    double early = ticks_length(start);
    print_call("nothing", "timer", &timer, resident_kib());
    for (uint32_t i = 0; i < WARM_UP; i++)
        turn_untimed(slots, &seed);
    run_batches(turn_timed, STEADY_CALLS);
    print_phase("steady");
    run_batches(grow_timed, GROWTH_CALLS);
    print_phase("growth");
    run_purge();
    print_phase("purge");
    double late = ticks_length(start);
    if (late > early * 1.01 || early > late * 1.01)
        bench_fail("the clock is not steady: a tick took %g ns at first, %g ns over all", early, late);
}

int main(int argc, char **argv)
{
    if (argc > 3)
        bench_fail("usage: latency [BACKGROUND [SEED]]");
    uint32_t count = argc > 1 ? (uint32_t)bench_number("BACKGROUND", argv[1], 0, MAX_BACKGROUND) : 0;
    seed = argc > 2 ? bench_number("SEED", argv[2], 0, UINT64_MAX) : seed;
    start = ticks_epoch();
    background_start(count, seed);
    measure_phases();
    background_stop(count);
    if (fflush(stdout) != 0)
        bench_fail("cannot write the result");
    return 0;
}
