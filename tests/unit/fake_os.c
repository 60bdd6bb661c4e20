/* fake_os.c - os.h for tests: real memory, a clock that stands still, and failure on request.
 *
 * Uses:    libc's mmap and friends, fake_thread.c. Included by src/hakmem.c in place of os/linux.c.
 * Callers: the library, through os.h; tests, through fake_os.h.
 * Locks:   none; counters are atomic, so that tests may have threads. Rules are set while no other
 *          thread runs.
 *
 * I1  a call that fails on request changes nothing, as os.h promises
 * I2  os_purge() that is not refused really takes the contents
 * I3  errno is kept
 */
#include "fake_os.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../../src/os/os.h"

enum { FAKE_PAGE = 4096, FAKE_VARIABLES = 32, FAKE_FILES = 32 };

struct fake_os fake = {
    .now_ms = 1000000,
    .threads_refused = true,
    .address_limit = SIZE_MAX,
    .address_bytes_max = SIZE_MAX,
    .map_bytes_max = SIZE_MAX,
};

static struct {
    const char *name;
    const char *value;
} fake_variable[FAKE_VARIABLES];

static struct {
    const char *path;
    const char *text;
} fake_file[FAKE_FILES];

/* ---- for tests ---- */

void fake_fail(enum fake_call call, uint64_t from, uint64_t count)
{
    fake.fail_from[call] = fake.calls[call] + from;
    fake.fail_count[call] = count;
}

void fake_fail_also(enum fake_call call, uint64_t number)
{
    fake.fail_also[call] = fake.calls[call] + number;
}

void fake_fail_every(enum fake_call call, uint64_t k)
{
    fake.fail_every[call] = k;
}

void fake_fail_nothing(void)
{
    memset(fake.fail_from, 0, sizeof(fake.fail_from));
    memset(fake.fail_also, 0, sizeof(fake.fail_also));
    memset(fake.fail_every, 0, sizeof(fake.fail_every));
}

const char *fake_take_printed(void)
{
    static char taken[sizeof(fake.printed)];
    memcpy(taken, fake.printed, fake.printed_length);
    taken[fake.printed_length] = 0;
    fake.printed_length = 0;
    return taken;
}

void fake_set_environment(const char *name, const char *value)
{
    for (int i = 0; i < FAKE_VARIABLES; i++) {
        if (fake_variable[i].name && strcmp(fake_variable[i].name, name) != 0) continue;
        fake_variable[i].name = name;
        fake_variable[i].value = value;
        return;
    }
    abort();
}

void fake_set_file(const char *path, const char *text)
{
    for (int i = 0; i < FAKE_FILES; i++) {
        if (fake_file[i].path && strcmp(fake_file[i].path, path) != 0) continue;
        fake_file[i].path = path;
        fake_file[i].text = text;
        return;
    }
    abort();
}

const char *fake_call_name(enum fake_call call)
{
    static const char *const names[FAKE_CALLS] = {
        "os_reserve",  "os_reserve_readable", "os_commit", "os_uncommit", "os_map", "os_unmap", "os_remap",
        "os_remap_to", "os_purge",            "os_fill_huge", "os_peek",   "any",
    };
    return names[call];
}

/* ---- failing ---- */

static bool fake_rule_applies(enum fake_call call)
{
    uint64_t number = __atomic_add_fetch(&fake.calls[call], 1, __ATOMIC_SEQ_CST);
    uint64_t from = fake.fail_from[call];
    if (from != 0 && number >= from && number - from < fake.fail_count[call]) return true;
    if (number == fake.fail_also[call]) return true;
    return fake.fail_every[call] != 0 && number % fake.fail_every[call] == 0;
}

static void fake_count_failure(enum fake_call call)
{
    __atomic_add_fetch(&fake.failures[call], 1, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&fake.failures[FAKE_ANY], 1, __ATOMIC_SEQ_CST);
}

static bool fake_fails(enum fake_call call)
{
    bool one = fake_rule_applies(call);
    bool any = fake_rule_applies(FAKE_ANY);
    if (one || any) fake_count_failure(call);
    return one || any;
}

/* false = the process may not have so much. */
static bool fake_charge(size_t size)
{
    if (size > fake.map_bytes_max) return false;
    size_t now = __atomic_add_fetch(&fake.address_bytes, size, __ATOMIC_SEQ_CST);
    if (now <= fake.address_bytes_max) return true;
    __atomic_sub_fetch(&fake.address_bytes, size, __ATOMIC_SEQ_CST);
    return false;
}

static void fake_discharge(size_t size)
{
    __atomic_sub_fetch(&fake.address_bytes, size, __ATOMIC_SEQ_CST);
}

static void fake_raise(uintptr_t *word, uintptr_t to)
{
    uintptr_t now = __atomic_load_n(word, __ATOMIC_SEQ_CST);
    while (now < to && !__atomic_compare_exchange_n(word, &now, to, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) continue;
}

/* The address for a mapping, where tests want the same in every run: one behind the other. */
static void *fake_take_place(size_t size)
{
    if (fake.place == 0) return NULL;
    uintptr_t at = __atomic_fetch_add(&fake.place, size + fake.place_gap, __ATOMIC_SEQ_CST);
    fake_raise(&fake.place_most, at + size);
    return (void *)at;
}

/* The last place is used again, as the kernel does. */
static void fake_give_place(uintptr_t at, size_t size)
{
    uintptr_t next = at + size + fake.place_gap;
    if (fake.place != 0) __atomic_compare_exchange_n(&fake.place, &next, at, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static void *fake_mmap(enum fake_call call, size_t size, int protection)
{
    if (fake_fails(call)) return NULL;
    int saved = errno;
    void *p = MAP_FAILED;
    if (size % FAKE_PAGE != 0) abort(); /* the caller's duty */
    if (fake_charge(size)) {
        void *at = fake_take_place(size);
        int fixed = at ? MAP_FIXED_NOREPLACE : 0;
        p = mmap(at, size, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | fixed, -1, 0);
        if (p == MAP_FAILED) fake_discharge(size);
    }
    if (p == MAP_FAILED) fake_count_failure(call);
    errno = saved;
    return p == MAP_FAILED ? NULL : p;
}

/* ---- os.h: memory ---- */

size_t os_page_size(void)
{
    return FAKE_PAGE;
}

void *os_reserve(size_t size)
{
    return fake_mmap(FAKE_RESERVE, size, PROT_NONE);
}

void *os_reserve_readable(size_t size)
{
    return fake_mmap(FAKE_RESERVE_READABLE, size, PROT_READ);
}

bool os_commit(void *p, size_t size)
{
    if (fake_fails(FAKE_COMMIT)) return false;
    int saved = errno;
    bool done = mprotect(p, size, PROT_READ | PROT_WRITE) == 0;
    errno = saved;
    return done;
}

bool os_uncommit(void *p, size_t size)
{
    if (fake_fails(FAKE_UNCOMMIT)) return false;
    int saved = errno;
    bool done = mmap(p, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == p;
    errno = saved;
    return done;
}

void *os_map(size_t size)
{
    return fake_mmap(FAKE_MAP, size, PROT_READ | PROT_WRITE);
}

bool os_unmap(void *p, size_t size)
{
    if (fake_fails(FAKE_UNMAP) || (p == fake.never_unmapped && p)) {
        if (fake.while_refusing) fake.while_refusing();
        return false;
    }
    int saved = errno;
    bool done = munmap(p, size) == 0;
    if (done) fake_discharge(size);
    if (done) fake_give_place((uintptr_t)p, size);
    if (done && fake.while_unmapping) fake.while_unmapping();
    errno = saved;
    return done;
}

enum remap_result os_remap(void *p, size_t size, size_t new_size)
{
    if (fake_fails(FAKE_REMAP)) return fake.remap_is_final ? REMAP_REFUSED : REMAP_NO_ROOM;
    if (new_size > size && !fake_charge(new_size - size)) return REMAP_NO_ROOM;
    int saved = errno;
    bool done = mremap(p, size, new_size, 0) != MAP_FAILED;
    if (done && new_size < size) fake_discharge(size - new_size);
    if (done && new_size < size && fake.while_unmapping) fake.while_unmapping();
    if (!done && new_size > size) fake_discharge(new_size - size);
    if (done && fake.place != 0) { /* it may have grown over the next place */
        fake_raise(&fake.place, (uintptr_t)p + new_size);
        fake_raise(&fake.place_most, (uintptr_t)p + new_size);
    }
    errno = saved;
    return done ? REMAP_DONE : REMAP_NO_ROOM;
}

/* Beforehand the mapping and the reservation are charged, afterwards only what they have become; in between the growth
 * as well, as by Linux since 6.17. */
bool os_remap_to(void *p, size_t size, size_t new_size, void *to)
{
    bool fails = fake_fails(FAKE_REMAP_TO);
    int saved = errno;
    if (!fails) {
        fails = !fake_charge(new_size - size);
        if (!fails) fake_discharge(new_size - size);
    }
    if (fails && fake.while_refusing) fake.while_refusing();
    if (fails && munmap(to, new_size) == 0) fake_discharge(new_size);
    bool done = !fails && mremap(p, size, new_size, MREMAP_MAYMOVE | MREMAP_FIXED, to) != MAP_FAILED;
    if (done) fake_discharge(size);
    errno = saved;
    return done;
}

void os_allow_huge(void *p, size_t size, bool allow)
{
    unsigned i = __atomic_fetch_add(&fake.huge_count, 1, __ATOMIC_SEQ_CST);
    if (i < sizeof(fake.huge) / sizeof(fake.huge[0]))
        fake.huge[i] = (struct fake_huge){.base = (uintptr_t)p, .size = size, .allow = allow};
}

bool os_has_memory(const void *p)
{
    unsigned char present = 0;
    return mincore((void *)(uintptr_t)p, FAKE_PAGE, &present) == 0 && (present & 1);
}

bool os_fill_huge(void *p, size_t size)
{
    (void)p;
    (void)size;
    if (fake.while_filling) fake.while_filling();
    __atomic_fetch_add(&fake.now_ns, fake.fill_ns, __ATOMIC_SEQ_CST);
    return !fake_fails(FAKE_FILL_HUGE);
}

size_t os_count_present(const void *p, size_t size)
{
    size_t count = 0;
    for (size_t at = 0; at < size; at += FAKE_PAGE) count += os_has_memory((const char *)p + at);
    return count;
}

bool os_forbids_huge(void)
{
    return fake.huge_are_forbidden;
}

bool os_collapse(void *p, size_t size)
{
    (void)p;
    (void)size;
    __atomic_add_fetch(&fake.now_ns, fake.fill_ns, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&fake.collapses, 1, __ATOMIC_SEQ_CST);
    return !fake.collapse_refused;
}

bool os_purge(void *p, size_t size)
{
    __atomic_store_n(&fake.purged, p, __ATOMIC_RELAXED);
    __atomic_store_n(&fake.purged_size, size, __ATOMIC_RELAXED);
    __atomic_add_fetch(&fake.now_ns, fake.purge_ns, __ATOMIC_SEQ_CST);
    if (fake.while_purging) fake.while_purging();
    if (fake_fails(FAKE_PURGE)) return false;
    int saved = errno;
    bool done = madvise(p, size, MADV_DONTNEED) == 0;
    errno = saved;
    return done;
}

bool os_peek(const void *p, void *out, size_t size)
{
    if (fake_fails(FAKE_PEEK)) return false;
    int saved = errno;
    struct iovec to = {.iov_base = out, .iov_len = size};
    struct iovec from = {.iov_base = (void *)(uintptr_t)p, .iov_len = size};
    bool done = process_vm_readv(getpid(), &to, 1, &from, 1, 0) == (ssize_t)size;
    errno = saved;
    return done;
}

int os_change_limit(int process, int resource, const void *limit, void *before)
{
    return prlimit(process, (enum __rlimit_resource)resource, limit, before);
}

size_t os_address_limit(void)
{
    return fake.address_limit;
}

bool os_memory_is_charged(void)
{
    return fake.memory_is_charged;
}

void os_start(char **environment)
{
    (void)environment;
}

bool os_read_text(const char *path, char *text, size_t size)
{
    __atomic_add_fetch(&fake.files_read, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < FAKE_FILES; i++) {
        if (!fake_file[i].path || !fake_file[i].text || strcmp(fake_file[i].path, path) != 0) continue;
        size_t length = strlen(fake_file[i].text);
        if (length > size - 1) length = size - 1;
        memcpy(text, fake_file[i].text, length);
        text[length] = 0;
        return length > 0;
    }
    return false;
}

uintptr_t os_break(void)
{
    return fake.break_end;
}

uintptr_t os_break_start(uintptr_t seen)
{
    return seen;
}

/* ---- os.h: time, threads, process ---- */

uint64_t os_now_ns(void)
{
    return __atomic_load_n(&fake.now_ns, __ATOMIC_SEQ_CST);
}

uint64_t os_now_ms(void)
{
    return __atomic_load_n(&fake.now_ms, __ATOMIC_SEQ_CST);
}

void os_wait(const uint32_t *word, uint32_t value)
{
    int saved = errno;
    __atomic_add_fetch(&fake.waits, 1, __ATOMIC_SEQ_CST);
    if (fake.while_waiting) fake.while_waiting();
    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
    errno = saved;
}

void os_wake_one(const uint32_t *word)
{
    int saved = errno;
    __atomic_add_fetch(&fake.wakes, 1, __ATOMIC_SEQ_CST);
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    errno = saved;
}

#include "fake_thread.c"

const char *os_environment(const char *name)
{
    for (int i = 0; i < FAKE_VARIABLES; i++)
        if (fake_variable[i].name && strcmp(fake_variable[i].name, name) == 0) return fake_variable[i].value;
    return NULL;
}

bool os_environment_has_prefix(const char *prefix)
{
    for (int i = 0; i < FAKE_VARIABLES; i++)
        if (fake_variable[i].value && strncmp(fake_variable[i].name, prefix, strlen(prefix)) == 0) return true;
    return false;
}

void os_keep_output(void) {}

bool os_find_output(void)
{
    return true;
}

/* Text beyond the buffer is lost; no test prints so much. */
void os_print(const char *text, size_t length)
{
    int saved = errno;
    if (fake.print_through && write(STDERR_FILENO, text, length) < 0) abort();
    size_t at = __atomic_fetch_add(&fake.printed_length, length, __ATOMIC_SEQ_CST);
    if (at + length < sizeof(fake.printed)) memcpy(fake.printed + at, text, length);
    errno = saved;
}

_Noreturn void os_abort_without_handler(void)
{
    os_abort();
}

_Noreturn void os_abort(void)
{
    fake.aborts++;
    if (fake.abort_to) longjmp(*fake.abort_to, 1);
    abort();
}
