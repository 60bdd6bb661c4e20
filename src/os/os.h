/* os.h - the system, as hakmem needs it: a handful of functions.
 *
 * Implemented by linux.c, and by the tests' fake, which fails on request. Nothing else in the library
 * knows a system call. No function here allocates or takes a lock, and none but os_change_limit() changes errno:
 * each reports failure by its result. Sizes and addresses of mappings are multiples of os_page_size().
 */
#ifndef HAK_OS_OS_H
#define HAK_OS_OS_H

#include "../base/compiler.h"

/* ---- memory ---- */

INTERNAL size_t os_page_size(void);

/* Address space without memory: unreadable, or reading as zero. NULL = refused. */
INTERNAL void *os_reserve(size_t size);
INTERNAL void *os_reserve_readable(size_t size);

/* Makes part of a reservation writable. false = refused, nothing has changed. */
INTERNAL bool os_commit(void *p, size_t size);

/* Undoes that: contents, memory and what is charged for it go. false = refused, nothing has changed. */
INTERNAL bool os_uncommit(void *p, size_t size);

/* Zeroed, writable memory. NULL = refused. */
INTERNAL void *os_map(size_t size);

/* Gives a mapping and its addresses back. false = refused (too many mappings), all is still there. */
INTERNAL bool os_unmap(void *p, size_t size);

/* Grows or shrinks a mapping made by os_map where it is. Where that is refused, nothing has changed. */
enum remap_result {
    REMAP_DONE,
    REMAP_NO_ROOM, /* here; another place may do */
    REMAP_REFUSED, /* and at another place it would be: such as where part of it was locked or advised on */
};
INTERNAL enum remap_result os_remap(void *p, size_t size, size_t new_size);

/* Grows it at another place, which a reservation of new_size holds. false = refused: the mapping is as it was, and the
 * reservation is given back. */
INTERNAL bool os_remap_to(void *p, size_t size, size_t new_size, void *to);

/* Gives the memory back and keeps the addresses; they read as zero. false = refused: contents are
 * as they were. */
INTERNAL bool os_purge(void *p, size_t size);

/* Huge pages, where the system has them: allowed or forbidden for memory that is touched from now on. A hint; each
 * change of mind within a mapping costs the process one of its mappings. */
INTERNAL void os_allow_huge(void *p, size_t size, bool allow);

/* true = the page at p has memory. */
INTERNAL bool os_has_memory(const void *p);

/* Fills `size` bytes without memory with one huge page, and forbids them another. false = there was none: they have
 * a small page or none. `size` and p are multiples of a huge page, or it fails. */
INTERNAL bool os_fill_huge(void *p, size_t size);

/* Pages with memory among these. size is at most 2 MiB. */
INTERNAL size_t os_count_present(const void *p, size_t size);

/* true = the system's setting is `never`, which os_collapse() would not keep to. Opens a file. */
INTERNAL bool os_forbids_huge(void);

/* Copies `size` bytes that are in use into a huge page, in place; as the other as to size and p. Bytes without memory
 * become zero. false = there was none, or the system cannot (before Linux 6.1), or a seccomp filter may kill for it. */
INTERNAL bool os_collapse(void *p, size_t size);

/* Copies from an address that may not be mapped. false = it is not. */
INTERNAL bool os_peek(const void *p, void *out, size_t size);

/* Most address space that the process may have (RLIMIT_AS); SIZE_MAX = no limit. */
INTERNAL size_t os_address_limit(void);

/* Sets and reads a limit of a process (0 = this one), as prlimit() does: 0, or -1 with errno. */
INTERNAL int os_change_limit(int process, int resource, const void *limit, void *before);

/* true = memory that was given back and stays mapped counts against a limit of the process (RLIMIT_AS, RLIMIT_DATA), or
 * of a system that does not overcommit. */
INTERNAL bool os_memory_is_charged(void);

/* Once, when the library is loaded: looks how the system commits memory. Before, it is taken to overcommit. Not later:
 * a program may have forbidden itself to open files by then. Nor by a mapping that only an overcommitting system
 * grants: under mlockall(MCL_FUTURE) all of it would be filled.
 * `environment` is the program's, where libc may not have its own yet. */
INTERNAL void os_start(char **environment);

/* Reads a text file from its beginning, as much as fits with a closing zero; without stdio. false = it cannot be read.
 * When the library is loaded, and later only on a thread of its own, or where the process has but one. */
INTERNAL bool os_read_text(const char *path, char *text, size_t size);

/* What is known of the memory of the process's control group (cgroup v2) and those around it. In cgroup.c. */
struct os_pressure {
    size_t limit;        /* least of all memory.max and memory.high; SIZE_MAX = there is none, or it is not known */
    uint32_t percent;    /* most that some group uses of its limit, up to 100, idle pages of files aside */
    uint32_t stall;      /* hundredths of a percent of the last ten seconds in which somebody waited for memory */
    uint32_t processors; /* least cpu.max, rounded up; 0 = none */
};

/* Opens files: see os_read_text(). What cannot be read counts as no limit and no pressure. */
INTERNAL void os_pressure(struct os_pressure *out);

/* Its limit alone, for which fewer files will do. */
INTERNAL size_t os_memory_limit(void);

/* End of the program's break segment, where libc's own allocator lives. hakmem never moves it. */
INTERNAL uintptr_t os_break(void);

/* Where that segment begins, or a little before: the end of the program's own data. Nothing else lies between. Where
 * that is not known, `seen`, a result of os_break() from before libc's allocator was used. */
INTERNAL uintptr_t os_break_start(uintptr_t seen);

/* ---- time, threads, process ---- */

INTERNAL uint64_t os_now_ms(void); /* monotonic, coarse (a few ms); libc's, which makes no system call */
INTERNAL uint64_t os_now_ns(void); /* monotonic, fine; as the other, where the processor has a clock */
INTERNAL void os_wait(const uint32_t *word, uint32_t value); /* sleeps while *word == value; may wake early */
INTERNAL void os_wake_one(const uint32_t *word);
INTERNAL const char *os_environment(const char *name); /* NULL in a setuid program */
INTERNAL bool os_environment_has_prefix(const char *prefix);

/* Writes to standard error. Incomplete writes are tried again; errors are not reported anywhere, nor by a signal, where
 * no seccomp filter is in force. */
INTERNAL void os_print(const char *text, size_t length);

/* For who will print at the end: programs close standard error before, or open a file in its place. Keeps a copy, which
 * exec closes. Then: finds the one that is still what it was. false = there is none. Where a seccomp filter is in
 * force, nothing is kept, and descriptor 2 is taken as it is. */
INTERNAL void os_keep_output(void);
INTERNAL bool os_find_output(void);
_Noreturn void os_abort(void) LINKED_AS("hak_os_abort");
INTERNAL _Noreturn void os_abort_without_handler(void); /* the program's for SIGABRT has had its turn */

#endif
