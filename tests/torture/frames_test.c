/* frames_test.c - threads whose handlers sleep in the middle of a call that they have interrupted: the library's own
 * thread leaves their bins alone, whatever stack the handler sleeps on.
 *
 * Every thread only hits, so that it is called and looked at; a timer of its own stops it wherever it is, and its
 * handler sleeps for longer than a round of the library's thread takes. Were its bins flushed then, two blocks would be
 * one soon. The ways differ in how the handler gets to sleep.
 */
#include <limits.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include "own_thread.h"
#include "torture.h"

enum { BLOCKS = 8, SIZE = 96, ALT_SIZE = 64 << 10, SLEEP_US = 3000, EVERY_US = 4000 };

/* What the thread runs on, where its handler sleeps, and what for. */
struct way {
    const char *name;
    int alt;            /* enum where: the alternate stack */
    bool first_on_alt;  /* the handler that interrupts runs there */
    bool nested;        /* a second handler, on the alternate stack, sleeps */
    bool switches;      /* the handler sleeps on a stack that it has switched to */
    bool on_context;    /* the thread itself runs on a stack of its own making */
    bool small;         /* the least stack that a thread can have */
};

enum where { ALT_NONE, ALT_MAPPED, ALT_FAR, ALT_INSIDE };

static const struct way ways[] = {
    {.name = "on_the_thread's_stack"},
    {.name = "on_the_least_stack", .small = true},
    {.name = "on_an_alternate_stack", .alt = ALT_MAPPED, .first_on_alt = true},
    {.name = "on_an_alternate_stack_far_away", .alt = ALT_FAR, .first_on_alt = true},
    {.name = "nested_on_an_alternate_stack", .alt = ALT_MAPPED, .nested = true},
    {.name = "nested_on_an_alternate_stack_far_away", .alt = ALT_FAR, .nested = true},
    {.name = "nested_on_an_alternate_stack_inside_the_thread's", .alt = ALT_INSIDE, .nested = true},
    {.name = "switched_to_another_stack", .switches = true},
    {.name = "of_a_thread_that_runs_on_a_context", .on_context = true},
    {.name = "of_a_context_switched_to_another_stack", .on_context = true, .switches = true},
};
enum { WAYS = sizeof ways / sizeof ways[0] };

static atomic_bool stop;
static atomic_ulong sleeps[WAYS];
static atomic_int mixed[WAYS];

static _Thread_local const struct way *way;
static _Thread_local ucontext_t in_handler, elsewhere;
static _Thread_local char *other_stack;

static void sleep_here(void)
{
    atomic_fetch_add(&sleeps[way - ways], 1);
    pause_us(SLEEP_US);
}

static void sleep_elsewhere(void)
{
    for (;;) {
        sleep_here();
        swapcontext(&elsewhere, &in_handler);
    }
}

static void sleep_nested(int number)
{
    (void)number;
    sleep_here();
}

static void on_timer(int number)
{
    int saved = errno;
    (void)number;
    if (way->nested) raise(SIGUSR2);
    else if (way->switches) swapcontext(&in_handler, &elsewhere);
    else sleep_here();
    errno = saved;
}

/* true = two blocks were one. */
static bool hit_until_stopped(void)
{
    unsigned char *p[BLOCKS] = {NULL};
    bool good = true;
    for (unsigned round = 0; good && !atomic_load_explicit(&stop, memory_order_relaxed); round++) {
        unsigned i = round * 2654435761u >> 29;
        if (p[i]) {
            good = is_filled(p[i], SIZE, (unsigned char)i);
            give(p[i]);
        }
        p[i] = take(SIZE);
        memset(p[i], (int)i, SIZE);
    }
    for (int i = 0; i < BLOCKS && good; i++) give(p[i]);
    return !good;
}

/* ---- stacks ---- */

static char *map_stack(void *at)
{
    char *stack = mmap(at, ALT_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (stack == MAP_FAILED) bail_out("mmap: errno %d", errno);
    return stack;
}

static void set_alternate_stack(char *inside)
{
    char *const far_away = (char *)(uintptr_t)0x200000000000;
    char *at = way->alt == ALT_INSIDE ? inside
                                      : map_stack(way->alt == ALT_FAR ? far_away + (way - ways) * 4 * ALT_SIZE : NULL);
    stack_t stack = {.ss_sp = at, .ss_size = ALT_SIZE};
    if (sigaltstack(&stack, NULL) != 0) bail_out("sigaltstack: errno %d", errno);
}

static void make_context(ucontext_t *context, void (*body)(void), ucontext_t *after)
{
    getcontext(context);
    context->uc_stack.ss_sp = other_stack = map_stack(NULL);
    context->uc_stack.ss_size = ALT_SIZE;
    context->uc_link = after;
    makecontext(context, body, 0);
}

/* ---- threads ---- */

static timer_t start_timer(void)
{
    timer_t timer;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = way->first_on_alt ? SIGUSR2 : SIGUSR1};
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) bail_out("timer_create: errno %d", errno);
    struct timespec step = {.tv_nsec = EVERY_US * 1000L};
    timer_settime(timer, 0, &(struct itimerspec){step, step}, NULL);
    return timer;
}

static void stopped_again_and_again(void)
{
    timer_t timer = start_timer();
    if (hit_until_stopped()) atomic_store(&mixed[way - ways], 1);
    timer_delete(timer);
}

__attribute__((noinline)) static void run_way(const struct way *chosen, char *inside)
{
    ucontext_t here, context;
    way = chosen;
    if (way->alt != ALT_NONE) set_alternate_stack(inside);
    if (way->switches) {
        make_context(&elsewhere, sleep_elsewhere, NULL);
        sigaddset(&elsewhere.uc_sigmask, SIGUSR1); /* as in the handler */
    }
    if (way->on_context) {
        make_context(&context, stopped_again_and_again, &here);
        swapcontext(&here, &context);
    } else {
        stopped_again_and_again();
    }
}

/* The alternate stack lies in the frame of the function that calls everything else: above all that is searched. */
__attribute__((noinline)) static void run_way_with_room(const struct way *chosen)
{
    char inside[ALT_SIZE];
    memset(inside, 1, sizeof inside);
    run_way(chosen, inside);
    __asm__ volatile("" : : "r"(inside) : "memory");
}

static void *thread_body(void *argument)
{
    const struct way *chosen = argument;
    if (chosen->alt == ALT_INSIDE) run_way_with_room(chosen);
    else run_way(chosen, NULL);
    return NULL;
}

static bool watched; /* the library's thread was there, which could have taken what others keep */

/* Makes visits, which start the library's thread and keep it going. */
static void *stop_later(void *seconds)
{
    double end = now_s() + (double)(uintptr_t)seconds;
    while (now_s() < end) {
        pause_us(10000);
        for (int k = 0; k < 300; k++) give(take(100000));
        watched = watched || count_tasks() == WAYS + 2 + SANITIZERS_TASKS; /* one for each way, this, that */
    }
    atomic_store(&stop, true);
    return NULL;
}

static pthread_t start_way(const struct way *chosen)
{
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    if (chosen->small) pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN);
    int failed = pthread_create(&thread, &attributes, thread_body, (void *)(uintptr_t)chosen);
    if (failed != 0) bail_out("pthread_create: %d", failed);
    return thread;
}

/* All ways at once, each in a thread; the first thread takes the one named. */
static int all_ways(unsigned first, uintptr_t seconds)
{
    pthread_t thread[WAYS], stopper;
    sigset_t both;
    struct sigaction action = {.sa_handler = on_timer, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, NULL);
    action = (struct sigaction){.sa_handler = sleep_nested, .sa_flags = SA_RESTART | SA_ONSTACK};
    sigaction(SIGUSR2, &action, NULL);
    sigemptyset(&both);
    sigaddset(&both, SIGUSR1);
    sigaddset(&both, SIGUSR2);
    stopper = start_thread(stop_later, (void *)seconds);
    for (unsigned i = 0; i < WAYS; i++)
        if (i != first) thread[i] = start_way(&ways[i]);
    thread_body((void *)(uintptr_t)&ways[first]);
    pthread_join(stopper, NULL);
    int result = 0;
    for (unsigned i = 0; i < WAYS; i++) {
        if (i != first) pthread_join(thread[i], NULL);
        bool good = atomic_load(&sleeps[i]) >= 20 && !atomic_load(&mixed[i]);
        if (!good) diag("%s, %s: %lu sleeps, %s", ways[i].name, i == first ? "first thread" : "thread",
                        atomic_load(&sleeps[i]), atomic_load(&mixed[i]) ? "two blocks were one" : "too few");
        if (!good) result = 2;
    }
    if (!watched) diag("nobody was there to take anything");
    return result != 0 || !watched || !hak_check() ? 2 : 0;
}

int main(int argc, char **argv)
{
    char seconds[16];
    start_test(argc, argv);
    if (argc == 3 && strcmp(argv[1], "first") != 0 && strcmp(argv[2], "--whole") != 0)
        return all_ways((unsigned)atoi(argv[1]), (uintptr_t)atoi(argv[2]));
    if (!runs_on_hakmem()) return done_testing();
    if (no_own_thread_here()) {
        skip(no_own_thread_here(), "handlers_sleep");
        return done_testing();
    }
    setenv("HAKMEM_BACKGROUND", "on", 1);
    setenv("HAKMEM_PURGE_DELAY", "2", 1);
    snprintf(seconds, sizeof seconds, "%d", times(1, 20));
    for (unsigned i = 0; i < WAYS; i++) {
        char number[16];
        if (!whole && i != 0 && i != 3 && i != 5 && i != 6) continue;
        snprintf(number, sizeof number, "%u", i);
        ok(succeeded(run_self_with(number, seconds), ways[i].name), "handlers_sleep_%s_in_the_first_thread", ways[i].name);
    }
    return done_testing();
}
