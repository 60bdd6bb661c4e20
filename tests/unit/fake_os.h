/* fake_os.h - what a test can tell the fake system, and ask it. See fake_os.c.
 *
 * Uses: compiler. Callers: the unit tests, which include the library with -DHAK_FAKE_OS.
 */
#ifndef HAKMEM_TESTS_FAKE_OS_H
#define HAKMEM_TESTS_FAKE_OS_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Every function of os.h that may fail. FAKE_ANY counts and fails them together. */
enum fake_call {
    FAKE_RESERVE,
    FAKE_RESERVE_READABLE,
    FAKE_COMMIT,
    FAKE_UNCOMMIT,
    FAKE_MAP,
    FAKE_UNMAP,
    FAKE_REMAP,
    FAKE_REMAP_TO,
    FAKE_PURGE,
    FAKE_FILL_HUGE,
    FAKE_PEEK,
    FAKE_ANY,
    FAKE_CALLS,
};

#define FAKE_FOR_GOOD UINT64_MAX

struct fake_os {
    uint64_t calls[FAKE_CALLS];    /* so far, failed ones included */
    uint64_t failures[FAKE_CALLS]; /* so far, on request or for want of address space */
    uint64_t fail_from[FAKE_CALLS];  /* number of the first call that fails; 0 = none */
    uint64_t fail_count[FAKE_CALLS]; /* how many fail from there on */
    uint64_t fail_also[FAKE_CALLS];  /* number of one more call that fails; 0 = none */
    uint64_t fail_every[FAKE_CALLS]; /* every k-th call fails; 0 = none */
    bool remap_is_final;           /* a failed os_remap() says that another place will not do either */
    const void *never_unmapped;    /* os_unmap() of what begins here is refused */
    uint64_t now_ms;               /* moved by tests only */
    uint64_t fill_ns;              /* what os_fill_huge() and os_collapse() take */
    uint64_t collapses;            /* so far */
    bool collapse_refused;
    uint64_t purge_ns;             /* what os_purge() takes */
    uint64_t now_ns;               /* moved by these */
    size_t address_limit;          /* what os_address_limit() says */
    bool memory_is_charged;        /* what os_memory_is_charged() says */
    size_t address_bytes;          /* reserved or mapped now */
    size_t address_bytes_max;      /* more is refused */
    size_t map_bytes_max;          /* os_map and os_reserve of more than this at once are refused */
    uintptr_t place;               /* where the next mapping goes; 0 = where the kernel likes */
    uintptr_t place_most;          /* the end of the highest so far */
    size_t place_gap;              /* left free behind each */
    uintptr_t break_end;
    struct fake_huge {
        uintptr_t base;
        size_t size;
        bool allow;
    } huge[64];                    /* what os_allow_huge() was told, latest last */
    unsigned huge_count;
    void (*while_filling)(void);   /* what other threads do during os_fill_huge() */
    uint64_t waits, wakes;
    void (*while_waiting)(void);   /* what others do during os_wait() */
    void (*while_purging)(void);   /* and during os_purge() */
    void (*while_unmapping)(void); /* and during os_unmap() and a shrinking os_remap(), when it is done */
    void (*while_refusing)(void);  /* and during os_unmap() and os_remap_to(), when they are refused */
    bool threads_refused;          /* what os_thread_start() says; at first it refuses: nobody would run it */
    int (*thread_main)(bool alone); /* of the last thread started; the test runs it where it wants */
    uint64_t thread_starts, thread_joins;
    void (*while_starting)(void);  /* what others do during os_thread_start() */
    bool others_run;               /* the process has other threads */
    bool threads_sleep;            /* what os_thread_sleeps() says */
    uint64_t looks;                /* its calls */
    bool sleep_is_hidden;          /* what os_thread_sleep_shows() denies */
    bool huge_are_forbidden;       /* what os_forbids_huge() says */
    void *purged;                  /* where os_purge() was last asked to, and how much */
    size_t purged_size;
    bool rights_were_given_up;     /* what os_thread_outlives_rights() says */
    void (*while_sleeping)(void);  /* what others do during os_wait_for() */
    uint64_t files_read;           /* calls of os_read_text() */
    jmp_buf *abort_to;             /* os_abort() jumps there; NULL = the process dies */
    unsigned aborts;
    bool print_through;            /* copy what is printed to standard error */
    char printed[1 << 16];
    size_t printed_length;
};

extern struct fake_os fake;

/* The from-th call from now on fails, and count - 1 after it. from counts from 1. */
void fake_fail(enum fake_call call, uint64_t from, uint64_t count);
void fake_fail_also(enum fake_call call, uint64_t number); /* and that one, counted from now on */
void fake_fail_every(enum fake_call call, uint64_t k);
void fake_fail_nothing(void);

/* The text printed so far, and an empty buffer for what follows. */
const char *fake_take_printed(void);

/* name must stay valid; value NULL = unset. */
void fake_set_environment(const char *name, const char *value);

/* What os_read_text() finds there. path and text must stay valid; text NULL = no such file, as is everything else. */
void fake_set_file(const char *path, const char *text);

const char *fake_call_name(enum fake_call call);

#endif
