/* known.c - holds known blocks, in as many threads as its argument says, and obeys lines on its standard input:
 *
 *   stats           prints the ten figures of hak_stats()
 *   option NAME     prints its value
 *   free            frees all that main holds
 *   work            makes so many calls that the slow side is visited and looks at the clock
 *   threads         has 40 threads make and free blocks, each other's too, and end
 *   sparse SIZE     makes blocks of so many bytes, frees all but each tenth, gives their pages back, and prints the
 *                   bytes of those that are left
 *   fork            makes a child that sleeps, and prints its process id
 *   leave           ends the first thread; another one obeys from now on
 *   exec            runs the program anew
 *
 * Each answer is one line, written without a heap: between two commands nothing changes. */
#include <hakmem/hakmem.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCKS = 40000, THREAD_BLOCKS = 1000, GIVEN = 500, THREADS_MAX = 64 };

static void *(*volatile get)(size_t) = malloc;
static void (*volatile put)(void *) = free;
static void *block[BLOCKS];
static void *large[4];
static void *given[THREADS_MAX][GIVEN]; /* main's, which threads free */
static pthread_barrier_t ready;

static void answer(const char *text)
{
    if (write(STDOUT_FILENO, text, strlen(text)) < 0) _exit(1);
}

static void *hold(void *mine)
{
    void *p[THREAD_BLOCKS];
    void **from_main = mine;
    for (int i = 0; i < THREAD_BLOCKS; i++) p[i] = get(100 + (size_t)(i & 255));
    for (int i = 0; i < THREAD_BLOCKS; i += 2) put(p[i]);
    for (int i = 0; i < GIVEN; i++) put(from_main[i]);
    pthread_barrier_wait(&ready);
    pause();
    for (int i = 1; i < THREAD_BLOCKS; i += 2) put(p[i]);
    return NULL;
}

/* Small ones of all sizes; a large one half of which is touched, and read further on; mappings, live and kept. */
static void fill(void)
{
    for (int i = 0; i < BLOCKS; i++) {
        size_t size = (size_t)i % 3000 + 1;
        block[i] = get(size);
        memset(block[i], 1, size);
    }
    for (int i = 0; i < BLOCKS; i += 5) {
        put(block[i]);
        block[i] = NULL;
    }
    large[0] = get(20 << 20);
    memset(large[0], 1, 5 << 20);
    if (((volatile char *)large[0])[15 << 20] == 2) answer("");
    large[1] = get(200 << 20);
    memset(large[1], 1, 1 << 20);
    large[2] = get(70000);
    memset(large[2], 1, 70000);
    large[3] = get(30 << 20);
    memset(large[3], 1, 1 << 20);
    put(large[3]);
    large[3] = NULL;
}

static void tell_stats(void)
{
    char line[400];
    struct hak_stats s;
    hak_stats(&s);
    snprintf(line, sizeof(line), "%zu %zu %zu %zu %zu %zu %zu %zu %zu %zu\n", s.live, s.cached, s.free_in_slabs, s.dirty,
             s.purged, s.mapped, s.records, s.mallocs, s.frees, s.threads);
    answer(line);
}

static void tell_option(const char *name)
{
    char line[64];
    long value = -1;
    hak_option_get(name, &value);
    snprintf(line, sizeof(line), "%ld\n", value);
    answer(line);
}

static void free_all(void)
{
    for (int i = 0; i < BLOCKS; i++) put(block[i]);
    for (int i = 0; i < 4; i++) put(large[i]);
    answer("done\n");
}

static void work(void)
{
    static void *some[4096];
    for (int round = 0; round < 8; round++) {
        for (int i = 0; i < 4096; i++) some[i] = get(64);
        for (int i = 0; i < 4096; i++) put(some[i]);
        for (int i = 0; i < 128; i++) put(get(100000));
    }
    answer("done\n");
}

static void *shared[40 * 50];

/* Leaves blocks for the others, frees what others left, in classes of which slabs change hands. */
static void *come_and_go(void *first)
{
    void **mine = first;
    for (int i = 0; i < 50; i++) mine[i] = get((size_t)(i % 5) * 700 + 300);
    for (int i = 0; i < 40 * 50; i += 3) put(__atomic_exchange_n(&shared[i], NULL, __ATOMIC_ACQ_REL));
    for (int i = 0; i < 2000; i++) put(get((size_t)(i % 3) * 500 + 200));
    return NULL;
}

static void run_threads(void)
{
    for (int round = 0; round < 4; round++) {
        pthread_t thread[10];
        for (int i = 0; i < 10; i++)
            if (pthread_create(&thread[i], NULL, come_and_go, &shared[(round * 10 + i) * 50]) != 0) _exit(1);
        for (int i = 0; i < 10; i++) pthread_join(thread[i], NULL);
    }
    answer("done\n");
}

static void make_sparse(size_t size)
{
    enum { COUNT = 20000, STEP = 10 };
    static void *many[COUNT];
    char line[32];
    size_t left = 0;
    for (int i = 0; i < COUNT; i++) {
        many[i] = get(size);
        memset(many[i], 1, size);
    }
    for (int i = 0; i < COUNT; i++) {
        if (i % STEP == 0)
            left += hak_usable_size(many[i]);
        else
            put(many[i]);
    }
    hak_purge();
    snprintf(line, sizeof(line), "%zu\n", left);
    answer(line);
}

static void make_child(void)
{
    char line[32];
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    snprintf(line, sizeof(line), "%d\n", (int)child);
    answer(line);
}

static void obey(void);

static void *obey_on(void *unused)
{
    answer("done\n");
    obey();
    exit(0);
    return unused;
}

static void leave(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, obey_on, NULL) != 0) _exit(1);
    pthread_exit(NULL);
}

static bool next_line(char *line, size_t size)
{
    size_t length = 0;
    while (length + 1 < size && read(STDIN_FILENO, line + length, 1) == 1) {
        if (line[length] == '\n') {
            line[length] = 0;
            return true;
        }
        length++;
    }
    return false;
}

static void obey(void)
{
    char line[64];
    while (next_line(line, sizeof(line))) {
        if (strcmp(line, "stats") == 0) tell_stats();
        if (strncmp(line, "option ", 7) == 0) tell_option(line + 7);
        if (strcmp(line, "free") == 0) free_all();
        if (strcmp(line, "work") == 0) work();
        if (strcmp(line, "threads") == 0) run_threads();
        if (strncmp(line, "sparse ", 7) == 0) make_sparse((size_t)atol(line + 7));
        if (strcmp(line, "fork") == 0) make_child();
        if (strcmp(line, "leave") == 0) leave();
        if (strcmp(line, "exec") == 0) execl("/proc/self/exe", "known", "0", NULL);
    }
}

int main(int argc, char **argv)
{
    unsigned threads = argc > 1 ? (unsigned)atoi(argv[1]) : 0;
    fill();
    pthread_barrier_init(&ready, NULL, threads + 1);
    for (unsigned i = 0; i < threads; i++) {
        pthread_t thread;
        for (int j = 0; j < GIVEN; j++) given[i][j] = get(48);
        if (pthread_create(&thread, NULL, hold, given[i]) != 0) return 1;
    }
    pthread_barrier_wait(&ready);
    answer("ready\n");
    obey();
    return 0;
}
