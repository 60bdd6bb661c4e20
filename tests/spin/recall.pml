/* recall.pml - a thread hits, is stopped by signals, waits and sleeps, while another calls it and flushes its bins:
 * src/cache/recall.c, src/os/sleep.c, resume() of src/cache/attach.c, release_idle_heap() of src/service/reclaim.c,
 * and what src/front/front.h and src/front/miss.c do with heap_self and heap->busy.
 *
 * The thread's hits are single loads and stores here, and between any two a signal may stop it, whose handler
 * sleeps. Two handlers, one on a stack of its own, are the same with `switched`: the frame of the first is not
 * where it is looked for. The thread also sleeps between calls, and where it waits for a lock, which leaves no
 * frame.
 *
 * With RUNS the thread's calls are about kept runs (src/cache/kept.h), and a third thread holds the arena's lock now and
 * then, for which either of the two may have to wait.
 *
 * Claims: no block is handed out twice, and none goes home that is in use; bins and outbox are never flushed half
 * written; left is the length of the list then; a sleeper that is not looked at any more has nothing; in the end a
 * thread that sleeps for good has nothing.
 *
 * quick: -DCALLS=3 -DROUNDS=2
 * quick: -DCALLS=4 -DROUNDS=2 -DRUNS=2
 * full: -DCALLS=8 -DROUNDS=2
 * full: -DCALLS=6 -DROUNDS=3
 * full: -DCALLS=5 -DROUNDS=3 -DRUNS=2
 * mutant LOOK_FIRST: the thread is called after it was seen asleep
 * mutant FRAMES_ARE_NOT_SOUGHT: a handler that waits counts as sleep
 * mutant OTHER_STACKS_ARE_NOT_SEEN: a frame on a stack of its own hides the one below
 * mutant NEVER_BUSY: what is done without the lock off the hit path is not marked
 * mutant BUSY_BEFORE_LOOK: the mark is read before the look
 * mutant FULL_FREE_IS_NOT_BUSY: a push that failed is undone without the mark
 * mutant ATTACHED_ONCE: a thread that slept behind the lock under which it took its heap goes on without another look
 * mutant RESUME_UNLOCKED: a called thread takes its heap back without the lock
 * mutant VISIT_KEEPS_FLUSHED: a visit that waited for who flushed leaves the heap called flushed
 * mutant FREE_TAKES_OLD_HEAP: a called thread frees into its bin without taking its heap back
 * mutant RUNS_GO_ONE_BY_ONE (-DCALLS=4 -DROUNDS=2 -DRUNS=2): a thread that waits to give a run has others on the books
 * mutant RUN_IS_KEPT_BY_OLD_HEAP (-DCALLS=4 -DROUNDS=2 -DRUNS=2): a called thread keeps a run without taking its heap back
 */
#include "common.h"

#define FRONT 1  /* &heap->front */
#define CALLED 2 /* &heap_called */
#define BLOCKS 2
#define NONE 0

byte self = FRONT;          /* heap_self */
byte head;                  /* the bin's list: front.bin[].head */
byte link[BLOCKS + 1];
byte left;                  /* of its budget */
bool home[BLOCKS + 1];      /* in its slab */
bool used[BLOCKS + 1];      /* the program's */
byte outbox;                /* blocks of others */
bool outbox_half;
bool busy, flushed;
bool heap_lock, common_lock;

bool asleep, frame, switched; /* what the system knows of the thread */
bool done;                  /* it sleeps for good */

/* In the library: a signal comes, or none. */
inline signal()
{
    if
    :: d_step { frame = true; asleep = true };
       if
       :: switched = true
       :: skip
       fi;
       d_step { asleep = false; frame = false; switched = false }
    :: skip
    fi
}

/* Outside of it: a system call of the program's own, a signal there included. */
inline pause()
{
    if
    :: asleep = true; asleep = false
    :: skip
    fi
}

inline wait_for(lock)
{
    if
    :: atomic { !lock -> lock = true }
    :: atomic { lock -> asleep = true }; atomic { !lock -> lock = true; asleep = false }
    fi
}

#ifdef MUTANT_ATTACHED_ONCE
#define AGAIN break
#else
#define AGAIN skip
#endif

/* own_heap(): heap_attach(), resume(). Behind the lock is code of libc's, where a handler may sleep unseen. */
inline own_heap()
{
    do
    :: self == CALLED ->
#ifdef MUTANT_RESUME_UNLOCKED
        flushed = false; self = FRONT;
#else
        wait_for(heap_lock); flushed = false; self = FRONT; UNLOCK(heap_lock);
#endif
        pause();
        AGAIN
    :: else -> break
    od
}

/* front_malloc(): b == NONE: a miss */
inline hit(b)
{
    b = NONE;
    if
    :: self == FRONT ->
        signal(); b = head; signal();
        if
        :: b != NONE -> rest = link[b]; signal(); head = rest; signal(); left--; signal()
        :: else
        fi
    :: else
    fi
}

/* heap_malloc_visit() */
inline malloc_visit(b)
{
    own_heap();
    wait_for(heap_lock);
#ifndef MUTANT_VISIT_KEEPS_FLUSHED
    flushed = false;
#endif
    if
    :: head == NONE -> d_step { /* bin_refill() */
            if
            :: home[1] -> home[1] = false; link[1] = head; head = 1; left++
            :: else
            fi;
            if
            :: home[2] -> home[2] = false; link[2] = head; head = 2; left++
            :: else
            fi
        }
    :: else
    fi;
    d_step { /* bin_pop() */
        b = head;
        if
        :: b != NONE -> head = link[b]; left--
        :: else
        fi
    }
    UNLOCK(heap_lock)
}

inline malloc()
{
    hit(b);
    if
    :: b == NONE -> malloc_visit(b)
    :: else
    fi;
    if
    :: b != NONE -> d_step { assert(!used[b] && !home[b]); used[b] = true }
    :: else
    fi
}

/* front_push(): it fails when there is no room, but counts; which is left open here. */
inline push(b, pushed)
{
    signal(); left++; signal();
    if
    :: link[b] = head; signal(); head = b; pushed = true; signal()
    :: pushed = false
    fi
}

inline heap_free_visit(b)
{
    wait_for(heap_lock);
    left--;
    d_step { link[b] = head; head = b; left++ }
    UNLOCK(heap_lock)
}

#ifdef MUTANT_NEVER_BUSY
#define SET_BUSY(is) skip
#else
#define SET_BUSY(is) busy = is
#endif
#ifdef MUTANT_FULL_FREE_IS_NOT_BUSY
#define SET_BUSY_FULL(is) skip
#else
#define SET_BUSY_FULL(is) SET_BUSY(is)
#endif
#ifdef MUTANT_FREE_TAKES_OLD_HEAP
#define OWN_HEAP_TO_FREE() skip
#else
#define OWN_HEAP_TO_FREE() own_heap()
#endif

/* front_free(), front_free_full(); slab_free(), own_free() */
inline free(b)
{
    used[b] = false;
    if
    :: self == FRONT ->
        push(b, pushed);
        if
        :: !pushed -> signal(); SET_BUSY_FULL(true); own_heap(); heap_free_visit(b); SET_BUSY_FULL(false)
        :: else
        fi
    :: else ->
        OWN_HEAP_TO_FREE(); signal();
        SET_BUSY(true);
        push(b, pushed);
        if
        :: !pushed -> heap_free_visit(b)
        :: else
        fi;
        SET_BUSY(false)
    fi
}

/* front_free_miss() and slab_free(): a block of another heap. outbox_add() may send a letter on, and wait for the common
 * heap; outbox_join() does not. */
inline free_remote()
{
    own_heap(); signal();
    SET_BUSY(true);
    outbox_half = true; signal();
    if
    :: wait_for(common_lock); UNLOCK(common_lock)
    :: skip
    fi;
    outbox++;
    outbox_half = false;
    SET_BUSY(false)
}

#ifdef RUNS
bool run_used[RUNS + 1];    /* the program's */
bool run_free[RUNS + 1];    /* the arena's */
byte kept_run[RUNS];
byte kept_count;
bool arena_lock;

/* arena_give() */
inline give_run(r)
{
    wait_for(arena_lock);
    assert(!run_free[r] && !run_used[r]);
    run_free[r] = true;
    UNLOCK(arena_lock)
}

/* heap_take_run(): nothing is waited for. Where there is none, the arena may have one. */
inline take_run(r)
{
    r = NONE;
    if
    :: self == FRONT && kept_count > 0 -> signal(); r = kept_run[kept_count - 1]; signal(); kept_count--; signal()
    :: else ->
        own_heap();
        wait_for(arena_lock);
        d_step {
            if
            :: run_free[1] -> r = 1; run_free[1] = false
            :: run_free[2] -> r = 2; run_free[2] = false
            :: else
            fi
        }
        UNLOCK(arena_lock)
    fi;
    if
    :: r != NONE -> d_step { assert(!run_used[r] && !run_free[r]); run_used[r] = true }
    :: else
    fi
}

#ifdef MUTANT_RUN_IS_KEPT_BY_OLD_HEAP
#define MAY_KEEP (true)
#else
#define MAY_KEEP (self == FRONT)
#endif

/* heap_keep_run(), else large_free() */
inline free_run(r)
{
    run_used[r] = false;
    if
    :: MAY_KEEP -> signal(); kept_run[kept_count] = r; signal(); kept_count++; signal()
    :: else -> give_run(r); own_heap()
    fi
}

/* heap_release_runs(), which large_malloc() calls without the lock */
inline release_runs()
{
    own_heap();
    count = 0;
    do
    :: kept_count > 0 ->
        signal(); r = kept_run[kept_count - 1]; signal(); kept_count--; signal();
#ifdef MUTANT_RUNS_GO_ONE_BY_ONE
        give_run(r)
#else
        old[count] = r; count++
#endif
    :: else -> break
    od;
    do
    :: count > 0 -> count--; give_run(old[count])
    :: else -> break
    od
}

inline call()
{
    if
    :: take_run(r)
    :: run_used[1] -> free_run(1)
    :: run_used[2] -> free_run(2)
    :: release_runs()
    fi
}

active proctype third()
{
    byte turns = 0;
    do
    :: turns < 2 -> LOCK(arena_lock); UNLOCK(arena_lock); turns++
    :: else -> break
    od
}
#else
inline call()
{
    if
    :: malloc()
    :: used[1] -> free(1)
    :: used[2] -> free(2)
    :: outbox < 1 -> free_remote()
    fi
}
#endif

active proctype thread()
{
#ifdef RUNS
    byte r, count;
    byte old[RUNS];
    run_used[1] = true;
    run_used[2] = true;
#endif
    byte b, rest;
    byte calls = 0;
    bool pushed;
    home[1] = true;
    home[2] = true;
    do
    :: calls < CALLS ->
        call();
        calls++;
        pause()
    :: else -> break
    od;
    atomic { asleep = true; done = true }
}

/* os_thread_sleeps() */
#ifdef MUTANT_FRAMES_ARE_NOT_SOUGHT
#define SLEEPS (asleep)
#elif defined(MUTANT_OTHER_STACKS_ARE_NOT_SEEN)
#define SLEEPS (asleep && (!frame || switched))
#else
#define SLEEPS (asleep && !frame)
#endif

inline heap_recall()
{
    d_step {
        if
        :: self == FRONT -> self = CALLED
        :: else
        fi
    }
}

inline heap_sleeps(sleeps)
{
#ifdef MUTANT_BUSY_BEFORE_LOOK
    heap_recall(); sleeps = !busy; sleeps = sleeps && SLEEPS
#elif defined(MUTANT_LOOK_FIRST)
    sleeps = SLEEPS; heap_recall(); sleeps = sleeps && !busy
#else
    heap_recall(); sleeps = SLEEPS; sleeps = sleeps && !busy
#endif
}

/* heap_flush_bins(), outbox_post_all() */
inline flush()
{
    d_step {
        b = head; count = 0;
        do
        :: b != NONE && count <= BLOCKS -> b = link[b]; count++
        :: else -> break
        od;
        assert(left == count)
    }
    b = head;
    head = NONE;
    left = 0;
    do
    :: b != NONE -> d_step { assert(!used[b] && !home[b]); home[b] = true; b = link[b] }
    :: else -> break
    od;
    atomic { assert(!outbox_half); outbox = 0 }
#ifdef RUNS
    count = 0;
    do
    :: kept_count > 0 -> b = kept_run[kept_count - 1]; kept_count--; old[count] = b; count++
    :: else -> break
    od;
    do
    :: count > 0 ->
        count--;
        LOCK(arena_lock);
        assert(!run_free[old[count]] && !run_used[old[count]]);
        run_free[old[count]] = true;
        UNLOCK(arena_lock)
    :: else -> break
    od;
#endif
    flushed = true
}

/* release_idle_heap() */
inline round()
{
    TRY_LOCK(heap_lock, taken);
    if
    :: taken ->
        if
        :: !flushed ->
            heap_sleeps(sleeps);
            if
            :: sleeps -> flush()
            :: else
            fi
        :: atomic { flushed -> assert(!asleep || frame || busy || (head == NONE && outbox == 0)) }
        fi;
        UNLOCK(heap_lock)
    :: else
    fi
}

active proctype background()
{
    byte b, count;
    byte rounds = 0;
    bool taken, sleeps;
#ifdef RUNS
    byte old[RUNS];
#endif
    do
    :: rounds < ROUNDS -> round(); rounds++
    :: else -> break
    od;
    done;
    round();
    d_step { assert(head == NONE && outbox == 0 && left == 0) }
#ifdef RUNS
    assert(kept_count == 0)
#endif
}

/* Another thread has the common heap's lock for a while. */
active proctype other()
{
    LOCK(common_lock);
    UNLOCK(common_lock)
}
