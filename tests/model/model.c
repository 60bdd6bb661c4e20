/* model.c - the allocator against a shadow heap, at random.
 *
 *   model [threads=N] [operations=N] [seed=N]
 *
 * Uses:    the library as one include, checked build, on the real system; held.h, tap.h. Answers to hak_* only.
 * Callers: `make check`, through model_single_test and model_threads_test.
 *
 * The shadow heap knows of every live block its address, its size and what it was filled with. After
 * each call the result is compared with what the call promises: content, alignment, no overlap, zeroes,
 * errno, usable size. A mode draws the sizes, the calls and the number of live blocks anew for each phase.
 *
 * The invariants after every operation: the checked build verifies, at every visit, the slabs and bins
 * involved. Over that, a quiet phase (few live blocks) of a single thread ends every single operation with
 * hak_check(), which walks the whole heap; with threads it is each thread's every 16th, in busy phases every 1,000th.
 * The closing lines say how many operations had which.
 *
 * With threads, each has a shadow of its own. Blocks go from one to another through the market and are resized or
 * freed there; threads die in the middle of things and leave what they hold to the market. hak_check() stops every
 * slow side meanwhile, and leaves the bins of the other running threads out; when all threads of a generation
 * have ended, everything is walked.
 *
 * I1  live bytes by hak_stats() == usable bytes of all blocks in shadows and market, when all stand still
 * I2  mallocs - frees by hak_stats() == number of these blocks
 */
#include "../../src/hakmem.c"

#include <stdio.h>
#include <sys/random.h>
#include <time.h>

#include "../tap.h"

__attribute__((format(printf, 2, 3), noreturn)) static void fault(const char *what, const char *format, ...);

#define demand(cond, ...) \
    do { \
        if (unlikely(!(cond))) fault(#cond, __VA_ARGS__); \
    } while (0)

#define HELD_DENSE (64 * 1024)
#define HELD_STEP(usable) 4096
#include "held.h"

#ifndef MODEL_THREADS
#define MODEL_THREADS 1
#endif
#ifndef MODEL_OPERATIONS
#define MODEL_OPERATIONS 5000000
#endif

enum {
    LIVE_MAX = 4096,
    MARKET_MAX = 4096,
    THREADS_MAX = 64,
    PHASE_OPERATIONS = 25000,
    BUSY_CHECK_EVERY = 1000,
    SHARED_CHECK_EVERY = 16, /* in quiet phases of many threads, whose dead leave long lists behind */
    HUGE_BYTES = 70 * 1024 * 1024, /* sizes of large blocks end there; realloc goes on */
};

/* What one phase is like. */
struct mode {
    unsigned live_max;
    unsigned size_bits_min, size_bits_max; /* sizes are spread evenly over powers of two */
    unsigned large_in_1000;                /* operations that take a large block instead */
    bool quiet;                            /* few blocks: the whole heap is checked after every operation */
};

struct shadow {
    uint64_t random;
    unsigned live;
    struct held block[LIVE_MAX];
};

static struct {
    pthread_mutex_t lock;
    unsigned count;
    struct held block[MARKET_MAX];
} market = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct {
    uint64_t operations, fully_checked, periodic_checks, births, traded, resized_in_place, resized_away;
    uint64_t long_runs, mappings; /* blocks entered that are such */
    uint64_t sparse;              /* looks that found slabs without some of their pages */
} told;

static uint64_t next_mark = 1;
static unsigned thread_count = MODEL_THREADS;
static uint64_t seed;
static struct mode mode;

/* ---- the functions under test, hidden from the compiler ---- */

static struct {
    void *(*volatile malloc)(size_t);
    void *(*volatile calloc)(size_t, size_t);
    void *(*volatile realloc)(void *, size_t);
    void *(*volatile aligned_alloc)(size_t, size_t);
    void *(*volatile memalign)(size_t, size_t);
    int (*volatile posix_memalign)(void **, size_t, size_t);
    void (*volatile free)(void *);
    void (*volatile free_sized)(void *, size_t);
    void (*volatile free_aligned_sized)(void *, size_t, size_t);
    size_t (*volatile usable_size)(const void *);
    bool (*volatile owns)(const void *);
    size_t (*volatile purge)(void);
} call = {hak_malloc, hak_calloc, hak_realloc, hak_aligned_alloc, hak_memalign, hak_posix_memalign, hak_free,
          hak_free_sized, hak_free_aligned_sized, hak_usable_size, hak_owns, hak_purge};

/* ---- helpers ---- */

static uint64_t draw(uint64_t *random)
{
    uint64_t x = *random += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static uint64_t draw_below(uint64_t *random, uint64_t n)
{
    return draw(random) % n;
}

/* One line that names the seed, and the end: what follows a fault teaches nothing. */
static void fault(const char *what, const char *format, ...)
{
    char text[512];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof(text), format, list);
    va_end(list);
    tap_plain("not ok 1 - allocator_matches_the_shadow_heap # seed %lu, about operation %lu: %s: %s", seed,
              load_relaxed(&told.operations), what, text);
    tap_plain("1..1");
    _exit(1);
}

static void demand_zeroes(const unsigned char *p, size_t size)
{
    if (size > 0 && p[0] == 0 && memcmp(p, p + 1, size - 1) == 0) return;
    for (size_t at = 0; at < size; at++) demand(p[at] == 0, "calloc of %zu at %p: byte %zu is %u", size, p, at, p[at]);
}

/* ---- operations ---- */

/* Runs, seldom longer than a SuperSlab, very seldom up to where mappings begin, and beyond. */
static size_t draw_large_size(uint64_t *random)
{
    uint64_t kind = draw_below(random, 128);
    size_t most = kind == 0 ? HUGE_BYTES : kind < 16 ? 5000000 : 500000;
    return SMALL_SIZE_MAX + 1 + draw_below(random, most);
}

static size_t draw_size(uint64_t *random)
{
    if (draw_below(random, 1000) < mode.large_in_1000) return draw_large_size(random);
    unsigned bits = mode.size_bits_min + (unsigned)draw_below(random, mode.size_bits_max - mode.size_bits_min + 1);
    size_t size = draw(random) & (((size_t)2 << bits) - 1);
    switch (draw_below(random, 6)) {
    case 0: return class_size((unsigned)draw_below(random, class_of(size < SMALL_SIZE_MAX ? size : SMALL_SIZE_MAX) + 1));
    case 1: return class_size(class_of(size < SMALL_SIZE_MAX ? size : SMALL_SIZE_MAX)) + 1;
    default: return size <= SMALL_SIZE_MAX ? size : SMALL_SIZE_MAX;
    }
}

/* Up to a page mostly; now and then beyond a unit, which takes a mapping. */
static size_t draw_alignment(uint64_t *random)
{
    uint64_t kind = draw_below(random, 64);
    if (kind == 0) return (size_t)1 << draw_below(random, 22);
    if (kind < 8) return (size_t)1 << draw_below(random, 17);
    return (size_t)8 << draw_below(random, 8);
}

static void count_kind(const struct held *b)
{
    uint32_t kind = tag_offset(tagmap_get(b->p));
    if (kind == TAG_RUN && b->usable > SUPERSLAB_SIZE) add_relaxed(&told.long_runs, 1);
    if (kind == TAG_MAPPING) add_relaxed(&told.mappings, 1);
}

static void enter(struct shadow *s, void *p, size_t size, size_t alignment)
{
    struct held b = {.p = p, .size = size, .alignment = alignment};
    demand(p, "no memory for %zu bytes", size);
    b.mark = held_mark(add_relaxed(&next_mark, 1));
    b.usable = call.usable_size(p);
    held_demand_promise(&b);
    demand(call.owns(p), "%p is not ours", p);
    if (mode.quiet) held_demand_apart(&b, s->block, s->live);
    count_kind(&b);
    held_fill(&b);
    s->block[s->live++] = b;
}

static void op_alloc(struct shadow *s)
{
    size_t size = draw_size(&s->random);
    size_t alignment = draw_alignment(&s->random);
    void *p = NULL;
    switch (draw_below(&s->random, 10)) {
    case 0: case 1: case 2: case 3: case 4:
        enter(s, call.malloc(size), size, 0);
        return;
    case 5: case 6:
        p = size % 3 == 0 ? call.calloc(3, size / 3) : call.calloc(1, size);
        demand(p, "no memory for %zu bytes", size);
        demand_zeroes(p, size);
        enter(s, p, size, 0);
        return;
    case 7:
        enter(s, call.aligned_alloc(alignment, size), size, alignment);
        return;
    case 8:
        enter(s, call.memalign(alignment, size), size, alignment);
        return;
    default:
        if (alignment < 8) alignment = 8;
        demand(call.posix_memalign(&p, alignment, size) == 0, "posix_memalign(%zu, %zu)", alignment, size);
        enter(s, p, size, alignment);
        return;
    }
}

static struct held leave(struct shadow *s, unsigned i)
{
    struct held b = s->block[i];
    s->block[i] = s->block[--s->live];
    held_demand_content(&b, b.usable);
    demand(call.usable_size(b.p) == b.usable, "usable size of %p changed from %zu", b.p, b.usable);
    return b;
}

static void release(struct shadow *s, unsigned i)
{
    struct held b = leave(s, i);
    errno = 4711;
    if (draw_below(&s->random, 4) > 0) call.free(b.p);
    else if (b.alignment) call.free_aligned_sized(b.p, b.alignment, b.size);
    else call.free_sized(b.p, b.size);
    demand(errno == 4711, "free changed errno to %d", errno);
}

static void op_free(struct shadow *s)
{
    if (s->live > 0) release(s, (unsigned)draw_below(&s->random, s->live));
}

static void op_realloc(struct shadow *s)
{
    if (s->live == 0) return;
    struct held old = leave(s, (unsigned)draw_below(&s->random, s->live));
    bool grows = draw_below(&s->random, 2) && old.size < 2 * HUGE_BYTES;
    size_t size = grows ? old.size + draw_below(&s->random, old.size / 2 + 64) : draw_size(&s->random);
    if (size == 0) size = 1;
    struct held now = old;
    now.p = call.realloc(old.p, size);
    demand(now.p, "no memory to resize %zu to %zu", old.size, size);
    add_relaxed(now.p == old.p ? &told.resized_in_place : &told.resized_away, 1);
    held_demand_content(&now, old.size < size ? old.size : size);
    enter(s, now.p, size, 0);
}

static void op_look(struct shadow *s)
{
    if (s->live == 0) return;
    const struct held *b = &s->block[draw_below(&s->random, s->live)];
    held_demand_content(b, b->usable);
    demand(call.usable_size(b->p) == b->usable, "%p", b->p);
}

/* To another thread, or from one. */
static void op_trade(struct shadow *s, bool sell)
{
    pthread_mutex_lock(&market.lock);
    if (sell && s->live > 0 && market.count < MARKET_MAX)
        market.block[market.count++] = leave(s, (unsigned)draw_below(&s->random, s->live));
    else if (!sell && s->live < LIVE_MAX && market.count > 0)
        s->block[s->live++] = market.block[--market.count];
    pthread_mutex_unlock(&market.lock);
    add_relaxed(&told.traded, 1);
}

/* The last to die leave their blocks on the market; what it cannot hold is freed. */
static void bequeath(struct shadow *s)
{
    while (s->live > 0) {
        pthread_mutex_lock(&market.lock);
        bool room = market.count < MARKET_MAX / 2;
        if (room) market.block[market.count++] = s->block[--s->live];
        pthread_mutex_unlock(&market.lock);
        if (!room) release(s, s->live - 1);
    }
}

static void operate(struct shadow *s)
{
    uint64_t kind = draw_below(&s->random, 100);
    bool full = s->live >= mode.live_max;
    if (kind < 2 && thread_count > 1) op_trade(s, true);
    else if (kind < 5 && thread_count > 1) op_trade(s, full);
    else if (kind < 20) op_realloc(s);
    else if (kind < 22) op_look(s);
    else if (!full && kind < 22 + (s->live < mode.live_max / 2 ? 48u : 39u)) op_alloc(s);
    else op_free(s);
    if (draw_below(&s->random, mode.quiet ? 1000 : 10000) == 0) (void)call.purge();
}

/* ---- modes and checks ---- */

static void draw_mode(uint64_t *random)
{
    bool quiet = draw_below(random, 100) < 60;
    unsigned low = (unsigned)draw_below(random, 14);
    unsigned span = (unsigned)draw_below(random, 16 - low);
    mode = (struct mode){
        .quiet = quiet,
        .live_max = quiet ? 2 + (unsigned)draw_below(random, 40) : 64 + (unsigned)draw_below(random, 2000),
        .size_bits_min = low,
        .size_bits_max = low + span,
        .large_in_1000 = draw_below(random, 4) == 0 ? (quiet ? 60 : 5) : 1,
    };
    if (mode.size_bits_max > 12 && mode.live_max > 600) mode.live_max = 600; /* bytes, too, are bounded */
    /* One block at a time keeps bins short, and with them the walk of the whole heap. */
    (void)hak_option_set("batch_refill", !(quiet && low < 9));
    (void)hak_option_set("drain", draw_below(random, 8) != 0);
    (void)hak_option_set("purge_delay", draw_below(random, 4) == 0 ? 0 : 20);
}

/* Everything agrees when nobody moves. */
static void demand_agreement(const struct shadow *s)
{
    static struct stats all;
    struct hak_stats stats;
    size_t live = 0;
    uint64_t blocks = s->live + market.count;
    for (unsigned i = 0; i < s->live; i++) live += s->block[i].usable;
    for (unsigned i = 0; i < market.count; i++) live += market.block[i].usable;
    demand(hak_stats(&stats) == 0, "hak_stats");
    stats_collect(&all);
    told.sparse += all.absent_bytes > 0;
    demand(stats.live == live, "%zu bytes by hak_stats, %zu by the shadow", stats.live, live);
    demand(stats.mallocs - stats.frees == blocks, "%zu mallocs, %zu frees, %lu blocks", stats.mallocs, stats.frees, blocks);
}

static void full_check(uint64_t *counter)
{
    demand(hak_check(), "see standard error");
    add_relaxed(counter, 1);
}

/* ---- one thread ---- */

static struct shadow *new_shadow(uint64_t number)
{
    struct shadow *s = os_map(align_up(sizeof(struct shadow), os_page_size()));
    demand(s, "no memory for the shadow");
    s->random = seed * 1000003 + number;
    return s;
}

static void phase(struct shadow *s, uint64_t operations)
{
    draw_mode(&s->random);
    while (s->live > mode.live_max) release(s, s->live - 1);
    (void)call.purge();
    for (uint64_t i = 0; i < operations; i++) {
        operate(s);
        told.operations++;
        if (mode.quiet)
            full_check(&told.fully_checked);
        else if (i % BUSY_CHECK_EVERY == 0)
            full_check(&told.periodic_checks);
        if (i % (mode.quiet ? 32 : BUSY_CHECK_EVERY) == 0) demand_agreement(s);
    }
}

static void model_single(uint64_t operations)
{
    struct shadow *s = new_shadow(0);
    while (told.operations < operations) {
        uint64_t left = operations - told.operations;
        phase(s, left < PHASE_OPERATIONS ? left : PHASE_OPERATIONS);
    }
    while (s->live > 0) release(s, s->live - 1);
    full_check(&told.periodic_checks);
    demand_agreement(s);
}

/* ---- many threads ---- */

struct worker {
    pthread_t thread;
    uint64_t number;
    uint64_t operations;
};

static void *work(void *argument)
{
    const struct worker *w = argument;
    struct shadow *s = new_shadow(w->number);
    for (uint64_t i = 0; i < w->operations; i++) {
        operate(s);
        if (i % 64 == 63) add_relaxed(&told.operations, 64);
        if (i % (mode.quiet ? SHARED_CHECK_EVERY : BUSY_CHECK_EVERY) == 0) full_check(&told.periodic_checks);
    }
    add_relaxed(&told.operations, w->operations % 64);
    bequeath(s);
    os_unmap(s, align_up(sizeof(struct shadow), os_page_size()));
    return NULL;
}

/* Some live long and some die early, while others still post to them. */
static void generation(struct shadow *s, uint64_t operations)
{
    static struct worker worker[THREADS_MAX];
    static uint64_t number = 1;
    draw_mode(&s->random);
    for (unsigned t = 0; t < thread_count; t++) {
        uint64_t share = t + 1 == thread_count ? operations : draw_below(&s->random, operations / 2 + 1);
        operations -= share;
        worker[t].number = number++;
        worker[t].operations = share;
        demand(pthread_create(&worker[t].thread, NULL, work, &worker[t]) == 0, "pthread_create");
    }
    for (unsigned t = 0; t < thread_count; t++) pthread_join(worker[t].thread, NULL);
    told.births += thread_count;
    full_check(&told.periodic_checks);
    demand_agreement(s);
}

static void model_threads(uint64_t operations)
{
    struct shadow *s = new_shadow(0);
    while (told.operations < operations) {
        uint64_t left = operations - told.operations;
        generation(s, left < PHASE_OPERATIONS ? left : PHASE_OPERATIONS);
    }
    while (market.count > 0) {
        s->block[s->live++] = market.block[--market.count];
        release(s, 0);
    }
    (void)call.purge();
    full_check(&told.periodic_checks);
    demand_agreement(s);
}

/* ---- arguments and report ---- */

static bool read_argument(const char *argument, const char *name, uint64_t *value)
{
    size_t length = strlen(name);
    if (strncmp(argument, name, length) != 0 || argument[length] != '=') return false;
    char *end;
    *value = strtoull(argument + length + 1, &end, 10);
    return *end == 0;
}

int main(int argc, char **argv)
{
    uint64_t operations = MODEL_OPERATIONS, threads = MODEL_THREADS;
    if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) return 2;
    seed %= 1000000000;
    for (int i = 1; i < argc; i++) {
        if (read_argument(argv[i], "threads", &threads) || read_argument(argv[i], "operations", &operations)) continue;
        if (read_argument(argv[i], "seed", &seed)) continue;
        bail_out("usage: %s [threads=N] [operations=N] [seed=N]", argv[0]);
    }
    if (threads < 1 || threads > THREADS_MAX) bail_out("threads: 1 to %d", THREADS_MAX);
    thread_count = (unsigned)threads;
    diag("model threads=%u operations=%lu seed=%lu", thread_count, operations, seed);
    if (thread_count == 1)
        model_single(operations);
    else
        model_threads(operations);
    diag("%lu operations, in each the checked build verified the slabs and bins of every visit", told.operations);
    diag("%lu operations were followed by a check of the whole heap; in the others it was made %lu times",
         told.fully_checked, told.periodic_checks);
    diag("%lu threads born, %lu trades, resized %lu in place, %lu elsewhere", told.births, told.traded,
         told.resized_in_place, told.resized_away);
    diag("%lu runs longer than a SuperSlab, %lu mappings, %lu looks found absent pages", told.long_runs, told.mappings,
         told.sparse);
    ok(told.operations >= operations, "allocator_matches_the_shadow_heap");
    return done_testing();
}
