/* linux.c - os.h on Linux, by system calls of our own making.
 *
 * Uses: image, thread. Callers: through os.h.
 * Locks: none.
 *
 * libc's wrappers are not used for memory: programs interpose mmap and friends, and an interposer that
 * calls back into malloc would meet our locks. Calls leave errno alone. The clock is libc's, because only libc knows
 * where the kernel's page for it lies.
 */
#include "os.h"

#include "image.h"
#include "system_call.h"
#include "thread.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static void *map_at(void *at, size_t size, int protection, int flags)
{
    long p = system_call(SYS_mmap, (long)at, (long)size, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
    return system_call_failed(p) ? NULL : (void *)p;
}

static void *map(size_t size, int protection, int flags)
{
    return map_at(NULL, size, protection, flags);
}

#if defined(__x86_64__)
/* The processor has no other small pages; getauxval() would make 64 KiB of libc resident. */
size_t os_page_size(void)
{
    return 4096;
}
#else
/* From the kernel, which takes no address that is not a page's. */
static COLD size_t find_page_size(void)
{
    enum { SMALLEST = 4096, LARGEST = 65536 };
    size_t size = SMALLEST;
    while (size < LARGEST && system_call(SYS_msync, (long)size, 0, MS_ASYNC, 0, 0, 0) == -EINVAL) size *= 2;
    return size;
}

size_t os_page_size(void)
{
    static size_t page_size; /* the same from every thread */
    size_t size = __atomic_load_n(&page_size, __ATOMIC_RELAXED);
    if (size == 0) {
        size = getauxval(AT_PAGESZ);
        if (size == 0) size = find_page_size(); /* the C library has not seen the auxiliary vector yet */
        __atomic_store_n(&page_size, size, __ATOMIC_RELAXED);
    }
    return size;
}
#endif

void *os_reserve(size_t size)
{
    return map(size, PROT_NONE, MAP_NORESERVE);
}

void *os_reserve_readable(size_t size)
{
    void *p = map(size, PROT_READ, MAP_NORESERVE);
    if (p) (void)system_call(SYS_madvise, (long)p, (long)size, MADV_DONTDUMP, 0, 0, 0); /* a wish */
    return p;
}

bool os_commit(void *p, size_t size)
{
    return !system_call_failed(system_call(SYS_mprotect, (long)p, (long)size, PROT_READ | PROT_WRITE, 0, 0, 0));
}

/* Reserves addresses that nobody has. */
static bool reserve_at(void *at, size_t size)
{
    enum { NOREPLACE = 0x100000 }; /* MAP_FIXED_NOREPLACE, which headers may not know yet */
    void *p = map_at(at, size, PROT_NONE, NOREPLACE | MAP_NORESERVE);
    if (p && p != at) (void)system_call(SYS_munmap, (long)p, (long)size, 0, 0, 0, 0); /* before Linux 4.17: a wish */
    return p == at;
}

/* Pages that are made unreadable stay charged; those of a reservation never were. Before Linux 6.12 a kernel that finds
 * no memory for its own books has unmapped the pages when it refuses: then they are reserved at once, before another
 * thread maps something there. */
bool os_uncommit(void *p, size_t size)
{
    return map_at(p, size, PROT_NONE, MAP_FIXED | MAP_NORESERVE) || reserve_at(p, size);
}

void *os_map(size_t size)
{
    return map(size, PROT_READ | PROT_WRITE, 0);
}

bool os_unmap(void *p, size_t size)
{
    return !system_call_failed(system_call(SYS_munmap, (long)p, (long)size, 0, 0, 0, 0));
}

enum remap_result os_remap(void *p, size_t size, size_t new_size)
{
    long result = system_call(SYS_mremap, (long)p, (long)size, (long)new_size, 0, 0, 0);
    if (!system_call_failed(result)) return REMAP_DONE;
    return result == -ENOMEM ? REMAP_NO_ROOM : REMAP_REFUSED;
}

/* false = the word has another value, or cannot be read. The kernel looks, since the word may go at any moment. */
static bool word_is(const uint32_t *word, uint32_t value)
{
    struct timespec none = {0};
    long result;
    do result = system_call(SYS_futex, (long)word, WAIT_PRIVATE, (long)value, (long)&none, 0, 0);
    while (result == 0 || result == -EINTR);
    return result == -ETIMEDOUT;
}

/* The kernel may or may not unmap the new place before it refuses: then another thread's mapping may be there soon. So
 * it gets a token before, of 64 bits that nobody else writes there. */
bool os_remap_to(void *p, size_t size, size_t new_size, void *to)
{
    const long flags = MREMAP_MAYMOVE | MREMAP_FIXED;
    volatile uint32_t *word = to;
    uint64_t token = (os_now_ns() ^ (uint64_t)to) * UINT64_C(0x9e3779b97f4a7c15);
    if (!os_commit(to, os_page_size())) {
        (void)os_unmap(to, new_size);
        return false;
    }
    word[0] = (uint32_t)token;
    word[1] = (uint32_t)(token >> 32);
    long result = system_call(SYS_mremap, (long)p, (long)size, (long)new_size, flags, (long)to, 0);
    if (!system_call_failed(result)) return true;
    bool ours = word_is(to, (uint32_t)token) && word_is((uint32_t *)to + 1, (uint32_t)(token >> 32));
    if (ours) (void)os_unmap(to, new_size);
    return false;
}

bool os_purge(void *p, size_t size)
{
    return !system_call_failed(system_call(SYS_madvise, (long)p, (long)size, MADV_DONTNEED, 0, 0, 0));
}

void os_allow_huge(void *p, size_t size, bool allow)
{
    int advice = allow ? MADV_HUGEPAGE : MADV_NOHUGEPAGE;
    (void)system_call(SYS_madvise, (long)p, (long)size, advice, 0, 0, 0);
}

/* Of one byte: a system whose pages are smaller than it says, as an emulator's, would tell of several. */
bool os_has_memory(const void *p)
{
    unsigned char present = 0;
    long result = system_call(SYS_mincore, (long)p, 1, (long)&present, 0, 0, 0);
    return !system_call_failed(result) && (present & 1);
}

/* Forbidden again at once, so that neighbours stay one mapping, and the system does not fill up later what was given
 * back in part. */
bool os_fill_huge(void *p, size_t size)
{
    os_allow_huge(p, size, true);
    *(volatile char *)p = 0;
    os_allow_huge(p, size, false);
    return os_has_memory((char *)p + size - os_page_size());
}

size_t os_count_present(const void *p, size_t size)
{
    unsigned char present[512];
    size_t pages = size / os_page_size();
    size_t count = 0;
    if (pages > sizeof(present)) return 0;
    if (system_call_failed(system_call(SYS_mincore, (long)p, (long)size, (long)present, 0, 0, 0))) return 0;
    for (size_t i = 0; i < pages; i++) count += present[i] & 1;
    return count;
}

bool os_collapse(void *p, size_t size)
{
    enum { COLLAPSE = 25 }; /* MADV_COLLAPSE, which headers may not know yet */
    if (system_calls_are_filtered()) return false; /* README.md does not list the advice */
    os_allow_huge(p, size, true);
    bool done = !system_call_failed(system_call(SYS_madvise, (long)p, (long)size, COLLAPSE, 0, 0, 0));
    os_allow_huge(p, size, false);
    return done;
}

/* The system reads the word and does not wait for it. */
static bool is_readable(uintptr_t address)
{
    struct timespec none = {0};
    uintptr_t word = address & ~(uintptr_t)3;
    return system_call(SYS_futex, (long)word, WAIT_PRIVATE, 0, (long)&none, 0, 0) != -EFAULT;
}

/* Where the call is refused. */
static COLD bool peek_by_words(const char *p, char *out, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        uintptr_t address = (uintptr_t)p + i;
        if ((i == 0 || address % 4 == 0) && !is_readable(address)) return false;
        out[i] = *(const volatile char *)address;
    }
    return true;
}

bool os_peek(const void *p, void *out, size_t size)
{
    struct iovec to = {.iov_base = out, .iov_len = size};
    struct iovec from = {.iov_base = (void *)(uintptr_t)p, .iov_len = size};
    long done = system_call(SYS_process_vm_readv, system_process(), (long)&to, 1, (long)&from, 1, 0);
    if (likely(done >= 0 || done == -EFAULT)) return done == (long)size;
    return peek_by_words(p, out, size);
}

static size_t limit_of(int resource)
{
    struct rlimit limit;
    if (system_call_failed(system_call(SYS_prlimit64, 0, resource, 0, (long)&limit, 0, 0))) return SIZE_MAX;
    return limit.rlim_cur == RLIM_INFINITY ? SIZE_MAX : (size_t)limit.rlim_cur;
}

int os_change_limit(int process, int resource, const void *limit, void *before)
{
    long result = system_call(SYS_prlimit64, process, resource, (long)limit, (long)before, 0, 0);
    if (!system_call_failed(result)) return 0;
    errno = (int)-result;
    return -1;
}

size_t os_address_limit(void)
{
    return limit_of(RLIMIT_AS);
}

static bool was_filtered; /* when the library was loaded; written once, before there are threads */

/* A filter that has come later may kill for opening files. */
static bool may_open(void)
{
    return was_filtered || !system_calls_are_filtered();
}

bool os_read_text(const char *path, char *text, size_t size)
{
    if (!may_open()) return false;
    long file = system_call(SYS_openat, AT_FDCWD, (long)path, O_RDONLY | O_CLOEXEC, 0, 0, 0);
    if (system_call_failed(file)) return false;
    long length = system_call(SYS_read, file, (long)text, (long)size - 1, 0, 0, 0); /* kernel's files: at once */
    (void)system_call(SYS_close, file, 0, 0, 0, 0, 0);
    if (length <= 0) return false;
    text[length] = 0;
    return true;
}

bool os_forbids_huge(void)
{
    char setting[64];
    bool known = os_read_text("/sys/kernel/mm/transparent_hugepage/enabled", setting, sizeof(setting));
    return known && __builtin_strstr(setting, "[never]");
}

/* Written once, before there are threads. */
static bool never_overcommits;
static char **given_environment;
/* A clock that the program has put in its place may call malloc, or use what a thread of our own making has not. */
static int (*clock_of_libc)(clockid_t clock, struct timespec *time) = clock_gettime;

void os_start(char **environment)
{
    char mode[4];
    given_environment = environ ? NULL : environment; /* musl gives none, and knows its own */
    was_filtered = system_calls_are_filtered();
    (void)os_process_number(); /* marks the process: not later, when a filter may forbid it */
    union {
        void *found;
        int (*function)(clockid_t clock, struct timespec *time);
    } clock = {.found = image_libc_function("clock_gettime")};
    if (clock.found) clock_of_libc = clock.function;
    never_overcommits = os_read_text("/proc/sys/vm/overcommit_memory", mode, sizeof(mode)) && mode[0] == '2';
}

bool os_memory_is_charged(void)
{
    return never_overcommits || limit_of(RLIMIT_AS) != SIZE_MAX || limit_of(RLIMIT_DATA) != SIZE_MAX;
}

uintptr_t os_break(void)
{
    return (uintptr_t)system_call(SYS_brk, 0, 0, 0, 0, 0, 0);
}

/* The program's, as the kernel tells it. */
static uintptr_t program_end(void)
{
    const ElfW(Phdr) *header = (const ElfW(Phdr) *)getauxval(AT_PHDR);
    size_t count = header ? getauxval(AT_PHNUM) : 0;
    uintptr_t moved_by = 0;
    uintptr_t end = 0;
    for (size_t i = 0; i < count; i++) {
        if (header[i].p_type == PT_PHDR) moved_by = (uintptr_t)header - header[i].p_vaddr;
        if (header[i].p_type == PT_LOAD && header[i].p_vaddr + header[i].p_memsz > end)
            end = header[i].p_vaddr + header[i].p_memsz;
    }
    return end > 0 ? moved_by + end : 0;
}

/* A program that the dynamic linker was told to run lies elsewhere: then what was in use before is not seen. */
uintptr_t os_break_start(uintptr_t seen)
{
    uintptr_t end = program_end();
    return end > 0 && end <= seen ? end : seen;
}

static struct timespec read_clock(clockid_t clock)
{
    struct timespec now = {0, 0};
    int saved = errno;
    (void)clock_of_libc(clock, &now);
    errno = saved; /* a filter may refuse what the processor's clock is asked by */
    return now;
}

uint64_t os_now_ms(void)
{
    struct timespec now = read_clock(CLOCK_MONOTONIC_COARSE); /* through the vDSO: no system call */
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t os_now_ns(void)
{
    struct timespec now = read_clock(CLOCK_MONOTONIC);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void os_wait(const uint32_t *word, uint32_t value)
{
    (void)system_call(SYS_futex, (long)word, WAIT_PRIVATE, (long)value, 0, 0, 0);
}

void os_wake_one(const uint32_t *word)
{
    (void)system_call(SYS_futex, (long)word, WAKE_PRIVATE, 1, 0, 0, 0);
}

static char **all_variables(void)
{
    return environ ? environ : given_environment;
}

const char *os_environment(const char *name)
{
    size_t length = __builtin_strlen(name);
    if (getauxval(AT_SECURE)) return NULL;
    for (char **variable = all_variables(); variable && *variable; variable++) {
        const char *text = *variable;
        if (__builtin_strncmp(text, name, length) == 0 && text[length] == '=') return text + length + 1;
    }
    return NULL;
}

bool os_environment_has_prefix(const char *prefix)
{
    size_t length = __builtin_strlen(prefix);
    for (char **variable = all_variables(); variable && *variable; variable++)
        if (__builtin_strncmp(*variable, prefix, length) == 0) return true;
    return false;
}

/* ---- where messages go ---- */

enum { KEPT_OUTPUT_MIN = 100 }; /* where no program expects its next descriptor */

static int output = STDERR_FILENO;
static int kept_output = -1;      /* a copy of standard error, while nobody closes it */
static struct stat kept_identity; /* and what it is */

static bool identify(int file, struct stat *identity)
{
    return !system_call_failed(system_call(SYS_fstat, file, (long)identity, 0, 0, 0, 0));
}

static bool is_kept(int file)
{
    struct stat now;
    return identify(file, &now) && now.st_dev == kept_identity.st_dev && now.st_ino == kept_identity.st_ino;
}

COLD void os_keep_output(void)
{
    if (system_calls_are_filtered() || !identify(STDERR_FILENO, &kept_identity)) return;
    long copy = system_call(SYS_fcntl, STDERR_FILENO, F_DUPFD_CLOEXEC, KEPT_OUTPUT_MIN, 0, 0, 0);
    if (!system_call_failed(copy)) kept_output = (int)copy;
}

COLD bool os_find_output(void)
{
    if (kept_output < 0 || system_calls_are_filtered() || is_kept(STDERR_FILENO)) return true;
    if (!is_kept(kept_output)) return false;
    output = kept_output;
    return true;
}

/* Returns what the last write returned. */
static long write_all(const char *text, size_t length)
{
    long written = 0;
    while (length > 0) {
        written = system_call(SYS_write, output, (long)text, (long)length, 0, 0, 0);
        if (written == -EINTR) continue;
        if (written <= 0) break;
        text += written;
        length -= (size_t)written;
    }
    return written;
}

static const uint64_t broken_pipe = UINT64_C(1) << (SIGPIPE - 1);

static bool broken_pipe_is_pending(void)
{
    uint64_t pending = 0;
    (void)system_call(SYS_rt_sigpending, (long)&pending, sizeof(pending), 0, 0, 0, 0);
    return (pending & broken_pipe) != 0;
}

/* Where nobody reads standard error, the thread is sent SIGPIPE: it is held back, and taken away. */
void os_print(const char *text, size_t length)
{
    struct timespec none = {0};
    uint64_t before = 0;
    if (system_calls_are_filtered()) { /* README.md does not list the calls */
        (void)write_all(text, length);
        return;
    }
    (void)system_call(SYS_rt_sigprocmask, SIG_BLOCK, (long)&broken_pipe, (long)&before, sizeof(before), 0, 0);
    bool is_others = broken_pipe_is_pending();
    if (write_all(text, length) == -EPIPE && !is_others)
        (void)system_call(SYS_rt_sigtimedwait, (long)&broken_pipe, 0, (long)&none, sizeof(broken_pipe), 0, 0);
    (void)system_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, sizeof(before), 0, 0);
}

_Noreturn void os_abort(void)
{
    abort();
}

_Noreturn void os_abort_without_handler(void)
{
    (void)signal(SIGABRT, SIG_DFL);
    abort();
}
