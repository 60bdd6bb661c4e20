/* thread.c - thread.h on Linux.
 *
 * Uses: os. Callers: through thread.h.
 * Locks: none.
 *
 * The thread needs a place for thread-local variables, or each use of one would hit those of the thread that made it:
 *
 *   memory | guard | stack ...... | zeros as far as this library's and libc's errno lie | thread pointer | zeros |
 *
 * What else it has of the thread that made it: inherited.c.
 */
#include "thread.h"

#include <sched.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <time.h>

#include "../base/atomics.h"
#include "inherited.h"
#include "memcheck.h"
#include "system_call.h"

enum { STACK_SIZE = 32 * 1024, TLS_ROOM = 4096, JOIN_MS = 1000 };

static const bool sanitized = HAK_INSTRUMENTED; /* instrumented code needs a thread that the sanitizer knows */

/* Where this library's variables are: those that begin with zero, and, in a static program beyond all others that do,
 * those that begin with something. */
static TLS_INITIAL_EXEC uint32_t own_variable;
static TLS_INITIAL_EXEC __attribute__((used)) uint32_t own_value = 1;

#if defined(__x86_64__)
static const bool can_point = true;

static char *thread_pointer(void)
{
    char *pointer;
    __asm__("mov %%fs:0, %0" : "=r"(pointer));
    return pointer;
}

/* The first words of a thread's block: its own address, and that of libc's thread. */
static void mark_thread(char *pointer)
{
    ((void **)(void *)pointer)[0] = pointer;
    ((void **)(void *)pointer)[2] = pointer;
}
#elif defined(__aarch64__)
static const bool can_point = true;

static char *thread_pointer(void)
{
    char *pointer;
    __asm__("mrs %0, tpidr_el0" : "=r"(pointer));
    return pointer;
}

static void mark_thread(char *pointer)
{
    (void)pointer;
}
#elif defined(__riscv)
static const bool can_point = true;

static char *thread_pointer(void)
{
    char *pointer;
    __asm__("mv %0, tp" : "=r"(pointer));
    return pointer;
}

static void mark_thread(char *pointer)
{
    (void)pointer;
}
#else
static const bool can_point = false;

static char *thread_pointer(void)
{
    return NULL;
}

static void mark_thread(char *pointer)
{
    (void)pointer;
}
#endif

/* How far variables lie below and above the thread pointer. */
static void tls_reach(size_t *below, size_t *above)
{
    const char *variables[] = {(char *)&own_variable, (char *)&own_value, (char *)&errno};
    const char *pointer = thread_pointer();
    *below = TLS_ROOM;
    *above = TLS_ROOM;
    for (unsigned i = 0; i < sizeof(variables) / sizeof(*variables); i++) {
        ptrdiff_t distance = variables[i] - pointer;
        if (distance < 0 && (size_t)-distance + TLS_ROOM > *below) *below = (size_t)-distance + TLS_ROOM;
        if (distance > 0 && (size_t)distance + TLS_ROOM > *above) *above = (size_t)distance + TLS_ROOM;
    }
    *below = (*below + TLS_ROOM - 1) & ~(size_t)(TLS_ROOM - 1);
}

static bool is_place_for_threads(void)
{
    bool can_run = !sanitized && can_point && !memcheck_is_here();
    return can_run && !getauxval(AT_SECURE) && !system_calls_are_filtered();
}

static int (*thread_main)(bool alone);

static int thread_begin(void *unused)
{
    (void)unused;
    return thread_main(inherited_leave());
}

/* As fresh memory is, and as little resident: what a program has of thread-local variables may be large. */
static void clear_memory(char *memory, size_t size)
{
    if (!os_purge(memory, size)) __builtin_memset(memory, 0, size); /* it is locked */
}

static bool make_memory(struct os_thread *thread, size_t below, size_t above)
{
    size_t page = os_page_size();
    size_t size = (page + STACK_SIZE + below + above + page - 1) & ~(page - 1);
    if (thread->memory) {
        clear_memory((char *)thread->memory + page, thread->size - page);
        return thread->size >= size;
    }
    char *memory = os_map(size);
    if (!memory) return false;
    (void)system_call(SYS_mprotect, (long)memory, (long)page, PROT_NONE, 0, 0, 0); /* a guard */
    thread->size = size;
    store_release(&thread->memory, memory); /* last: a child of a fork in between has both or none */
    return true;
}

uint64_t os_thread_block_signals(void)
{
    uint64_t all = ~UINT64_C(0);
    uint64_t before = 0;
    (void)system_call(SYS_rt_sigprocmask, SIG_BLOCK, (long)&all, (long)&before, sizeof(all), 0, 0);
    return before;
}

void os_thread_restore_signals(uint64_t before)
{
    (void)system_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, sizeof(before), 0, 0);
}

static bool clone_thread(struct os_thread *thread, char *pointer, char *stack)
{
    const int shared = CLONE_VM | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
    const int told = CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
    int saved = errno;
    uint64_t before = os_thread_block_signals();
    bool done = clone(thread_begin, stack, shared | told, NULL, &thread->id, pointer, &thread->id) > 0;
    os_thread_restore_signals(before);
    errno = saved;
    return done;
}

bool os_thread_start(struct os_thread *thread, int (*main)(bool alone))
{
    size_t below;
    size_t above;
    if (!is_place_for_threads() || !inherited_allows()) return false;
    tls_reach(&below, &above);
    if (!make_memory(thread, below, above)) return false;
    char *storage = (char *)thread->memory + os_page_size() + STACK_SIZE;
    mark_thread(storage + below);
    thread_main = main;
    thread->process = os_process_number();
    return clone_thread(thread, storage + below, storage);
}

uint32_t os_thread_number(void)
{
    return (uint32_t)system_call(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

static uint32_t *fork_mark;   /* how many processes have had this memory; 0 = this one is not counted yet */
static uint32_t fork_count;   /* of them; the same in a child */
static uint32_t no_mark = 1;

/* A word that the system clears in a child: not all who fork tell the handlers. It clears none before Linux 4.14, and
 * may have no memory: then a child that tells nobody is told from others by the system's number alone. */
static COLD uint32_t *make_fork_mark(void)
{
    enum { WIPE_ON_FORK = 18 }; /* MADV_WIPEONFORK, which headers may not know yet */
    size_t size = os_page_size();
    uint32_t *mark = os_map(size);
    uint32_t *others = NULL;
    if (mark && system_call_failed(system_call(SYS_madvise, (long)mark, (long)size, WIPE_ON_FORK, 0, 0, 0))) {
        (void)os_unmap(mark, size);
        mark = NULL;
    }
    if (swap_if_acquire(&fork_mark, &others, mark ? mark : &no_mark)) return mark ? mark : &no_mark;
    if (mark) (void)os_unmap(mark, size);
    return others;
}

/* Two threads of a child may count it at once: one of the two numbers is taken for the mark. */
static uint32_t count_of_forks(void)
{
    uint32_t *mark = load_relaxed(&fork_mark);
    uint32_t none = 0;
    if (!mark) mark = make_fork_mark();
    if (load_relaxed(mark) == 0) (void)swap_if_seq(mark, &none, add_relaxed(&fork_count, 1) + 1);
    return load_acquire(mark); /* pairs with the swap: who forks has the count that this says */
}

uint32_t os_process_number(void)
{
    return (count_of_forks() << OS_NUMBER_BITS) + system_process();
}

/* A filter may kill for asking the system. */
bool os_thread_exists(uint32_t number)
{
    return system_calls_are_filtered() || system_call(SYS_tgkill, system_process(), number, 0, 0, 0, 0) != -ESRCH;
}

/* "PID (NAME) STATE ...": the number of threads is the 18th word behind the name, which may hold any character. */
bool os_thread_is_alone(void)
{
    enum { WORD = 18 };
    char text[512];
    if (system_calls_are_filtered() || !os_read_text("/proc/self/stat", text, sizeof(text))) return false;
    const char *at = __builtin_strrchr(text, ')');
    for (unsigned word = 0; at && word < WORD; word++) at = __builtin_strchr(at + 1, ' ');
    return at && at[1] == '1' && at[2] == ' ';
}

/* false = this is a child that was forked without it. */
static bool is_there(const struct os_thread *thread, uint32_t id)
{
    return thread->process == os_process_number() && os_thread_exists(id);
}

/* The system wakes those who wait for a shared word. It does not in the child of a fork that libc did not see. */
void os_thread_join(const struct os_thread *thread, uint32_t id)
{
    struct timespec time = {.tv_nsec = 10 * 1000000};
    uint64_t end_ms = os_now_ms() + JOIN_MS;
    while (id != 0 && load_acquire(&thread->id) == id && is_there(thread, id) && os_now_ms() < end_ms)
        (void)system_call(SYS_futex, (long)&thread->id, WAIT_SHARED, (long)id, (long)&time, 0, 0);
}

void os_wait_for(const uint32_t *word, uint32_t value, uint64_t ms)
{
    struct timespec time = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    (void)system_call(SYS_futex, (long)word, WAIT_PRIVATE, (long)value, (long)&time, 0, 0);
}
