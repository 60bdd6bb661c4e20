/* sleep.c - whether a thread sleeps in the kernel, and in the middle of what: the second half of thread.h.
 *
 * Uses: os. Callers: through thread.h. Opens a file: for the background thread only.
 * Locks: none.
 *
 * A thread that waits in a system call is not in the middle of a hit, with one exception: a signal may have interrupted
 * it there, and the handler may wait. Then the kernel has saved where it was on the stack of the handler, as a frame of
 * known shape. So the stack is searched for one whose program counter is ours. In a static program all of its code
 * counts as ours. The library's own system calls are made off the hit path only; there the thread holds the heap's
 * lock, is marked busy, or has its books right.
 *
 * Handlers may run on a stack of their own, be interrupted by others, and switch stacks by hand. So the search must go
 * from where the thread is to the end of the stack that it began on, and each frame that it meets must lead to a part
 * that is still to be searched; else the thread does not count as asleep.
 */
#include "thread.h"

#include <sys/auxv.h>
#include <sys/syscall.h>

#include "../base/bits.h"
#include "../base/number.h"

enum { SCAN_MAX = 8 << 20, SCAN_STEP = 4096, SLEEPER_TEXT = 256, STATUS_TEXT = 4096 };

struct sleeper {
    long call;         /* number of the system call */
    uintptr_t stack;   /* stack pointer */
};

/* ---- what the kernel says ---- */

static const char *read_word(const char *text, uint64_t *value)
{
    while (*text == ' ') text++;
    bool hex = text[0] == '0' && text[1] == 'x';
    return read_number(text + (hex ? 2 : 0), hex ? 16 : 10, value);
}

/* "running", or "-1 SP PC" where it waits for a page, or the call, six arguments, SP and PC. */
static bool parse_sleeper(const char *text, struct sleeper *s)
{
    uint64_t word[9];
    if (*text < '0' || *text > '9') return false;
    for (unsigned i = 0; i < 9; i++) {
        const char *next = read_word(text, &word[i]);
        if (next == text) return false;
        text = next;
    }
    *s = (struct sleeper){.call = (long)word[0], .stack = word[7]};
    return s->stack != 0;
}

static char *append_number(char *to, uint32_t number)
{
    char digits[10];
    unsigned count = 0;
    do digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    while (count > 0) *to++ = digits[--count];
    return to;
}

/* The file is the owner's of the process only, or root's where the process is not dumpable. */
static bool read_call(uint32_t number, char text[SLEEPER_TEXT])
{
    char path[64] = "/proc/self/task/";
    char *end = append_number(path + __builtin_strlen(path), number);
    __builtin_memcpy(end, "/syscall", sizeof("/syscall"));
    return os_read_text(path, text, SLEEPER_TEXT);
}

/* In a namespace of its own whose /proc is still that of another one, a process finds itself there, but the number of a
 * thread means another thread. Then there is more than one number of the process. */
static bool numbers_are_those_of_proc(void)
{
    char text[STATUS_TEXT];
    uint64_t number;
    if (!os_read_text("/proc/self/status", text, sizeof(text))) return false;
    const char *line = __builtin_strstr(text, "\nNSpid:\t");
    if (!line) return false;
    line += __builtin_strlen("\nNSpid:\t");
    const char *end = read_number(line, 10, &number);
    return end != line && *end == '\n';
}

static bool find_sleeper(uint32_t number, struct sleeper *s)
{
    char text[SLEEPER_TEXT];
    return read_call(number, text) && parse_sleeper(text, s) && numbers_are_those_of_proc();
}

/* The child of vfork() runs in the thread's place while the thread waits. */
static bool lends_its_place(long call)
{
#if defined(SYS_vfork)
    if (call == SYS_vfork) return true;
#endif
    return call == SYS_clone || call == SYS_clone3;
}

/* ---- frames of signals ---- */

static bool is_ours(uintptr_t counter)
{
    extern const char __ehdr_start[] __attribute__((visibility("hidden")));
    extern const char etext[] __attribute__((visibility("hidden")));
    return counter - (uintptr_t)__ehdr_start < (uintptr_t)etext - (uintptr_t)__ehdr_start;
}

enum { FRAME_WORDS = 4 };

#if defined(__x86_64__)
static const bool frames_are_known = true;

/* Stack pointer, program counter, flags, and the selectors of user code; 0xe033 is Xen's. */
static bool is_frame(const uint64_t *word)
{
    uint64_t code = word[3] & 0xffff;
    return (code == 0x33 || code == 0xe033) && (word[2] & 0x202) == 0x202 && word[2] < 1 << 22;
}
#else
static const bool frames_are_known = false; /* all sleepers are left alone, and keep their bins */

static bool is_frame(const uint64_t *word)
{
    (void)word;
    return true;
}
#endif

/* true = what the frame at this address has saved was in the library, or on a stack that is not searched. */
static bool may_hide_a_call(const uint64_t *word, uintptr_t at, uintptr_t end)
{
    return is_ours(word[1]) || word[0] <= at || word[0] >= end;
}

/* false also where there is more to search than makes sense, and where the stack does not reach as far as `to`: then it
 * is not the one that the thread began on, and what was interrupted there is not known. */
static bool has_no_frame(uintptr_t from, uintptr_t to)
{
    uint64_t word[FRAME_WORDS - 1 + SCAN_STEP / 8] = {0}; /* the last of the step before, and a step */
    if (to <= from || to - from > SCAN_MAX) return false;
    for (uintptr_t at = align_down(from, 8), end; at < to; at = end) {
        end = align_down(at + SCAN_STEP, SCAN_STEP);
        size_t count = (end - at) / 8;
        if (!os_peek((const void *)at, &word[FRAME_WORDS - 1], count * 8)) return false;
        for (size_t i = 0; i < count; i++)
            if (is_frame(&word[i]) && may_hide_a_call(&word[i], at + i * 8, to)) return false;
        for (size_t i = 0; i < FRAME_WORDS - 1; i++) word[i] = word[count + i];
    }
    return true;
}

/* Where the stack that the thread began on ends: with its storage, or, the first thread's, with what the system has
 * put there. */
static uintptr_t stack_end(uintptr_t from, uintptr_t storage)
{
    bool below_storage = storage > from && storage - from <= SCAN_MAX;
    return below_storage ? storage : (uintptr_t)getauxval(AT_RANDOM);
}

bool os_thread_sleeps(uint32_t number, const void *storage)
{
    struct sleeper s;
    if (!frames_are_known || !find_sleeper(number, &s) || lends_its_place(s.call)) return false;
    return has_no_frame(s.stack, stack_end(s.stack, (uintptr_t)storage));
}

/* Of all threads the kernel shows as much as of the calling one. */
bool os_thread_sleep_shows(void)
{
    char text[SLEEPER_TEXT];
    return frames_are_known && read_call(os_thread_number(), text) && numbers_are_those_of_proc();
}
