/* heaps.pml - threads that come and go: src/cache/attach.c with heap_take(), heap_orphan_slabs() and adopt() of
 * src/cache/heap.c.
 *
 * A program's threads allocate, hand blocks to each other and free them, then end; each is born LIVES times. A
 * finished thread's heap is parked, or dissolved where one is parked already; a tick dissolves what is parked. An
 * inbox is a set of blocks here, posted to and taken from in one step: that this may be said is what inbox.pml
 * shows.
 *
 * Claims: a heap has one thread at most; the inbox of a heap that is parked or somebody's is open, that of a free
 * heap closed and empty (I2 of attach.c); no block is handed out twice; when all threads are gone and what they
 * left is dissolved, every block is home in a slab of the common heap.
 *
 * quick: -DTHREADS=2 -DLIVES=1 -DCALLS=2 -DBLOCKS=2
 * full: -DTHREADS=2 -DLIVES=2 -DCALLS=2
 * full: -DTHREADS=2 -DLIVES=1 -DCALLS=3 -DBLOCKS=2
 * full: -DTHREADS=3 -DLIVES=1 -DCALLS=2
 * mutants: -DTHREADS=2 -DLIVES=2 -DCALLS=2
 * mutant PARKED_TWICE: the parked heap is looked at without the registry's lock
 * mutant FREE_BEFORE_CLOSE: a heap is in the free list before its inbox is closed
 * mutant PARKED_STAYS_OPEN: a dissolved heap's inbox stays open
 * mutant BINS_STAY: a heap is dissolved with full bins
 * mutant ADOPT_UNLOCKED: an orphan is taken without the common lock
 * mutant MAIL_IS_LEFT: a closing inbox keeps its mail
 * mutant OPEN_ALWAYS: a parked heap's inbox is emptied as if it were new
 */
#include "common.h"

#ifdef MUTANT_PARKED_TWICE
#define POP_LOCK skip
#define POP_UNLOCK skip
#else
#define POP_LOCK LOCK(registry_lock)
#define POP_UNLOCK UNLOCK(registry_lock)
#endif
#define PARKED_MAX 1
#define COMMON 0
#define HEAPS 3        /* ids 1 and 2, and what a third thread would get: none */
#ifndef BLOCKS
#define BLOCKS 1       /* each the only one of its slab */
#endif
#define NOWHERE 7      /* the slab's units are the arena's */

mtype = { HOME, BIN, USED, POSTED }
mtype = { FREE, LIVE, PARKED }

mtype where[BLOCKS];   /* the block's place; HOME: its slab has it */
byte owner[BLOCKS] = { NOWHERE, NOWHERE };
byte bin_of[BLOCKS];   /* BIN: of this heap */
byte inbox[HEAPS];     /* a bit for each block */
bool closed[HEAPS];
mtype state[HEAPS];
byte users[HEAPS];     /* threads that have it */
byte parked;           /* the list, of PARKED_MAX; 0 = none */
bool registry_lock, common_lock, arena_lock;
bool heap_lock[HEAPS];
bool handed[BLOCKS];   /* USED, and offered to whoever frees it */
byte alive;

/* pop_parked(), or pop_free(): the free list is searched here. */
inline take_heap(h)
{
    POP_LOCK;
    h = parked;
    if
    :: h != 0 -> parked = 0
    :: else ->
        if
        :: d_step { state[1] == FREE && users[1] == 0 -> h = 1; state[1] = LIVE }
        :: d_step { state[1] != FREE && state[2] == FREE -> h = 2; state[2] = LIVE }
        :: else
        fi
    fi;
    if
    :: h != 0 -> state[h] = LIVE
    :: else
    fi;
    POP_UNLOCK
}

/* inbox_drain() by another thread, or one without the heap: to slabs; what is another's goes on. Under h's lock. */
inline inbox_drain(h)
{
    d_step { mail = inbox[h]; inbox[h] = 0 }
    bring_home(h)
}

/* Blocks of `mail`. NOBODY drains for the heap 0 with the common lock free. */
inline bring_home(h)
{
    for (b : 0 .. BLOCKS - 1) {
        if
        :: mail & (1 << b) -> home_or_on(h)
        :: else
        fi
    }
}

inline home_or_on(h)
{
    if
    :: atomic { h != COMMON && owner[b] == h -> assert(where[b] == POSTED); where[b] = HOME }
    :: else -> forward()
    fi
}

/* Until it has arrived; where it cannot yet, waits for the tag to change. */
inline forward()
{
    do
    :: tag = owner[b];
        assert(tag != NOWHERE);
        if
        :: tag == COMMON ->
            LOCK(common_lock);
            if
            :: owner[b] == COMMON -> assert(where[b] == POSTED); where[b] = HOME; UNLOCK(common_lock); break
            :: else -> UNLOCK(common_lock)
            fi
        :: atomic { tag != COMMON && !closed[tag] -> inbox[tag] = inbox[tag] | (1 << b) }; break
        :: atomic { tag != COMMON && closed[tag] -> skip }; owner[b] != tag || !closed[tag]
        fi
    od
}

/* heap_flush_bins(): a block of a slab that the heap gave up meanwhile is returned by the outbox. */
inline heap_flush_bins(h)
{
    for (b : 0 .. BLOCKS - 1) {
        if
        :: atomic { where[b] == BIN && bin_of[b] == h -> where[b] = POSTED }; home_or_on(h)
        :: else
        fi
    }
}

inline heap_orphan_slabs(h)
{
    LOCK(common_lock);
    d_step {
        b = 0;
        do
        :: b < BLOCKS ->
            if
            :: owner[b] == h -> owner[b] = COMMON
            :: else
            fi;
            b++
        :: else -> break
        od
    }
    UNLOCK(common_lock)
}

inline inbox_close(h)
{
#ifdef MUTANT_PARKED_STAYS_OPEN
    skip
#else
    d_step { mail = inbox[h]; closed[h] = true;
#ifndef MUTANT_MAIL_IS_LEFT
        inbox[h] = 0
#endif
    }
#ifndef MUTANT_MAIL_IS_LEFT
    bring_home(COMMON)
#endif
#endif
}

inline enter_free(h)
{
    LOCK(registry_lock);
#ifndef MUTANT_FREE_BEFORE_CLOSE
    assert(closed[h] && inbox[h] == 0 && users[h] == 0);
#endif
    state[h] = FREE;
    UNLOCK(registry_lock)
}

inline dissolve(h)
{
#ifdef MUTANT_FREE_BEFORE_CLOSE
    enter_free(h);
#endif
    LOCK(heap_lock[h]);
#ifndef MUTANT_BINS_STAY
    heap_flush_bins(h);
#endif
    inbox_drain(h);
    heap_orphan_slabs(h);
    inbox_close(h);
    UNLOCK(heap_lock[h]);
#ifndef MUTANT_FREE_BEFORE_CLOSE
    enter_free(h)
#endif
}

inline park(h, done)
{
    LOCK(registry_lock);
    done = parked == 0;
    if
    :: done -> assert(!closed[h]); parked = h; state[h] = PARKED
    :: else
    fi;
    UNLOCK(registry_lock)
}

inline detach(h)
{
    LOCK(heap_lock[h]);
    users[h]--;
    inbox_drain(h);
    UNLOCK(heap_lock[h]);
    park(h, done);
    if
    :: !done -> dissolve(h)
    :: else
    fi
}

inline heap_dissolve_parked()
{
    LOCK(registry_lock);
    old = parked;
    parked = 0;
    if
    :: old != 0 -> state[old] = LIVE
    :: else
    fi;
    UNLOCK(registry_lock);
    if
    :: old != 0 -> dissolve(old)
    :: else
    fi
}

inline heap_attach(h)
{
    take_heap(h);
    if
    :: h != 0 ->
        LOCK(heap_lock[h]);
#ifdef MUTANT_OPEN_ALWAYS
        inbox[h] = 0;
#endif
        closed[h] = false; /* inbox_open() */
        assert(users[h] == 0);
        users[h]++;
        UNLOCK(heap_lock[h])
    :: else
    fi
}

/* A hit; or a visit: an own slab, an orphan, a new slab. Own mail goes to the bin. */
inline malloc(h)
{
    select (b : 0 .. BLOCKS - 1);
    if
    :: d_step { where[b] == BIN && bin_of[b] == h -> where[b] = USED; handed[b] = true }
    :: else ->
        LOCK(heap_lock[h]);
        assert(!closed[h]);
        if
        :: inbox[h] & (1 << b) -> d_step { inbox[h] = inbox[h] & ~(1 << b); assert(where[b] == POSTED); where[b] = BIN;
                                           bin_of[b] = h }
        :: atomic { owner[b] == h && where[b] == HOME -> where[b] = BIN; bin_of[b] = h }
        :: owner[b] == COMMON && where[b] == HOME -> adopt(h)
        :: d_step { owner[b] == NOWHERE -> owner[b] = h; bin_of[b] = h; where[b] = BIN } /* arena_take() */
        :: else
        fi;
        UNLOCK(heap_lock[h])
    fi
}

inline adopt(h)
{
#ifdef MUTANT_ADOPT_UNLOCKED
    if
    :: owner[b] == COMMON && where[b] == HOME -> owner[b] = h
    :: else
    fi;
    if
    :: owner[b] == h -> assert(where[b] == HOME); where[b] = BIN; bin_of[b] = h
    :: else
    fi
#else
    LOCK(common_lock);
    if
    :: owner[b] == COMMON && where[b] == HOME -> d_step { owner[b] = h; where[b] = BIN; bin_of[b] = h }
    :: else
    fi;
    UNLOCK(common_lock)
#endif
}

/* front_free(): to the bin, or posted. */
inline free(h)
{
    select (b : 0 .. BLOCKS - 1);
    if
    :: d_step { handed[b] && owner[b] == h ->
                handed[b] = false; assert(where[b] == USED); where[b] = BIN; bin_of[b] = h }
    :: d_step { handed[b] && owner[b] != h ->
                handed[b] = false; assert(where[b] == USED); where[b] = POSTED };
        forward()
    :: else
    fi
}

proctype thread()
{
    byte h, b, tag, mail, old;
    byte life = 0, calls;
    bool done;
    do
    :: life < LIVES ->
        heap_attach(h);
        calls = 0;
        do
        :: h != 0 && calls < CALLS -> malloc(h); calls++
        :: h != 0 && calls < CALLS -> free(h); calls++
        :: else -> break
        od;
        if
        :: h != 0 -> detach(h)
        :: else
        fi;
        h = 0;
        life++
    :: else -> break
    od;
    alive--
}

/* A tick: start_tick() of src/service/reclaim.c */
proctype tick()
{
    byte b, tag, mail, old;
    heap_dissolve_parked()
}

init
{
    byte b, tag, mail, old, i;
    atomic {
        for (i : 0 .. BLOCKS - 1) { where[i] = HOME }
        for (i : 0 .. HEAPS - 1) { state[i] = FREE; closed[i] = true }
        alive = THREADS;
        for (i : 1 .. THREADS) { run thread() }
        run tick()
    }
    _nr_pr == 1;
    heap_dissolve_parked();
    assert(closed[1] && closed[2] && inbox[1] == 0 && inbox[2] == 0);
    for (b : 0 .. BLOCKS - 1) {
        assert(handed[b] || where[b] == HOME);
        assert(owner[b] == NOWHERE || owner[b] == COMMON)
    }
}
