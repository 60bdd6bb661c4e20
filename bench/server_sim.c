/* server_sim.c - a server over a long time: how much memory it holds while it is quiet, for what it needs.
 *
 *     server_sim SECONDS SEED [THREADS]
 *
 * The time is cut into cycles of a busy and a quiet part, as many as fit into SECONDS, at least one. THREADS threads
 * (4 by default) serve; the main thread only looks.
 *
 *   busy    3 s in steps of 20 ms. Up to the middle load grows: sessions begin until the target of the cycle is
 *           reached (48 to 256 MiB, it drifts); then it falls to a tenth to a half of it. A session is a list of 4 to
 *           64 blocks. Requests take blocks for a moment and replace some of their session's. One session in 8 is ended
 *           by another thread, one in 256 pins its blocks for up to 12 cycles. Block sizes lie around a centre that
 *           drifts between 32 bytes and 4 KiB, some have up to half a MiB.
 *   quiet   3 s, after every fourth busy part 6 s: all threads sleep in one long wait, so that timers can act
 *
 * What is done in a cycle depends on SEED and THREADS alone, so that every allocator gets the same calls; one that is
 * too slow for the busy part comes late, and may get through fewer cycles. Time is compressed in that hours of drift
 * pass in minutes; no sleep is.
 *
 * Printed at the end of each quiet part: live bytes, as asked for; resident memory (Rss) less the baseline, which is
 * read when the threads have started and the tables are there, before the first block; and resident / live. At the end
 * the worst and the mean ratio. All pages of all blocks are written.
 *
 * Sharing: a worker belongs to its thread while it is busy, to the main thread while it is quiet; its mail is under the
 *          mail's lock. `cycle` is written by the main thread while all are quiet.
 */
#include "threads.h"

#include "process.h"
#include <stdbool.h>

enum {
    MIB = 1 << 20,
    PAGE = 4096,
    STEPS = 150, /* of a busy part */
    QUIET_SECONDS = 3,
    LONG_QUIET_EVERY = 4,
    SESSIONS_MAX = 1 << 17, /* of a thread */
    BLOCKS_LEAST = 4,       /* of a session */
    BLOCKS_SPREAD = 61,
    REQUESTS = 100,         /* of a thread in a step */
    REQUEST_BLOCKS_MAX = 24,
    REPLACED = 2,           /* blocks of a session by a request */
    REMOTE_ONE_IN = 8,
    PIN_ONE_IN = 256,
    PIN_CYCLES_MAX = 12,
    LARGE_ONE_IN = 2048,
    LARGE_LEAST = 64 << 10,
    LARGE_SPREAD = 448 << 10,
    TARGET_LEAST = 48 * MIB,
    TARGET_MOST = 256 * MIB,
    CENTRE_LEAST = 5, /* powers of two */
    CENTRE_MOST = 12,
};
#define STEP_SECONDS 0.02
#define BUSY_SECONDS (STEPS * STEP_SECONDS)

/* The head of each block. */
struct part {
    struct part *next;
    uint64_t size; /* of the block */
};

struct session {
    struct part *first;
    struct part *last;
    uint32_t pinned_until; /* number of a cycle; 0 = not pinned */
};

/* Sessions that others have left for a thread to end. */
struct mail {
    pthread_mutex_t lock;
    struct part *first;
};

struct worker {
    uint32_t index;
    uint32_t count;            /* sessions; the table is dense */
    uint64_t random;
    uint64_t taken;            /* bytes allocated so far, by this thread; as freed */
    uint64_t freed;
    struct session *sessions;
    struct mail mail;
} __attribute__((aligned(WORKER_ALIGN)));

/* What a cycle is like. */
struct cycle {
    uint32_t number; /* from 1 */
    uint32_t centre; /* power of two: where block sizes lie */
    uint64_t high;   /* live bytes in the middle of the busy part, of all threads */
    uint64_t low;    /* and at its end */
    double start;    /* time of the busy part */
    bool is_last;
};

static struct worker workers[MAX_TEAM];
static uint32_t thread_count = 4;
static struct cycle cycle;
static pthread_barrier_t together; /* of the threads and the main thread: a busy part begins, or has ended */
static pthread_barrier_t emptied;  /* of the threads: all mail is posted */

/* ---- blocks and sessions ---- */

static uint32_t draw(struct worker *w, uint32_t count)
{
    return bench_scale((uint32_t)bench_random(&w->random), count);
}

/* Around the centre: three powers of two up and down, those near it more often. */
static uint32_t draw_size(struct worker *w)
{
    if (draw(w, LARGE_ONE_IN) == 0)
        return LARGE_LEAST + draw(w, LARGE_SPREAD);
    uint32_t power = cycle.centre + draw(w, 4) + draw(w, 4);
    power = power < 4 + 3 ? 4 : power - 3;
    return (1u << power) + draw(w, 1u << power);
}

static struct part *take(struct worker *w, uint32_t size)
{
    struct part *p = bench_malloc(size);
    if (p == NULL)
        bench_fail("malloc(%u) returned NULL: %s", size, strerror(errno));
    for (uint32_t i = 0; i < size; i += PAGE)
        ((unsigned char *)p)[i] = 1;
    ((unsigned char *)p)[size - 1] = 1;
    *p = (struct part){.next = NULL, .size = size};
    w->taken += size;
    return p;
}

static void give(struct worker *w, struct part *p)
{
    w->freed += p->size;
    bench_free(p);
}

static void give_list(struct worker *w, struct part *p)
{
    while (p != NULL) {
        struct part *next = p->next;
        give(w, p);
        p = next;
    }
}

static void append(struct session *s, struct part *p)
{
    if (s->first == NULL)
        s->first = p;
    else
        s->last->next = p;
    s->last = p;
}

/* Returns the bytes that it took. */
static uint64_t begin_session(struct worker *w)
{
    struct session s = {.first = NULL};
    uint64_t before = w->taken;
    for (uint32_t i = BLOCKS_LEAST + draw(w, BLOCKS_SPREAD); i > 0; i--)
        append(&s, take(w, draw_size(w)));
    if (draw(w, PIN_ONE_IN) == 0)
        s.pinned_until = cycle.number + 1 + draw(w, PIN_CYCLES_MAX);
    w->sessions[w->count++] = s;
    return w->taken - before;
}

static void post(struct worker *to, const struct session *s)
{
    pthread_mutex_lock(&to->mail.lock);
    s->last->next = to->mail.first;
    to->mail.first = s->first;
    pthread_mutex_unlock(&to->mail.lock);
}

static void read_mail(struct worker *w)
{
    pthread_mutex_lock(&w->mail.lock);
    struct part *first = w->mail.first;
    w->mail.first = NULL;
    pthread_mutex_unlock(&w->mail.lock);
    give_list(w, first);
}

static uint64_t session_bytes(const struct session *s)
{
    uint64_t bytes = 0;
    for (const struct part *p = s->first; p != NULL; p = p->next)
        bytes += p->size;
    return bytes;
}

/* Returns its bytes. */
static uint64_t end_session(struct worker *w, uint32_t at)
{
    struct session s = w->sessions[at];
    uint64_t bytes = session_bytes(&s);
    w->sessions[at] = w->sessions[--w->count];
    if (draw(w, REMOTE_ONE_IN) == 0)
        post(&workers[(w->index + 1) % thread_count], &s);
    else
        give_list(w, s.first);
    return bytes;
}

/* ---- the work of a step ---- */

static void serve_request(struct worker *w)
{
    struct part *moment = NULL;
    for (uint32_t i = draw(w, REQUEST_BLOCKS_MAX); i > 0; i--) {
        struct part *p = take(w, draw_size(w));
        p->next = moment;
        moment = p;
    }
    struct session *s = &w->sessions[draw(w, w->count)];
    for (unsigned i = 0; i < REPLACED && s->first->next != NULL; i++) {
        struct part *first = s->first;
        s->first = first->next;
        give(w, first);
        append(s, take(w, draw_size(w)));
    }
    give_list(w, moment);
}

/* Bytes that sessions of this thread hold. */
static uint64_t held_bytes(const struct worker *w)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < w->count; i++)
        bytes += session_bytes(&w->sessions[i]);
    return bytes;
}

/* Ends sessions at random, but pinned ones, until `target` bytes are held or only pinned ones were met for long. */
static uint64_t shrink(struct worker *w, uint64_t held, uint64_t target)
{
    for (unsigned misses = 0; held > target && w->count > 1 && misses < 1000;) {
        uint32_t at = draw(w, w->count);
        if (w->sessions[at].pinned_until > cycle.number) {
            misses++;
            continue;
        }
        misses = 0;
        held -= end_session(w, at);
    }
    return held;
}

/* What this thread is to hold at the end of a step. */
static uint64_t target_of(const struct worker *w, uint64_t start, uint32_t step)
{
    uint64_t high = team_share(cycle.high, w->index, thread_count);
    uint64_t low = team_share(cycle.low, w->index, thread_count);
    uint32_t half = STEPS / 2;
    if (step < half)
        return start < high ? start + (high - start) * (step + 1) / half : high;
    return high - (high - low) * (step + 1 - half) / (STEPS - half);
}

static void be_busy(struct worker *w)
{
    uint64_t start = held_bytes(w);
    uint64_t held = start;
    for (uint32_t step = 0; step < STEPS; step++) {
        uint64_t target = target_of(w, start, step);
        read_mail(w);
        while ((held < target || w->count == 0) && w->count < SESSIONS_MAX)
            held += begin_session(w);
        held = shrink(w, held, target);
        for (unsigned i = 0; i < REQUESTS; i++)
            serve_request(w);
        if (step % 8 == 7)
            held = held_bytes(w); /* replaced blocks have other sizes */
        sleep_until(cycle.start + (step + 1) * STEP_SECONDS);
    }
    pthread_barrier_wait(&emptied);
    read_mail(w);
}

static void *serve(void *argument)
{
    struct worker *w = argument;
    pthread_barrier_wait(&together); /* the baseline was read */
    for (;;) {
        pthread_barrier_wait(&together); /* quiet until here */
        if (cycle.is_last)
            break;
        be_busy(w);
        pthread_barrier_wait(&together);
    }
    while (w->count > 0)
        give_list(w, w->sessions[--w->count].first);
    return NULL;
}

/* ---- the main thread ---- */

struct totals {
    uint32_t cycles;
    double worst;
    double ratios; /* their sum */
    double resident_mib;
    double live_mib;
};

static uint64_t live_bytes(void)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < thread_count; i++)
        bytes += workers[i].taken - workers[i].freed;
    return bytes;
}

static uint32_t quiet_seconds(uint32_t number)
{
    return number % LONG_QUIET_EVERY == 0 ? 2 * QUIET_SECONDS : QUIET_SECONDS;
}

/* Target and centre walk at random, a little in each cycle. */
static void plan_cycle(uint64_t *random)
{
    uint64_t bits = bench_random(random);
    uint64_t high = cycle.high;
    high += high / 100 * bench_scale((uint32_t)bits, 81); /* by -40 to +40 percent */
    high -= cycle.high / 100 * 40;
    cycle.high = high < TARGET_LEAST ? TARGET_LEAST : high > TARGET_MOST ? TARGET_MOST : high;
    cycle.low = cycle.high / 100 * (10 + bench_scale((uint32_t)(bits >> 32), 41));
    bits = bench_random(random);
    if ((bits & 3) == 0 && cycle.centre < CENTRE_MOST)
        cycle.centre++;
    else if ((bits & 3) == 1 && cycle.centre > CENTRE_LEAST)
        cycle.centre--;
    cycle.number++;
}

static void look(uint64_t baseline, double seconds, struct totals *totals)
{
    struct resident resident = resident_of(getpid());
    double live = (double)live_bytes() / MIB;
    double above = ((double)resident.bytes - (double)baseline) / MIB;
    double ratio = above / live;
    totals->cycles++;
    totals->ratios += ratio;
    totals->resident_mib += above;
    totals->live_mib += live;
    if (ratio > totals->worst)
        totals->worst = ratio;
    printf("%6.0f s: peak %5.1f MiB of blocks around %4u bytes; quiet: live %6.1f MiB, resident %6.1f MiB, "
           "lazy %5.1f MiB, ratio %.3f\n",
           seconds, (double)cycle.high / MIB, 1u << cycle.centre, live, above, (double)resident.lazy / MIB, ratio);
    fflush(stdout);
}

static void run_cycles(double seconds, uint64_t seed, struct totals *totals)
{
    uint64_t random = seed;
    double start = bench_seconds();
    uint64_t baseline = resident_of(getpid()).bytes;
    pthread_barrier_wait(&together);
    double end = 0; /* of the cycle, when nobody comes late */
    cycle = (struct cycle){.centre = 8, .high = 128 * MIB};
    for (;;) {
        plan_cycle(&random);
        end += BUSY_SECONDS + quiet_seconds(cycle.number);
        cycle.start = bench_seconds();
        cycle.is_last = (end > seconds || cycle.start - start > seconds) && cycle.number > 1;
        pthread_barrier_wait(&together);
        if (cycle.is_last)
            return;
        pthread_barrier_wait(&together);
        sleep_until(bench_seconds() + quiet_seconds(cycle.number));
        look(baseline, bench_seconds() - start, totals);
    }
}

static void prepare(uint64_t seed)
{
    for (uint32_t i = 0; i < thread_count; i++) {
        workers[i] = (struct worker){.index = i, .random = team_seed(seed, i)};
        workers[i].sessions = own_memory(SESSIONS_MAX * sizeof *workers[i].sessions);
        pthread_mutex_init(&workers[i].mail.lock, NULL);
    }
    pthread_barrier_init(&together, NULL, thread_count + 1);
    pthread_barrier_init(&emptied, NULL, thread_count);
}

int main(int argc, char **argv)
{
    static char buffer[4096]; /* standard output is no user of the allocator's */
    pthread_t threads[MAX_TEAM];
    struct totals totals = {.cycles = 0};
    if (argc != 3 && argc != 4)
        bench_fail("usage: server_sim SECONDS SEED [THREADS]");
    double seconds = (double)bench_number("SECONDS", argv[1], 1, 30 * 86400);
    uint64_t seed = bench_number("SEED", argv[2], 0, UINT64_MAX);
    if (argc == 4)
        thread_count = (uint32_t)bench_number("THREADS", argv[3], 1, MAX_TEAM);
    setvbuf(stdout, buffer, _IOFBF, sizeof buffer);

    prepare(seed);
    for (uint32_t i = 0; i < thread_count; i++)
        threads[i] = thread_start(serve, &workers[i]);
    run_cycles(seconds, seed, &totals);
    for (uint32_t i = 0; i < thread_count; i++)
        thread_join(threads[i]);
    if (live_bytes() != 0)
        bench_fail("%llu bytes were not freed", (unsigned long long)live_bytes());

    double mean = totals.ratios / totals.cycles;
    printf("server_sim seed=%s threads=%u: %u cycles, ratio: worst %.3f, mean %.3f\n", argv[2], thread_count,
           totals.cycles, totals.worst, mean);
    printf("{\"program\": \"server_sim\", \"seconds\": %s, \"seed\": %s, \"threads\": %u, \"cycles\": %u, "
           "\"worst_ratio\": %.4f, \"mean_ratio\": %.4f, \"mean_resident_mib\": %.3f, \"mean_live_mib\": %.3f}\n",
           argv[1], argv[2], thread_count, totals.cycles, totals.worst, mean, totals.resident_mib / totals.cycles,
           totals.live_mib / totals.cycles);
    return fflush(stdout) == 0 ? 0 : 1;
}
