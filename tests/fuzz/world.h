/* world.h - what the fuzz targets heap and threads know of the heap while they give calls to it: the shadow.
 *
 * Uses: library.h, fuzz.h, tests/model/held.h. Callers: world.c runs an input; calls.c and settings.c have its
 * operations.
 *
 * An actor is a thread that makes calls, and the blocks it holds. Actors work by turns, so one input gives the same
 * calls in every run; but in a race, where each works on its own blocks and on nothing else of the world.
 */
#ifndef HAKMEM_TESTS_FUZZ_WORLD_H
#define HAKMEM_TESTS_FUZZ_WORLD_H

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>

#include "fuzz.h"
#include "library.h"

/* Page faults are what an input costs: few pages are touched. */
#define HELD_DENSE 2048
#define HELD_STEP(usable) ((usable) > (1 << 20) ? (size_t)512 << 10 : (size_t)16 << 10)
#include "../model/held.h"

#ifndef FUZZ_ACTORS
#define FUZZ_ACTORS 1
#endif

#ifndef FUZZ_SANITIZED
#define FUZZ_SANITIZED 0 /* 1: the C library has another malloc */
#endif

enum {
    LIVE_MAX = 256,             /* of an actor */
    BULK_MAX = 64,              /* blocks by one operation */
    OPERATIONS_MAX = 20000,     /* of an input */
    FORKS_MAX = 1,              /* of an input */
    CERTAIN_BYTES = 80 << 20,   /* nobody may refuse so much without a reason */
};

enum task { TASK_TURN, TASK_RACE, TASK_END };

struct actor {
    unsigned number;
    unsigned live;
    struct held block[LIVE_MAX];
    /* of those that are threads of their own: */
    bool is_alive;
    pthread_t thread;
    sem_t go, done;
    enum task task;
    unsigned turn;           /* operations of a turn */
    struct input race;       /* operations of a race */
};

struct world {
    struct input in;
    struct actor actor[FUZZ_ACTORS];
    bool racing;             /* actors run at once: only their own blocks may be touched */
    unsigned check_every;    /* operations; a power of two */
    bool bounded;            /* a limit, too, can be the reason of a refusal */
    bool loaded;             /* library_load() was called */
    bool calls_at_exit;      /* threads allocate when their keys are destroyed */
    bool ends_by_abort;      /* misuse ends the input */
    size_t soft, hard;       /* as set; 0 = none */
    size_t most_by_blocks;   /* what blocks may hold with the hard limit, and what they held when it was set */
    unsigned inside_callback, callbacks;
    uint64_t operations, refusals, births, forks, mark; /* shared */
    jmp_buf aborted;
};

extern struct world world;

/* Makes the next operation of `in`. */
void operate(struct actor *a, struct input *in);

/* ---- calls.c ---- */

void call_malloc(struct actor *a, struct input *in);
void call_calloc(struct actor *a, struct input *in);
void call_aligned(struct actor *a, struct input *in);
void call_realloc(struct actor *a, struct input *in);
void call_free(struct actor *a, struct input *in);
void call_null(struct actor *a, struct input *in);
void call_look(struct actor *a, struct input *in);
void call_many_mallocs(struct actor *a, struct input *in);
void call_many_frees(struct actor *a, struct input *in);
void call_pass(struct actor *a, struct input *in);
void call_misuse(struct actor *a, struct input *in);
void call_foreign(struct actor *a, struct input *in);

/* Gives all blocks of an actor back. */
void release_all(struct actor *a);

/* A callback of the soft limit. */
void call_back(size_t held, size_t soft, void *context);

/* ---- settings.c ---- */

void set_world_up(struct input *in);
void set_option(struct actor *a, struct input *in);
void keep_limit(size_t hard); /* it was set */
void set_limit(struct actor *a, struct input *in);
void set_clock(struct actor *a, struct input *in);
void set_failures(struct actor *a, struct input *in);
void set_group(struct actor *a, struct input *in);
void ask_purge(struct actor *a, struct input *in);
void ask_stats(struct actor *a, struct input *in);
void ask_texts(struct actor *a, struct input *in);
void ask_check(struct actor *a, struct input *in);
void ask_background(struct actor *a, struct input *in);

/* Everything agrees when nobody moves. */
void demand_agreement(void);

#endif
