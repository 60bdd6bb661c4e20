/* stress.c - many threads at once, for the sanitizers: as larson, with births, deaths and forks.
 *
 *   stress [threads=N] [lives=N] [operations=N] [forks=N] [seed=N]
 *
 * Uses:    the library as one include; tap.h. Answers to hak_* only, since sanitizers own malloc.
 * Callers: `make check`, in builds with each sanitizer.
 *
 * Each of `threads` lines of threads replaces blocks in a table that all share, so that most blocks are
 * freed or resized by another thread than made them. After `operations` a thread dies and another takes its place,
 * `lives` times. Meanwhile the first thread forks, asks for statistics, checks, purges and sets options.
 */
#include "../../src/hakmem.c"

#include <sched.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../tap.h"

enum { SLOTS = 4096, LINES_MAX = 64 };

/* At the start of every block of 16 bytes or more. */
struct stamp {
    size_t size;
    uint64_t check;
};

static void *slot[SLOTS]; /* exchanged as a whole; who has a block out of it owns the block */
static uint64_t threads = 6, lives = 40, operations = 8000, forks = 20, seed;
static uint64_t done_lives, wrong, running;

static void *(*volatile do_malloc)(size_t) = hak_malloc;
static void *(*volatile do_calloc)(size_t, size_t) = hak_calloc;
static void *(*volatile do_realloc)(void *, size_t) = hak_realloc;
static void *(*volatile do_aligned)(size_t, size_t) = hak_aligned_alloc;
static void (*volatile do_free)(void *) = hak_free;

static uint64_t draw(uint64_t *random)
{
    *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *random >> 24;
}

static uint64_t check_of(size_t size)
{
    return size * UINT64_C(0x9e3779b97f4a7c15) ^ 0x5aa5;
}

static size_t draw_size(uint64_t *random)
{
    uint64_t kind = draw(random) % 1000;
    if (kind == 0) return 2097152 + draw(random) % 1000000;
    if (kind < 6) return 65537 + draw(random) % 300000;
    if (kind < 30) return 8193 + draw(random) % 57344;
    return 16 + draw(random) % (kind < 200 ? 8000 : 500);
}

static void stamp(void *p, size_t size)
{
    *(struct stamp *)p = (struct stamp){.size = size, .check = check_of(size)};
    ((char *)p)[size - 1] = 1;
    if (size < sizeof(struct stamp) + 1) *(struct stamp *)p = (struct stamp){.size = size, .check = check_of(size)};
}

static void look(const void *p)
{
    const struct stamp *s = p;
    if (s->check != check_of(s->size) || hak_usable_size(p) < s->size) add_relaxed(&wrong, 1);
}

static void *make(uint64_t *random)
{
    size_t size = draw_size(random);
    void *p;
    switch (draw(random) % 8) {
    case 0: p = do_calloc(1, size); break;
    case 1: p = do_aligned((size_t)16 << draw(random) % 9, size); break;
    default: p = do_malloc(size); break;
    }
    if (!p) add_relaxed(&wrong, 1);
    else stamp(p, size);
    return p;
}

static void *resize(void *p, uint64_t *random)
{
    size_t size = draw_size(random);
    void *q = do_realloc(p, size);
    if (!q) add_relaxed(&wrong, 1);
    else stamp(q, size);
    return q;
}

static void *live(void *argument)
{
    uint64_t random = (uint64_t)(uintptr_t)argument;
    for (uint64_t i = 0; i < operations; i++) {
        uint64_t at = draw(&random) % SLOTS;
        void *p = __atomic_exchange_n(&slot[at], NULL, __ATOMIC_ACQ_REL);
        if (p) look(p);
        if (p && draw(&random) % 4 == 0) {
            p = resize(p, &random);
        } else {
            do_free(p);
            p = make(&random);
        }
        do_free(__atomic_exchange_n(&slot[at], p, __ATOMIC_ACQ_REL));
    }
    add_relaxed(&done_lives, 1);
    return NULL;
}

/* One line of threads: each begins when the one before it has ended. */
static void *line(void *argument)
{
    uint64_t random = seed + (uintptr_t)argument * 7919;
    for (uint64_t i = 0; i < lives; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, live, (void *)(uintptr_t)draw(&random)) != 0) add_relaxed(&wrong, 1);
        else pthread_join(thread, NULL);
    }
    sub_relaxed(&running, 1);
    return NULL;
}

/* In a child all threads but this one are gone, and memory works. */
static void child(void)
{
    uint64_t random = seed + 1;
    void *p[200];
    for (int i = 0; i < 200; i++) p[i] = make(&random);
    for (int i = 0; i < 200; i++) look(p[i]), do_free(p[i]);
    for (int i = 0; i < SLOTS; i++) do_free(__atomic_exchange_n(&slot[i], NULL, __ATOMIC_ACQ_REL));
    _exit(hak_check() && load_relaxed(&wrong) == 0 ? 0 : 1);
}

static bool fork_once(void)
{
    int status = 1;
    pid_t pid = fork();
    if (pid == 0) child();
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* What a service thread does, and what only tests do. */
static void disturb(uint64_t *random)
{
    struct hak_stats stats;
    switch (draw(random) % 5) {
    case 0: (void)hak_purge(); break;
    case 1: (void)hak_option_set("purge_delay", (long)(draw(random) % 3) * 10); break;
    case 2: (void)hak_option_set("drain", draw(random) % 4 != 0); break;
    case 3: (void)hak_stats(&stats); break;
    default: if (!hak_check()) add_relaxed(&wrong, 1); break;
    }
}

static bool read_argument(const char *argument, const char *name, uint64_t *value)
{
    size_t length = strlen(name);
    if (strncmp(argument, name, length) != 0 || argument[length] != '=') return false;
    char *end;
    *value = strtoull(argument + length + 1, &end, 10);
    return *end == 0;
}

static void read_arguments(int argc, char **argv)
{
    if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed)) bail_out("no random seed");
    seed %= 1000000000;
    for (int i = 1; i < argc; i++) {
        if (read_argument(argv[i], "threads", &threads) || read_argument(argv[i], "lives", &lives)) continue;
        if (read_argument(argv[i], "operations", &operations) || read_argument(argv[i], "forks", &forks)) continue;
        if (!read_argument(argv[i], "seed", &seed)) bail_out("unknown argument: %s", argv[i]);
    }
    if (threads < 1 || threads > LINES_MAX) bail_out("threads: 1 to %d", LINES_MAX);
}

int main(int argc, char **argv)
{
    pthread_t thread[LINES_MAX];
    uint64_t good_forks = 0;
    read_arguments(argc, argv);
    diag("stress threads=%lu lives=%lu operations=%lu forks=%lu seed=%lu", threads, lives, operations, forks, seed);
    uint64_t random = seed;
    running = threads;
    for (uint64_t i = 0; i < threads; i++)
        if (pthread_create(&thread[i], NULL, line, (void *)(uintptr_t)(i + 1)) != 0) bail_out("pthread_create");
    for (uint64_t made = 0; made < forks || load_relaxed(&running) > 0;) {
        bool due = made < forks && load_relaxed(&done_lives) * forks >= made * threads * lives;
        if (due) good_forks += fork_once(), made++;
        else disturb(&random), sched_yield();
    }
    for (uint64_t i = 0; i < threads; i++) pthread_join(thread[i], NULL);
    for (int i = 0; i < SLOTS; i++) do_free(slot[i]);
    struct hak_stats stats = {.live = 1};
    (void)hak_stats(&stats);
    ok(load_relaxed(&done_lives) == threads * lives, "all_threads_lived_and_died");
    ok(load_relaxed(&wrong) == 0, "no_block_was_refused_or_overwritten");
    ok(good_forks == forks, "children_allocate_and_are_whole");
    ok(hak_check(), "heap_is_whole_afterwards");
    ok(stats.live == 0 && stats.mallocs == stats.frees, "all_memory_came_home");
    return done_testing();
}
