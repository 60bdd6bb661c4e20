/* world.c - the fuzz targets heap (one thread) and threads (up to four): an input is a program of calls on a library
 * that nobody has called before. See world.h.
 *
 *   heap     settings, operation, operation ...
 *   threads  settings, step, step ...; a step: the number of an actor, and what it does: a turn of operations, or
 *            its end; or a race, in which each actor has a piece of the input and all work at once
 *
 * Uses: library.h, calls.c, settings.c. Locks: none; semaphores give the turn to an actor and back.
 *
 * What is demanded beside what each call promises:
 * I1  hak_check() and hak_stats() agree with the shadow, every so many operations as the input says, and at the end
 * I2  in the end all blocks are given back, and no memory is held by blocks; nothing waits anywhere
 */
#include "world.h"

#include <sys/wait.h>
#include <unistd.h>

struct world world;

/* ---- a child ---- */

static void live_as_child(struct actor *a)
{
    for (unsigned i = 0; i < a->live; i++) held_demand_content(&a->block[i], a->block[i].usable);
    struct input none = input_of(NULL, 0);
    while (a->live > 16) call_free(a, &none);
    call_many_mallocs(a, &none);
    ask_check(a, &none);
    call_many_frees(a, &none);
    (void)hak_purge();
    demand_agreement();
    _exit(0);
}

static void ask_fork(struct actor *a, struct input *in)
{
    int status = 0;
    if (input_byte(in) < 0xe0) return; /* it takes as long as a hundred calls */
    if (world.racing || !world.loaded || world.forks == FORKS_MAX) return;
    world.forks++;
    pid_t child = fork();
    demand(child >= 0, "fork: %d", errno);
    if (child == 0) live_as_child(a);
    while (waitpid(child, &status, 0) != child) demand(errno == EINTR, "waitpid: %d", errno);
    demand(status == 0, "the child ended with %x", (unsigned)status);
}

/* ---- operations ---- */

/* A byte chooses; what is listed more often is chosen more often. */
static void (*const operation[])(struct actor *, struct input *) = {
    call_malloc,       call_malloc,       call_malloc,     call_malloc,    call_calloc,       call_calloc,
    call_aligned,      call_aligned,      call_realloc,    call_realloc,   call_realloc,      call_free,
    call_free,         call_free,         call_free,       call_null,      call_look,         call_many_mallocs,
    call_many_mallocs, call_many_mallocs, call_many_frees, call_many_frees, call_many_frees,  call_pass,
    call_misuse,       call_foreign,      set_option,      set_limit,      set_clock,         set_failures,
    set_group,         ask_purge,         ask_stats,       ask_texts,      ask_check,         ask_background,
    ask_fork,
};

/* true = the counts of two counters with the input's period in between them have a check. */
static bool is_time_to_check(uint64_t operations)
{
    return (operations & (world.check_every - 1)) == 0;
}

/* The hard limit binds what blocks hold, now and always. */
static void demand_limit(void)
{
    if (world.hard == 0) return;
    size_t held = library_held_by_blocks();
    demand(held <= world.most_by_blocks, "%zu bytes are held, the hard limit is %zu", held, world.hard);
}

void operate(struct actor *a, struct input *in)
{
    unsigned code = input_byte(in);
    operation[code % (sizeof(operation) / sizeof(operation[0]))](a, in);
    uint64_t number = __atomic_add_fetch(&world.operations, 1, __ATOMIC_RELAXED);
    if (world.racing) return;
    demand_limit();
    if (!is_time_to_check(number)) return;
    ask_check(a, in);
    demand_agreement();
}

/* The limits that the environment has set, over whatever was set before. */
static void follow_environment(void)
{
    long soft = 0, hard = 0;
    demand(hak_option_get("limit_soft", &soft) == 0 && hak_option_get("limit_hard", &hard) == 0, "no such option");
    if (soft == 0 && hard == 0) return;
    world.soft = (size_t)soft << 20;
    keep_limit((size_t)hard << 20);
}

static void load(void)
{
    world.loaded = true;
    fake.break_end = 4096; /* the C library's blocks, see call_foreign(), lie above */
    library_load();
    follow_environment();
}

/* ---- actors that are threads ---- */

static pthread_key_t last_key; /* destroyed before and after the library's own, as it is set again */

/* Some programs still allocate when their thread has no heap any more. */
static void destroy_key(void *value)
{
    uintptr_t rounds = (uintptr_t)value;
    void *p = hak_malloc(40 * rounds);
    hak_free(p);
    if (rounds > 1) pthread_setspecific(last_key, (void *)(rounds - 1));
}

static void *act(void *argument)
{
    struct actor *a = argument;
    if (world.calls_at_exit) pthread_setspecific(last_key, (void *)3);
    for (;;) {
        while (sem_wait(&a->go) != 0) continue;
        if (a->task == TASK_END) return NULL;
        if (a->task == TASK_TURN)
            for (unsigned i = 0; i < a->turn && !input_ended(&world.in); i++) operate(a, &world.in);
        else
            while (!input_ended(&a->race)) operate(a, &a->race);
        sem_post(&a->done);
    }
}

static void give_task(struct actor *a, enum task task)
{
    a->task = task;
    if (!a->is_alive && task != TASK_END) {
        sem_init(&a->go, 0, 0);
        sem_init(&a->done, 0, 0);
        a->is_alive = pthread_create(&a->thread, NULL, act, a) == 0;
        demand(a->is_alive, "pthread_create: %d", errno);
        world.births++;
    }
    sem_post(&a->go);
}

static void wait_for(struct actor *a)
{
    while (sem_wait(&a->done) != 0) continue;
}

static void end_actor(struct actor *a)
{
    if (!a->is_alive) return;
    give_task(a, TASK_END);
    pthread_join(a->thread, NULL);
    sem_destroy(&a->go);
    sem_destroy(&a->done);
    a->is_alive = false;
}

/* The first actor is the thread that runs the input. */
static void take_turn(struct actor *a, unsigned operations)
{
    if (a->number == 0) {
        for (unsigned i = 0; i < operations && !input_ended(&world.in); i++) operate(a, &world.in);
        return;
    }
    a->turn = operations;
    give_task(a, TASK_TURN);
    wait_for(a);
}

static void race(size_t piece)
{
    for (unsigned i = 0; i < FUZZ_ACTORS; i++) {
        size_t left = (size_t)(world.in.end - world.in.at);
        size_t size = piece < left ? piece : left;
        world.actor[i].race = input_of(world.in.at, size);
        world.in.at += size;
    }
    world.racing = true;
    for (unsigned i = 1; i < FUZZ_ACTORS; i++) give_task(&world.actor[i], TASK_RACE);
    while (!input_ended(&world.actor[0].race)) operate(&world.actor[0], &world.actor[0].race);
    for (unsigned i = 1; i < FUZZ_ACTORS; i++) wait_for(&world.actor[i]);
    world.racing = false;
    if (world.hard > 0) demand_limit();
    demand_agreement();
}

static void step(void)
{
    unsigned byte = input_byte(&world.in);
    struct actor *a = &world.actor[byte % FUZZ_ACTORS];
    unsigned kind = byte / FUZZ_ACTORS % 16;
    if (kind == 0)
        end_actor(a);
    else if (kind == 1)
        race(16 + input_byte(&world.in));
    else
        take_turn(a, kind * 2);
}

/* ---- an input ---- */

static void run(void)
{
    unsigned load_after = input_byte(&world.in);
    if (load_after < 0xc0) load();
    while (!input_ended(&world.in) && world.operations < OPERATIONS_MAX) {
        if (FUZZ_ACTORS == 1)
            operate(&world.actor[0], &world.in);
        else
            step();
        if (!world.loaded && world.operations > load_after - 0xc0) load();
    }
}

/* Nothing is left anywhere. */
static void demand_nothing(void)
{
    struct hak_stats s;
    demand(hak_stats(&s) == 0, "hak_stats");
    demand(s.live == 0 && s.mallocs == s.frees, "%zu bytes live, %zu mallocs, %zu frees", s.live, s.mallocs, s.frees);
    demand(s.cached == 0 && s.dirty == 0, "%zu bytes cached, %zu dirty", s.cached, s.dirty);
    demand(library_held_by_blocks() == 0, "%zu bytes held", library_held_by_blocks());
}

static void finish(void)
{
    fake_fail_nothing();
    for (unsigned i = 1; i < FUZZ_ACTORS && world.calls_at_exit; i++) end_actor(&world.actor[i]);
    for (unsigned i = 0; i < FUZZ_ACTORS; i++) release_all(&world.actor[i]);
    for (unsigned i = 1; i < FUZZ_ACTORS; i++) end_actor(&world.actor[i]);
    (void)hak_limit_set(0, 0);
    world.hard = 0;
    (void)hak_purge();
    (void)hak_purge(); /* the first may post blocks to heaps that it has drained before */
    struct input none = input_of(NULL, 0);
    ask_check(&world.actor[0], &none);
    demand_agreement();
    demand_nothing();
    void *p = hak_malloc(100);
    demand(p || world.bounded, "no memory in the end");
    hak_free(p);
    library_unload();
}

/* An abort that no misuse explains is a fault, and its message is what is wrong. */
static const char *what_was_printed(void)
{
    return fake_take_printed();
}

static void set_up(const uint8_t *data, size_t size)
{
    static bool has_key;
    if (!has_key) has_key = pthread_key_create(&last_key, destroy_key) == 0;
    fuzz_remark = what_was_printed;
    library_forget();
    for (unsigned i = 0; i < FUZZ_ACTORS; i++) {
        world.actor[i].number = i;
        world.actor[i].live = 0;
    }
    world.loaded = false;
    world.bounded = false;
    world.soft = world.hard = world.most_by_blocks = 0;
    world.inside_callback = world.callbacks = 0;
    world.operations = world.refusals = world.births = world.forks = world.mark = 0;
    world.in = input_of(data, size);
    set_world_up(&world.in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    set_up(data, size);
    fake.abort_to = &world.aborted;
    if (setjmp(world.aborted) == 0) {
        run();
        finish();
    } else {
        demand(world.ends_by_abort, "the library aborts");
        const char *printed = fake_take_printed();
        demand(strstr(printed, "invalid pointer") || strstr(printed, "double free"), "%s", printed);
    }
    fuzz_count(world.operations, world.refusals, world.births, world.forks);
    return 0;
}
