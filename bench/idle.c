/* idle.c - how much freed memory goes back to the system while nobody calls the allocator.
 *
 *     idle THREADS SIZE TOTAL_MIB SECONDS [ORDER] [LEAVE] [HOLD]
 *
 * THREADS threads (1: the main thread alone, no other is ever started) allocate TOTAL_MIB together in blocks of SIZE
 * bytes and write every page of them. When all are done, they free all blocks, and sleep in pthread_cond_wait for
 * SECONDS. Nobody allocates, frees or asks for anything meanwhile.
 *
 * SIZE   8 to 2^30, or `mixed`: 64, 200, 4096, 102400 bytes at random, so often that each has a quarter of the bytes,
 *        or `medium`: 2,048 to 131,072 bytes, each as likely as any other
 * ORDER  in which a thread frees: lifo, fifo (the default), random; remote: fifo the blocks of its neighbour
 * LEAVE  blocks of a million that stay, chosen at random; 0 by default
 * HOLD   seconds without a call between the last malloc and the first free; 0 by default. Where it is longer than an
 *        allocator's own thread waits for work, the frees have to wake or to start one.
 *
 * A process that does nothing else starts this one and reads its resident memory (Rss of smaps_rollup). All figures are
 * less the baseline, which is read when the threads have started and the program's own tables (which are no memory of
 * the allocator's) are resident, before the first block is asked for. `peak` is read when all blocks are written and
 * none is freed. `freed` counts bytes as asked for; `returned` is 100 * (peak - resident at the end) / freed, and
 * passes 100 where blocks are larger than asked for. `lazy` is resident memory that the allocator has given up by
 * MADV_FREE and the system has not yet taken: it counts as resident.
 *
 * Sharing: a thread writes its own table; with `remote` its neighbour reads it when all are filled. The rest of what is
 *          shared is under `lock`.
 */
#include "threads.h"

#include "process.h"
#include <stdbool.h>

enum { MIB = 1 << 20, PAGE = 4096, MIXED = 0, MEDIUM = 1, MIXED_LEAST = 64, SIZE_LEAST = 8, MILLION = 1000000 };
enum { MEDIUM_LEAST = 2048, MEDIUM_MOST = 131072 };
enum order { LIFO, FIFO, RANDOM, REMOTE, ORDERS };
enum stage { STAGE_BASELINE, STAGE_FILLED, STAGE_IDLE }; /* the program waits for an answer after the first two */

static const char *const order_names[ORDERS] = {"lifo", "fifo", "random", "remote"};

struct plan {
    uint32_t threads;
    uint32_t size; /* or MIXED or MEDIUM */
    uint64_t total;
    uint32_t seconds;
    enum order order;
    uint32_t leave;
    uint32_t hold;
};

/* From the program to the sampler. */
struct message {
    enum stage stage;
    uint64_t freed; /* bytes; valid when idle, as left */
    uint64_t left;
};

struct worker {
    uint32_t index;
    uint64_t random;
    uint64_t share;    /* bytes to allocate */
    void **table;      /* its blocks; a block begins with its size */
    uint64_t capacity; /* of the table */
    uint64_t count;
} __attribute__((aligned(WORKER_ALIGN)));

static struct plan plan;
static int channel = -1; /* to the other process */
static struct worker workers[MAX_TEAM];
static pthread_barrier_t together;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t end;
static bool is_over;
static uint32_t idle_count;
static struct message result;

/* ---- the program that is watched ---- */

static void tell(enum stage stage)
{
    result.stage = stage;
    channel_send(channel, &result, sizeof result);
}

static void await_answer(void)
{
    char answer;
    channel_receive(channel, &answer, 1);
}

/* All threads; the sampler looks before they go on. */
static void stop_for(const struct worker *w, enum stage stage)
{
    pthread_barrier_wait(&together);
    if (w->index == 0) {
        tell(stage);
        await_answer();
    }
    pthread_barrier_wait(&together);
}

/* How often a size comes is its weight, the inverse of the size. */
static uint32_t mixed_size(uint32_t bits)
{
    static const struct {
        uint32_t size;
        double below; /* sum of the weights up to this one, of 1 */
    } sizes[] = {{64, 0.748363}, {200, 0.987839}, {4096, 0.999532}, {102400, 1}};
    double at = bits / 4294967296.0;
    unsigned i = 0;
    while (at >= sizes[i].below)
        i++;
    return sizes[i].size;
}

static uint32_t next_size(struct worker *w)
{
    if (plan.size > MEDIUM)
        return plan.size;
    uint32_t bits = (uint32_t)bench_random(&w->random);
    return plan.size == MIXED ? mixed_size(bits) : MEDIUM_LEAST + bench_scale(bits, MEDIUM_MOST - MEDIUM_LEAST + 1);
}

static void *take(uint32_t size)
{
    unsigned char *p = bench_malloc(size);
    if (p == NULL)
        bench_fail("malloc(%u) returned NULL: %s", size, strerror(errno));
    for (uint32_t i = 0; i < size; i += PAGE)
        p[i] = 1;
    p[size - 1] = 1;
    memcpy(p, &size, sizeof size);
    return p;
}

static void fill(struct worker *w)
{
    for (uint64_t bytes = 0; bytes < w->share && w->count < w->capacity;) {
        uint32_t size = next_size(w);
        w->table[w->count++] = take(size);
        bytes += size;
    }
}

static void shuffle(struct worker *w)
{
    for (uint64_t i = w->count; i > 1; i--) {
        uint64_t j = bench_random(&w->random) % i;
        void *swap = w->table[i - 1];
        w->table[i - 1] = w->table[j];
        w->table[j] = swap;
    }
}

/* Returns the bytes freed; adds those that stay to *left. */
static uint64_t give(struct worker *w, const struct worker *from, uint64_t *left)
{
    uint64_t freed = 0;
    for (uint64_t i = 0; i < from->count; i++) {
        void *p = from->table[plan.order == LIFO ? from->count - 1 - i : i];
        uint32_t size;
        memcpy(&size, p, sizeof size);
        if (plan.leave > 0 && bench_scale((uint32_t)bench_random(&w->random), MILLION) < plan.leave) {
            *left += size;
            continue;
        }
        bench_free(p);
        freed += size;
    }
    return freed;
}

/* The main thread ends it: when SECONDS are over and the sampler has looked for the last time. */
static void sleep_idle(const struct worker *w, uint64_t freed, uint64_t left)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += plan.seconds;
    pthread_mutex_lock(&lock);
    result.freed += freed;
    result.left += left;
    if (++idle_count == plan.threads)
        tell(STAGE_IDLE);
    if (w->index == 0) {
        while (pthread_cond_timedwait(&end, &lock, &until) == 0)
            ;
        await_answer(); /* the others wait for `end` and need no lock until it comes */
        is_over = true;
        pthread_cond_broadcast(&end);
    }
    while (!is_over)
        pthread_cond_wait(&end, &lock);
    pthread_mutex_unlock(&lock);
}

static void *work(void *argument)
{
    struct worker *w = argument;
    uint64_t left = 0;
    stop_for(w, STAGE_BASELINE);
    fill(w);
    if (plan.order == RANDOM)
        shuffle(w);
    stop_for(w, STAGE_FILLED);
    sleep(plan.hold);
    const struct worker *from = plan.order == REMOTE ? &workers[(w->index + 1) % plan.threads] : w;
    uint64_t freed = give(w, from, &left);
    sleep_idle(w, freed, left);
    return NULL;
}

static void prepare(void)
{
    uint64_t least = plan.size == MIXED ? MIXED_LEAST : plan.size == MEDIUM ? MEDIUM_LEAST : plan.size;
    for (uint32_t i = 0; i < plan.threads; i++) {
        struct worker *w = &workers[i];
        *w = (struct worker){.index = i, .random = team_seed(1, i), .share = team_share(plan.total, i, plan.threads)};
        w->capacity = (w->share + least - 1) / least;
        w->table = own_memory(w->capacity * sizeof *w->table);
    }
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&end, &monotonic);
    pthread_barrier_init(&together, NULL, plan.threads);
}

static void run_program(void)
{
    pthread_t threads[MAX_TEAM];
    prepare();
    for (uint32_t i = 1; i < plan.threads; i++)
        threads[i] = thread_start(work, &workers[i]);
    work(&workers[0]);
    for (uint32_t i = 1; i < plan.threads; i++)
        thread_join(threads[i]);
}

/* ---- the sampler ---- */

enum { SAMPLES_MAX = 7, HOLD_MOST = 3600 };
static const uint32_t sample_times_ms[SAMPLES_MAX - 1] = {100, 500, 1000, 2000, 5000, 10000};

struct sample {
    uint32_t ms; /* since all were idle */
    struct resident resident;
};

struct record {
    struct resident baseline;
    struct resident filled;
    struct message idle;
    unsigned count;
    struct sample samples[SAMPLES_MAX];
};

static struct message hear(enum stage stage)
{
    struct message message;
    channel_receive(channel, &message, sizeof message);
    if (message.stage != stage)
        bench_fail("the program is at stage %d instead of %d", (int)message.stage, (int)stage);
    return message;
}

static void answer(void)
{
    channel_send(channel, "", 1);
}

static void watch(pid_t pid, struct record *record)
{
    hear(STAGE_BASELINE);
    record->baseline = resident_of(pid);
    answer();
    hear(STAGE_FILLED);
    record->filled = resident_of(pid);
    answer();
    record->idle = hear(STAGE_IDLE);
    double start = bench_seconds();
    uint32_t last = plan.seconds * 1000;
    for (uint32_t ms = 0; ms < last;) {
        ms = record->count < SAMPLES_MAX - 1 ? sample_times_ms[record->count] : last;
        if (ms > last)
            ms = last;
        sleep_until(start + ms / 1000.0);
        record->samples[record->count++] = (struct sample){.ms = ms, .resident = resident_of(pid)};
    }
    answer();
}

static double mib_above(const struct record *record, uint64_t bytes)
{
    return ((double)bytes - (double)record->baseline.bytes) / MIB;
}

static void print_record(const struct record *r, char **argv)
{
    const struct sample *last = &r->samples[r->count - 1];
    double peak = mib_above(r, r->filled.bytes);
    double rest = mib_above(r, last->resident.bytes);
    double freed = (double)r->idle.freed / MIB;
    double returned = freed > 0 ? 100 * (peak - rest) / freed : 0;

    printf("idle threads=%s size=%s total=%s order=%s leave=%s hold=%s\n", argv[1], argv[2], argv[3], argv[5], argv[6],
           argv[7]);
    printf("baseline %.1f MiB; above it: peak %.1f MiB, freed %.1f MiB, left %.1f MiB\n",
           (double)r->baseline.bytes / MIB, peak, freed, (double)r->idle.left / MIB);
    for (unsigned i = 0; i < r->count; i++)
        printf("idle for %5.1f s: %8.1f MiB\n", r->samples[i].ms / 1000.0, mib_above(r, r->samples[i].resident.bytes));
    printf("returned: %.1f %% of the bytes freed; %.1f MiB rest, of it lazy %.1f MiB\n", returned, rest,
           (double)last->resident.lazy / MIB);

    printf("{\"program\": \"idle\", \"threads\": %u, \"size\": \"%s\", \"total_mib\": %s, \"order\": \"%s\", \"leave\": %s, "
           "\"hold\": %s, \"baseline_mib\": %.3f, \"peak_mib\": %.3f, \"freed_mib\": %.3f, \"left_mib\": %.3f, \"samples\": [",
           plan.threads, argv[2], argv[3], argv[5], argv[6], argv[7], (double)r->baseline.bytes / MIB, peak,
           freed, (double)r->idle.left / MIB);
    for (unsigned i = 0; i < r->count; i++)
        printf("%s{\"ms\": %u, \"mib\": %.3f, \"lazy_mib\": %.3f}", i > 0 ? ", " : "", r->samples[i].ms,
               mib_above(r, r->samples[i].resident.bytes), (double)r->samples[i].resident.lazy / MIB);
    printf("], \"rest_mib\": %.3f, \"returned_percent\": %.2f}\n", rest, returned);
    if (fflush(stdout) != 0)
        bench_fail("cannot write the result");
}

static void run_sampler(char **argv)
{
    struct record record = {.count = 0};
    char *arguments[] = {argv[0], argv[1], argv[2], argv[3], argv[4], argv[5], argv[6], argv[7], "", NULL};
    pid_t pid;
    channel = start_self(arguments, &pid);
    watch(pid, &record);
    end_self(channel, pid);
    print_record(&record, argv);
}

/* ---- the command line ---- */

static enum order order_of(const char *text)
{
    for (enum order i = 0; i < ORDERS; i++)
        if (strcmp(text, order_names[i]) == 0)
            return i;
    bench_fail("ORDER is '%s', must be lifo, fifo, random or remote", text);
}

static uint32_t size_of(const char *text)
{
    if (strcmp(text, "mixed") == 0)
        return MIXED;
    if (strcmp(text, "medium") == 0)
        return MEDIUM;
    return (uint32_t)bench_number("SIZE", text, SIZE_LEAST, 1 << 30);
}

int main(int argc, char **argv)
{
    if (argc < 5 || argc > 9) /* the ninth is the channel, when this program starts itself */
        bench_fail("usage: idle THREADS SIZE TOTAL_MIB SECONDS [ORDER] [LEAVE] [HOLD]");
    char *all[] = {argv[0], argv[1], argv[2], argv[3], argv[4], argc > 5 ? argv[5] : "fifo", argc > 6 ? argv[6] : "0",
                   argc > 7 ? argv[7] : "0"};
    plan.threads = (uint32_t)bench_number("THREADS", all[1], 1, MAX_TEAM);
    plan.size = size_of(all[2]);
    plan.total = bench_number("TOTAL_MIB", all[3], 1, 1 << 20) * MIB;
    plan.seconds = (uint32_t)bench_number("SECONDS", all[4], 1, 86400);
    plan.order = order_of(all[5]);
    plan.leave = (uint32_t)bench_number("LEAVE", all[6], 0, MILLION);
    plan.hold = (uint32_t)bench_number("HOLD", all[7], 0, HOLD_MOST);
    if (plan.order == REMOTE && plan.threads == 1)
        bench_fail("ORDER is 'remote', which needs two threads");
    if (argc == 9) {
        channel = channel_of(argv[8]);
        run_program();
    } else {
        run_sampler(all);
    }
    return 0;
}
