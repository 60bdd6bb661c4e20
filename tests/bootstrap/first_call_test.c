/* first_call_test.c - every entry point as the first allocator call that the process makes.
 *
 * Without arguments: runs itself once per entry point and place. With arguments ENTRY PLACE: makes that
 * call in that place (.preinit_array, constructor of priority 101, first statement of main, exit
 * handler), then a workload, and exits 0. Before .preinit_array come only libc's own start and, in a
 * dynamic program, the dynamic linker, which use malloc and calloc.
 */
#include <pthread.h>

#include "bootstrap/common.h"

extern __attribute__((weak)) void cfree(void *p);
extern __attribute__((weak)) void free_sized(void *p, size_t size);
extern __attribute__((weak)) void *__libc_malloc(size_t size);
extern __attribute__((weak)) void *operator_new(size_t size) __asm__("_Znwm");

static bool usable_block(void *p, size_t size)
{
    if (!p || !hak_owns(p) || malloc_usable_size(p) < size) return false;
    memset(p, 0x5a, size);
    give(p);
    return true;
}

static bool use_malloc(void) { return usable_block(take(100), 100); }
static bool use_malloc_zero(void) { return usable_block(take(0), 0); }
static bool use_malloc_large(void) { return usable_block(take(70 << 20), 70 << 20); }
static bool use_malloc_refused(void) { return take(SIZE_MAX - 100) == NULL && errno == ENOMEM; }
static bool use_calloc(void) { return usable_block(take_zeroed(10, 10), 100); }
static bool use_realloc_null(void) { return usable_block(resize(NULL, 100), 100); }
static bool use_realloc_null_zero(void) { return usable_block(resize(NULL, 0), 0); }
static bool use_realloc(void)
{
    void *p = resize(NULL, 10);
    return p && usable_block(resize(p, 100000), 100000);
}
static bool use_reallocarray(void) { return usable_block(reallocarray(NULL, 10, 10), 100); }
static bool use_free_null(void) { return give(NULL), true; }
static bool use_cfree_null(void) { return cfree && (cfree(NULL), true); }
static bool use_free_sized_null(void) { return free_sized && (free_sized(NULL, 10), true); }
static bool use_posix_memalign(void)
{
    void *p = NULL;
    return posix_memalign(&p, 4096, 100) == 0 && usable_block(p, 100);
}
static bool use_posix_memalign_refused(void)
{
    void *p = NULL;
    return posix_memalign(&p, 3, 100) == EINVAL && p == NULL;
}
static bool use_aligned_alloc(void) { return usable_block(aligned_alloc(64, 128), 128); }
static bool use_memalign(void) { return usable_block(memalign(65536, 100), 100); }
static bool use_valloc(void) { return usable_block(valloc(100), 100); }
static bool use_pvalloc(void) { return usable_block(pvalloc(100), 4096); }
static bool use_usable_size_null(void) { return malloc_usable_size(NULL) == 0; }
static bool use_malloc_trim(void)
{
    int released = malloc_trim(0);
    return released == 0 || released == 1;
}
static bool use_mallinfo2(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.arena >= m.uordblks;
}
static bool use_mallopt(void) { return mallopt(M_ARENA_MAX, 1) == 1; }
static bool use_strdup(void) { return usable_block(strdup("first"), 6); }
static bool use_libc_malloc(void) { return __libc_malloc && usable_block(__libc_malloc(100), 100); }
static bool use_operator_new(void) { return operator_new && usable_block(operator_new(100), 100); }
static bool use_setenv(void) { return setenv("FIRST_CALL", "yes", 1) == 0 && strcmp(getenv("FIRST_CALL"), "yes") == 0; }
static bool use_fopen(void)
{
    FILE *f = fopen("/proc/self/maps", "r");
    return f && fclose(f) == 0;
}
static void *thread_body(void *unused)
{
    static int done;
    (void)unused;
    return usable_block(take(100), 100) ? &done : NULL;
}
static bool use_pthread_create(void)
{
    pthread_t thread;
    void *result = NULL;
    return pthread_create(&thread, NULL, thread_body, NULL) == 0 && pthread_join(thread, &result) == 0 && result;
}
static bool use_fork(void)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) _exit(usable_block(take(100), 100) ? 0 : 1);
    return waitpid(pid, &status, 0) == pid && exited_well(status);
}
static bool use_hak_malloc(void) { return usable_block(hak_malloc(100), 100); }
static bool use_hak_owns(void) { return !hak_owns(&errno) && !hak_owns(NULL); }
static bool use_hak_usable_size(void) { return hak_usable_size(NULL) == 0 && hak_usable_size(&errno) == 0; }
static bool use_hak_purge(void) { return hak_purge() < SIZE_MAX; }
static bool use_hak_stats(void)
{
    struct hak_stats s;
    return hak_stats(&s) == 0 && s.live <= s.mapped;
}
static bool use_hak_check(void) { return hak_check(); }
static bool use_hak_option(void)
{
    long value = -1;
    return hak_option_get("purge_delay", &value) == 0 && value == 1000 && hak_option_set("purge_delay", 1000) == 0;
}
static bool use_hak_version(void) { return hak_version()[0] != 0 && hak_build_id()[0] != 0; }

struct entry {
    const char *name;
    bool (*use)(void);
};

#define ENTRY(name) {#name, use_##name}
static const struct entry entries[] = {
    ENTRY(malloc), ENTRY(malloc_zero), ENTRY(malloc_large), ENTRY(malloc_refused), ENTRY(calloc),
    ENTRY(realloc_null), ENTRY(realloc_null_zero), ENTRY(realloc), ENTRY(reallocarray), ENTRY(free_null),
    ENTRY(cfree_null), ENTRY(free_sized_null), ENTRY(posix_memalign), ENTRY(posix_memalign_refused),
    ENTRY(aligned_alloc), ENTRY(memalign), ENTRY(valloc), ENTRY(pvalloc), ENTRY(usable_size_null),
    ENTRY(malloc_trim), ENTRY(mallinfo2), ENTRY(mallopt), ENTRY(strdup), ENTRY(libc_malloc),
    ENTRY(operator_new), ENTRY(setenv), ENTRY(fopen), ENTRY(pthread_create), ENTRY(fork),
    ENTRY(hak_malloc), ENTRY(hak_owns), ENTRY(hak_usable_size), ENTRY(hak_purge), ENTRY(hak_stats),
    ENTRY(hak_check), ENTRY(hak_option), ENTRY(hak_version)};
enum { ENTRY_COUNT = sizeof entries / sizeof entries[0] };

static const char *const places[] = {"preinit", "constructor", "main", "exit"};
enum { PLACE_COUNT = sizeof places / sizeof places[0] };

static bool made; /* the call was made, and was right */

static void use(const struct entry *entry)
{
    made = entry->use();
    if (!made) complain(entry->name);
}

static void arrive(const char *place, int argc, char **argv)
{
    if (argc != 3 || strcmp(argv[2], place) != 0) return;
    for (int i = 0; i < ENTRY_COUNT; i++)
        if (strcmp(argv[1], entries[i].name) == 0) use(&entries[i]);
}

static void before_constructors(int argc, char **argv, char **environment)
{
    (void)environment;
    arrive("preinit", argc, argv);
}
__attribute__((section(".preinit_array"), used)) static void (*const preinit)(int, char **, char **) = before_constructors;

/* As a constructor of that priority; gcc's link-time optimiser calls those without arguments. */
static void early_constructor(int argc, char **argv, char **environment)
{
    (void)environment;
    arrive("constructor", argc, argv);
}
__attribute__((section(".init_array.00101"), used)) static void (*constructor)(int, char **, char **) = early_constructor;

static char **exit_arguments;

static void exit_handler(void)
{
    arrive("exit", 3, exit_arguments);
    if (!made) _exit(1);
    if (!allocator_works(5)) _exit(4);
}

static int child(int argc, char **argv)
{
    arrive("main", argc, argv);
    if (strcmp(argv[2], "exit") == 0) {
        exit_arguments = argv;
        return atexit(exit_handler);
    }
    if (!made) return 1;
    for (unsigned i = 0; i < 10; i++)
        if (!allocator_works(i)) return 4;
    return hak_check() ? 0 : 5;
}

int main(int argc, char **argv)
{
    if (argc == 3) {
        alarm(HANG_SECONDS);
        return child(argc, argv);
    }
    if (!runs_on_hakmem()) return done_testing();
    for (int p = 0; p < PLACE_COUNT; p++) {
        for (int e = 0; e < ENTRY_COUNT; e++) {
            int status = run_self_with(entries[e].name, places[p]);
            expect(succeeded(status, entries[e].name), "%s in %s", entries[e].name, places[p]);
        }
        claim("every_entry_point_can_be_the_first_call_in_%s", places[p]);
    }
    ok(!exited_well(run_self_with("no_such_entry", "main")), "a_call_that_is_not_made_is_noticed");
    return done_testing();
}
