/* resident.c - one long-lived process of the soak: does everything at once, looks at every block, watches its size.
 *
 *   resident SECONDS [SEED]
 *
 * It lives in cycles of CYCLE_S seconds. In each, lines of threads are born and die one after the other, and
 * replace blocks in a table that all share, so that most blocks are freed by another thread than made them. How large
 * the blocks are and how many live drifts from cycle to cycle. Meanwhile the first thread forks, and children look at
 * all blocks, free them and allocate; it changes options, purges, trims and reads statistics; a timer interrupts
 * everybody. Then all blocks are freed and nothing is called for QUIET_S seconds, and what the process holds is noted.
 *
 * TAP. The size has a slope when the quiet ends of the last quarter of all cycles hold more than those of the first
 * quarter, in the median, by more than a tenth and the 8 MiB that a process of one thread may keep. The first cycle is
 * not counted.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "block.h"

enum { SLOTS = 16384, LINES = 6, CYCLE_S = 25, QUIET_S = 5, LIFE = 20000, CYCLES_MAX = 100000 };

extern bool hak_check(void) __attribute__((weak));
extern size_t hak_purge(void) __attribute__((weak));
extern int hak_option_set(const char *name, long value) __attribute__((weak));

static struct block *_Atomic slot[SLOTS];
static _Atomic uint64_t operations, births, refused, damaged;
static atomic_bool pause_all;
static uint64_t seed, forks, bad_children;
static uint32_t slots_now, small_now, large_now; /* of this cycle */
static size_t quiet_kib[CYCLES_MAX];

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Without an allocation, which would be a visit, and could give back what it should find. */
static size_t resident_kib(void)
{
    char text[128] = "";
    size_t pages = 0;
    int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (file < 0 || read(file, text, sizeof(text) - 1) <= 0 || sscanf(text, "%*s %zu", &pages) != 1)
        bail_out("/proc/self/statm cannot be read");
    close(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE) / 1024;
}

static size_t draw_size(struct random *r)
{
    uint32_t kind = random_below(r, 4096);
    if (kind == 0) return (1 << 20) + random_below(r, 16 << 20);
    if (kind < 16) return 65536 + random_below(r, 400000);
    if (kind < 200) return BLOCK_MIN + random_below(r, large_now);
    return BLOCK_MIN + random_below(r, small_now);
}

static void turn(struct random *r)
{
    uint32_t at = random_below(r, slots_now);
    struct block *b = atomic_exchange(&slot[at], NULL);
    if (b && !block_is_whole(b)) damaged++;
    if (b && random_below(r, 5) == 0) {
        b = block_resize(b, draw_size(r));
    } else {
        do_free(b);
        b = block_make(r, draw_size(r));
    }
    if (!b) refused++;
    if (!block_free(atomic_exchange(&slot[at], b))) damaged++;
}

static void *live(void *argument)
{
    struct random r = random_stream(seed, (uint64_t)(uintptr_t)argument);
    for (unsigned i = 0; i < LIFE && !atomic_load_explicit(&pause_all, memory_order_relaxed); i++) {
        turn(&r);
        atomic_fetch_add_explicit(&operations, 1, memory_order_relaxed);
    }
    return NULL;
}

/* One line of threads: each begins when the one before it has ended. */
static void *line(void *argument)
{
    (void)argument;
    while (!pause_all) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, live, (void *)(uintptr_t)atomic_fetch_add(&births, 1)) != 0) refused++;
        else pthread_join(thread, NULL);
    }
    return NULL;
}

static void clear(void)
{
    for (unsigned i = 0; i < SLOTS; i++)
        if (!block_free(atomic_exchange(&slot[i], NULL))) damaged++;
}

/* All threads but this one are gone, and what they held with them; what is in the table is here, and whole. */
_Noreturn static void child(void)
{
    struct random r = random_stream(seed, births + 1);
    damaged = refused = 0;
    signal(SIGALRM, SIG_DFL); /* who hangs is ended */
    alarm(300);
    for (unsigned i = 0; i < 2000; i++) turn(&r);
    clear();
    _exit(damaged == 0 && refused == 0 ? 0 : 1);
}

static void fork_once(void)
{
    int status = 1;
    pid_t pid = fork();
    if (pid == 0) child();
    forks++;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) bad_children++;
}

static void disturb(struct random *r)
{
    switch (random_below(r, 6)) {
    case 0: (void)hak_purge(); break;
    case 1: (void)malloc_trim(0); break;
    case 2: (void)hak_option_set("purge_delay", (long)random_below(r, 3) * 500); break;
    case 3: (void)mallinfo2(); break;
    case 4: if (!hak_check()) damaged++; break;
    default: fork_once(); break;
    }
    struct timespec pause = {.tv_nsec = 20000000};
    nanosleep(&pause, NULL);
}

static void on_alarm(int number)
{
    (void)number;
}

static void interrupt_every_ms(long ms)
{
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    struct itimerval timer = {.it_interval.tv_usec = ms * 1000, .it_value.tv_usec = ms * 1000};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
}

static void drift(struct random *r)
{
    slots_now = SLOTS >> random_below(r, 6);
    small_now = 64u << random_below(r, 5);
    large_now = 2048u << random_below(r, 6);
}

static void cycle(struct random *r)
{
    pthread_t thread[LINES];
    double end = now_s() + CYCLE_S;
    drift(r);
    pause_all = false;
    interrupt_every_ms(3);
    for (unsigned i = 0; i < LINES; i++)
        if (pthread_create(&thread[i], NULL, line, NULL) != 0) bail_out("pthread_create");
    while (now_s() < end) disturb(r);
    pause_all = true;
    for (unsigned i = 0; i < LINES; i++) pthread_join(thread[i], NULL);
    interrupt_every_ms(0);
    clear();
    (void)hak_option_set("purge_delay", 1000);
}

static int by_size(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

static size_t median_kib(size_t from, size_t count)
{
    size_t copy[count];
    memcpy(copy, quiet_kib + from, sizeof(copy));
    qsort(copy, count, sizeof(copy[0]), by_size);
    return copy[count / 2];
}

static void judge_slope(size_t cycles)
{
    size_t quarter = cycles / 4;
    if (quarter == 0) {
        diag("too few cycles for a slope: %zu", cycles);
        return;
    }
    size_t before = median_kib(0, quarter), after = median_kib(cycles - quarter, quarter);
    ok(after <= before + before / 10 + 8192, "memory_has_no_slope # quiet ends hold %zu KiB at first, %zu KiB at last",
       before, after);
}

int main(int argc, char **argv)
{
    if (argc < 2) bail_out("usage: resident SECONDS [SEED]");
    if (!hak_check) bail_out("hakmem is not in this process");
    double begin = now_s(), seconds = atof(argv[1]);
    seed = argc > 2 ? strtoull(argv[2], NULL, 10) : random_seed();
    struct random r = random_stream(seed, UINT32_MAX);
    size_t cycles = 0;
    do {
        cycle(&r);
        sleep(QUIET_S);
        size_t kib = resident_kib();
        if (cycles > 0 && cycles <= CYCLES_MAX) quiet_kib[cycles - 1] = kib;
        diag("%.0f s: %llu operations, %llu threads born, %llu forks, %zu KiB when quiet", now_s() - begin,
             (unsigned long long)operations, (unsigned long long)births, (unsigned long long)forks, kib);
        cycles++;
    } while (now_s() - begin < seconds && cycles < CYCLES_MAX);
    ok(operations > 0 && births > LINES && forks > 0, "everything_happened # %llu operations, %llu births, %llu forks",
       (unsigned long long)operations, (unsigned long long)births, (unsigned long long)forks);
    ok(damaged == 0, "no_block_was_damaged # %llu", (unsigned long long)damaged);
    ok(refused == 0, "no_call_was_refused # %llu", (unsigned long long)refused);
    ok(bad_children == 0, "no_child_failed # %llu", (unsigned long long)bad_children);
    ok(hak_check(), "the_heap_is_whole");
    judge_slope(cycles - 1);
    return done_testing();
}
