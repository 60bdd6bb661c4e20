/* fork_handlers_test.c - others' fork handlers do what handlers do: allocate, wait for threads that allocate, start
 * threads. Wherever they stand in the order.
 *
 * One set is registered before any constructor has run, or, where the allocator is in the program, by a library's
 * constructor; one in main.
 * Each set has a worker thread, which its prepare handler ends and joins, and which the other two start anew: so
 * do libraries with a pool of threads.
 */
#include <stdatomic.h>

#include "torture.h"

struct set {
    const char *name;
    pthread_t worker;
    bool has_worker;
    atomic_bool stop;
    int prepared, in_parent, in_child;
    unsigned char *block; /* from one handler to the next */
};

static struct set early = {.name = "early"};
static struct set late = {.name = "late"};
static bool active; /* nothing happens in forks of others */
static atomic_int bad;

static void *work(void *argument)
{
    struct set *set = argument;
    for (unsigned i = 0; !atomic_load(&set->stop); i++)
        if (!allocator_works(i)) atomic_fetch_add(&bad, 1);
    return NULL;
}

static void start_worker(struct set *set)
{
    atomic_store(&set->stop, false);
    set->worker = start_thread(work, set);
    set->has_worker = true;
}

static void end_worker(struct set *set)
{
    if (!set->has_worker) return;
    atomic_store(&set->stop, true);
    pthread_join(set->worker, NULL);
    set->has_worker = false;
}

static void pass_block(struct set *set, size_t size)
{
    if (!give_marked(set->block) || !allocator_works((unsigned)size)) atomic_fetch_add(&bad, 1);
    set->block = marked_block(size);
}

static void prepare(struct set *set)
{
    if (!active) return;
    set->prepared++;
    pass_block(set, 100 + (size_t)set->prepared * 37 % 5000);
    end_worker(set); /* it may be in the middle of a call */
}

static void in_parent(struct set *set)
{
    if (!active) return;
    set->in_parent++;
    pass_block(set, 1000);
    start_worker(set);
}

/* In the child the worker works, too, and is waited for. */
static void in_child(struct set *set)
{
    if (!active) return;
    alarm(CHILD_SECONDS);
    set->in_child++;
    pass_block(set, 70000);
    start_worker(set);
    end_worker(set);
}

static void early_prepare(void) { prepare(&early); }
static void early_parent(void) { in_parent(&early); }
static void early_child(void) { in_child(&early); }
static void late_prepare(void) { prepare(&late); }
static void late_parent(void) { in_parent(&late); }
static void late_child(void) { in_child(&late); }

#ifdef TORTURE_LINKED
extern void (*early_handlers[3])(void);

static void register_early(void)
{
    early_handlers[0] = early_prepare;
    early_handlers[1] = early_parent;
    early_handlers[2] = early_child;
}
#else
static void register_early(void)
{
    if (pthread_atfork(early_prepare, early_parent, early_child) != 0) _exit(9);
}
#endif

#if !defined(TORTURE_STATIC) && !defined(TORTURE_LINKED)
static void before_constructors(int argc, char **argv, char **environment)
{
    (void)argc, (void)argv, (void)environment;
    register_early();
}
__attribute__((section(".preinit_array"), used)) static void (*const preinit)(int, char **, char **) = before_constructors;
static const bool registers_in_main = false;
#else
static const bool registers_in_main = true; /* in a static program nobody comes before the library */
#endif

static int child(int number)
{
    alarm(CHILD_SECONDS);
    if (early.in_child != 1 || late.in_child != 1 || atomic_load(&bad) != 0) return 2;
    if (!churn_empty() || !allocator_works((unsigned)number)) return 3;
    return hak_check() ? 0 : 4;
}

int main(int argc, char **argv)
{
    start_test(argc, argv);
    if (!runs_on_hakmem()) return done_testing();
    if (registers_in_main) register_early();
    if (pthread_atfork(late_prepare, late_parent, late_child) != 0) bail_out("pthread_atfork");
    active = true;
    start_worker(&early);
    start_worker(&late);
    churn_start(2);
    int forks = times(30, 10000);
    for (int i = 0; i < forks; i++) {
        pid_t pid = fork();
        if (pid < 0) bail_out("fork %d: errno %d", i, errno);
        if (pid == 0) _exit(child(i));
        int status = status_of(pid);
        expect(succeeded(status, "child"), "fork %d", i);
    }
    active = false;
    claim("children_are_whole_whatever_the_handlers_of_others_do");
    end_worker(&early);
    end_worker(&late);
    expect(early.prepared == forks && late.prepared == forks, "%d and %d prepared", early.prepared, late.prepared);
    expect(early.in_parent == forks && late.in_parent == forks, "%d and %d in the parent", early.in_parent, late.in_parent);
    expect(give_marked(early.block) && give_marked(late.block), "the last blocks");
    expect(churn_stop() && atomic_load(&bad) == 0, "bad blocks");
    claim("handlers_ran_in_both_orders_and_waited_for_threads");
    ok(hak_check(), "the_heap_is_sound_at_the_end");
    return done_testing();
}
