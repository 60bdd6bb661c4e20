/* thrash.c - what a program pays that frees memory and soon takes it again, against one that keeps it.
 *
 *     thrash MIB SIZE PAUSE_MS SECONDS [PAIRS]
 *
 * In each round the program takes MIB in blocks of SIZE bytes (`whole`: one block), works on all of it, frees all of
 * it, and computes for PAUSE_MS of processor time without memory. The program that it is compared with takes the
 * blocks once, and then only works and computes. Each runs for SECONDS, in a process of its own, PAIRS times (3 by
 * default) in turn.
 *
 * An allocator that gives memory back too early pays for it with page faults. Printed are, for both ways and each
 * round, processor time (user and system, of all threads) and page faults: the medians over the pairs, without the
 * first rounds, which take WARM_SECONDS; the ratio of the times; and how much longer the rounds lasted than they
 * ran. The work is WORK_PASSES multiplications for each eight bytes, several microseconds for a page, as a program
 * would that fills and reads its memory: of the ratio the calls of malloc and free alone make about 0.02 with
 * blocks of 1 KiB, and nothing with larger ones.
 */
#include "bench.h"

#include "process.h"
#include <stddef.h>

enum { MIB = 1 << 20, SIZE_LEAST = 16, WORK_PASSES = 4, PAIRS_MAX = 99 };
enum way { FREES, KEEPS, WAYS };
#define WARM_SECONDS 0.3
#define WARM_ROUNDS 3
#define PAGE 4096

static const char *const way_names[WAYS] = {"frees", "keeps"};

struct plan {
    uint64_t bytes;
    uint64_t size;
    double pause; /* seconds */
    double seconds;
};

struct cost {
    uint64_t rounds;
    double cpu; /* seconds, of all rounds; as wall and faults */
    double wall;
    uint64_t faults;
};

static struct plan plan;

/* ---- one process ---- */

static uint64_t *volatile sink; /* what is computed is used */
static uint64_t computed;

static void work_on(void *block)
{
    uint64_t *words = block;
    uint64_t count = plan.size / sizeof *words;
    uint64_t x = count;
    for (unsigned pass = 0; pass < WORK_PASSES; pass++)
        for (uint64_t i = 0; i < count; i++) {
            x = x * UINT64_C(6364136223846793005) + (pass == 0 ? i : words[i]);
            words[i] = x;
        }
}

static void compute(double seconds)
{
    double end = cpu_seconds(CLOCK_THREAD_CPUTIME_ID) + seconds;
    sink = &computed;
    while (cpu_seconds(CLOCK_THREAD_CPUTIME_ID) < end)
        for (unsigned i = 0; i < 1000; i++)
            computed += bench_random(&computed);
}

static void take_all(void **blocks, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        blocks[i] = bench_malloc(plan.size);
        if (blocks[i] == NULL)
            bench_fail("malloc(%llu) returned NULL: %s", (unsigned long long)plan.size, strerror(errno));
    }
}

static void play_round(enum way way, void **blocks, uint64_t count)
{
    if (way == FREES)
        take_all(blocks, count);
    for (uint64_t i = 0; i < count; i++)
        work_on(blocks[i]);
    if (way == FREES)
        for (uint64_t i = 0; i < count; i++)
            bench_free(blocks[i]);
    compute(plan.pause);
}

static uint64_t page_faults(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)usage.ru_minflt + (uint64_t)usage.ru_majflt;
}

/* Plays rounds for some seconds, and some at least. */
static struct cost play(enum way way, void **blocks, uint64_t count, double seconds, uint64_t least)
{
    double start = bench_seconds();
    struct cost cost = {.cpu = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID), .faults = page_faults()};
    for (; bench_seconds() < start + seconds || cost.rounds < least; cost.rounds++)
        play_round(way, blocks, count);
    cost.cpu = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - cost.cpu;
    cost.wall = bench_seconds() - start;
    cost.faults = page_faults() - cost.faults;
    return cost;
}

static void run_program(enum way way, int channel)
{
    uint64_t count = plan.bytes / plan.size;
    void **blocks = own_memory(count * sizeof *blocks);
    if (way == KEEPS)
        take_all(blocks, count);
    (void)play(way, blocks, count, WARM_SECONDS, WARM_ROUNDS);
    struct cost cost = play(way, blocks, count, plan.seconds, WARM_ROUNDS);
    channel_send(channel, &cost, sizeof cost);
}

/* ---- the comparison ---- */

struct figures {
    double cpu[WAYS]; /* seconds of a round */
    double faults[WAYS];
    double ratio; /* of the times */
    double stretch; /* wall time ÷ processor time where memory is freed: 1 where the machine does nothing else */
};

static struct cost measure(enum way way, char **argv)
{
    struct cost cost;
    char *arguments[] = {argv[0], argv[1], argv[2], argv[3], argv[4], (char *)way_names[way], "", NULL};
    pid_t pid;
    int channel = start_self(arguments, &pid);
    channel_receive(channel, &cost, sizeof cost);
    end_self(channel, pid);
    return cost;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of the members `at` of all pairs. Sorts nothing but a copy. */
static double median(const struct figures *pairs, unsigned count, size_t at)
{
    double values[PAIRS_MAX];
    for (unsigned i = 0; i < count; i++)
        memcpy(&values[i], (const char *)&pairs[i] + at, sizeof values[i]);
    qsort(values, count, sizeof *values, compare_doubles);
    return count % 2 == 1 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static void print_figures(const struct figures *pairs, unsigned count, char **argv)
{
    double pages = (double)plan.bytes / PAGE;
    double cpu[WAYS], faults[WAYS], share[WAYS];
    for (enum way w = 0; w < WAYS; w++) {
        cpu[w] = 1e3 * median(pairs, count, offsetof(struct figures, cpu) + w * sizeof(double));
        faults[w] = median(pairs, count, offsetof(struct figures, faults) + w * sizeof(double));
        share[w] = 100 * faults[w] / pages;
    }
    double ratio = median(pairs, count, offsetof(struct figures, ratio));
    double stretch = median(pairs, count, offsetof(struct figures, stretch));
    printf("thrash mib=%s size=%s pause=%s seconds=%s, medians of %u\n", argv[1], argv[2], argv[3], argv[4], count);
    for (enum way w = 0; w < WAYS; w++)
        printf("%s: %.3f ms and %.2f page faults a round, %.2f %% of its pages\n", way_names[w], cpu[w], faults[w], share[w]);
    printf("ratio of the times: %.3f\n", ratio);
    printf("wall time of a round ÷ its processor time: %.2f\n", stretch);
    printf("{\"program\": \"thrash\", \"mib\": %s, \"size\": \"%s\", \"pause_ms\": %s, \"pairs\": %u, \"frees_ms\": %.4f, "
           "\"keeps_ms\": %.4f, \"frees_faults\": %.3f, \"keeps_faults\": %.3f, \"frees_fault_percent\": %.3f, "
           "\"stretch\": %.3f, \"ratio\": %.4f, \"ratios\": [",
           argv[1], argv[2], argv[3], count, cpu[FREES], cpu[KEEPS], faults[FREES], faults[KEEPS], share[FREES], stretch,
           ratio);
    for (unsigned i = 0; i < count; i++)
        printf("%s%.4f", i > 0 ? ", " : "", pairs[i].ratio);
    printf("]}\n");
    if (fflush(stdout) != 0)
        bench_fail("cannot write the result");
}

/* Every other pair begins with the other way. */
static void run_comparison(unsigned count, char **argv)
{
    struct figures pairs[PAIRS_MAX];
    for (unsigned i = 0; i < count; i++) {
        for (unsigned turn = 0; turn < WAYS; turn++) {
            enum way way = (i + turn) % WAYS;
            struct cost cost = measure(way, argv);
            pairs[i].cpu[way] = cost.cpu / (double)cost.rounds;
            pairs[i].faults[way] = (double)cost.faults / (double)cost.rounds;
            if (way == FREES)
                pairs[i].stretch = cost.wall / cost.cpu;
        }
        pairs[i].ratio = pairs[i].cpu[FREES] / pairs[i].cpu[KEEPS];
    }
    print_figures(pairs, count, argv);
}

int main(int argc, char **argv)
{
    if (argc < 5 || argc > 7) /* the seventh is the channel, when this program starts itself */
        bench_fail("usage: thrash MIB SIZE PAUSE_MS SECONDS [PAIRS]");
    plan.bytes = bench_number("MIB", argv[1], 1, 1 << 16) * MIB;
    plan.size = strcmp(argv[2], "whole") == 0 ? plan.bytes : bench_number("SIZE", argv[2], SIZE_LEAST, plan.bytes);
    plan.pause = (double)bench_number("PAUSE_MS", argv[3], 0, 60000) / 1e3;
    plan.seconds = (double)bench_number("SECONDS", argv[4], 1, 3600);
    if (argc == 7)
        run_program(strcmp(argv[5], way_names[KEEPS]) == 0 ? KEEPS : FREES, channel_of(argv[6]));
    else
        run_comparison(argc == 6 ? (unsigned)bench_number("PAIRS", argv[5], 1, PAIRS_MAX) : 3, argv);
    return 0;
}
