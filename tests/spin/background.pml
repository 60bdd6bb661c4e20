/* background.pml - the library's own thread, which nobody may meet in a program of one thread:
 * src/service/background.c, detach() and heap_attach() of src/cache/attach.c.
 *
 * Two threads of the program have a heap. One leaves; the other polls at a visit, and then joins the first and does
 * what only a process of one thread may do (unshare(), setns()). A third may be born and end in between.
 *
 * Claims: when the last but one thread is gone and the last one is not in the library, the library's thread is
 * gone, too; there is never more than one; it never waits for itself to be told.
 *
 * quick: -DBIRTHS=0
 * full: -DBIRTHS=1
 * full: -DBIRTHS=2
 * mutant ALONE_BEFORE_COUNT: who leaves looks for the library's thread before it is counted out
 * mutant START_LOOKS_ONCE: who starts the thread does not look again whether it is wanted
 * mutant NO_JOIN: who leaves last does not wait for the thread's end
 * mutant TWO_STARTS: the right to start is not taken in one step
 */
#include "common.h"

#define NOBODY 0
#define STARTING 9

byte threads = 2;    /* heap_threads */
byte id;             /* background.id */
bool stop;           /* background_stop */
bool has_end;        /* heap_when_alone is background_end() */
byte there;          /* library's threads that the system has */
byte finished;       /* threads that have left, and can be joined */

#define IS_WANTED (threads > 1)

/* background_main(); the system clears the id when the thread is gone */
proctype background()
{
    byte rounds = 0;
    do
    :: IS_WANTED && rounds < 1 ->
        rounds++;
        stop || !IS_WANTED || rounds == 1; /* os_wait_for(): told, or the time is over */
        if
        :: stop -> break
        :: else
        fi
    :: else -> break
    od;
    atomic { there--; id = NOBODY }
}

inline background_end()
{
    number = id;
    if
    :: IS_WANTED || number == NOBODY || number == STARTING
    :: else ->
        stop = true;
#ifndef MUTANT_NO_JOIN
        id != number /* os_thread_join() */
#endif
    fi
}

inline background_start()
{
    if
#ifdef MUTANT_TWO_STARTS
    :: id == NOBODY -> id = STARTING;
#else
    :: atomic { id == NOBODY -> id = STARTING };
#endif
        stop = false;
        has_end = true;
        if
        :: atomic { id = 1; there++; assert(there <= 1); run background() };
#ifndef MUTANT_START_LOOKS_ONCE
            background_end()
#endif
        :: id = NOBODY /* refused */
        fi
    :: atomic { id != NOBODY -> skip }
    fi
}

inline background_poll()
{
    if
    :: IS_WANTED && id == NOBODY -> background_start()
    :: else
    fi
}

/* the end of detach() */
inline detach()
{
#ifdef MUTANT_ALONE_BEFORE_COUNT
    alone = has_end;
    d_step { count = threads; threads-- }
#else
    d_step { count = threads; threads-- }
    alone = has_end;
#endif
    if
    :: count <= 2 && alone -> background_end()
    :: else
    fi
}

proctype leaving()
{
    byte number, count;
    bool alone;
    background_poll();
    detach();
    finished++
}

/* A thread that is born late: heap_attach(), a visit, detach() */
proctype late()
{
    byte number, count;
    bool alone;
    threads++;
    background_poll();
    detach();
    finished++
}

init
{
    byte number, count, i;
    atomic { run leaving() }
#if BIRTHS > 0
    run late();
#endif
#if BIRTHS > 1
    run late();
#endif
    background_poll();
    finished == 1 + BIRTHS; /* pthread_join() of all others */
    background_poll();
    assert(there == 0)
}
