/* fork.pml - a thread forks while others are anywhere: src/cache/fork.c and the locks of src/os/lock.h.
 *
 * Two threads work in the library, each with a heap: a visit, which may come to the arena or the common heap; a
 * sender who drains for another (relieve()); a look through all heaps (reclaim_all()); a sweep; a new thread. The
 * third thread forks. In between the handlers of others allocate, and since that thread has no heap yet, it gets
 * one then.
 *
 * In the child the others are no more. It gives up the locks, buries heaps and allocates.
 *
 * Claims: nobody waits for ever, parent or child; at the fork no structure is half changed, though each is half
 * changed for a while under its lock; two threads are never under one lock.
 *
 * quick: -DCALLS=1
 * full: -DCALLS=2
 * mutant COMMON_BEFORE_HEAPS: the prepare handler takes the common heap's lock first
 * mutant SPARSE_LAST: it takes the lock of sweeps behind those of heaps
 * mutant NO_REGISTRY: it leaves the registry out, so that heaps appear meanwhile
 * mutant NO_HEAPS: it leaves the locks of heaps out
 * mutant NO_SPARSE: it leaves the lock of sweeps out
 * mutant NO_UPPER: it leaves the arena's lock out
 * mutant HANDLERS_WAIT: the forking thread waits for locks that it has itself
 * mutant HANDLERS_RELEASE: what a handler releases is free for all
 * mutant NEW_HEAP_STAYS_LOCKED: the heap that a handler made is not unlocked
 * mutant NEW_HEAP_UNLOCKED: it is not locked from the start, so that others get at it first
 * mutant FORK_THREAD_STAYS: the forking thread is still taken for one when the locks are released
 */
#define NOBODY 0
#define FORKER 3
#define REGISTRY 0    /* locks by rank */
#define SPARSE 1
#define HEAP(i) (1 + (i)) /* of heaps 1, 2 and the one that is made meanwhile, 3 */
#define COMMON 5
#define ARENA 6
#define LOCKS 7

byte word[LOCKS];     /* holder; NOBODY = free */
bool half[LOCKS];     /* what the lock guards is half changed */
byte fork_thread;     /* lock_fork_thread */
byte heaps = 2;       /* heap_count */
bool in_child, child_is_done;

/* lock_acquire(), with lock_wait() behind it */
inline lock_acquire(l)
{
    if
    :: atomic { word[l] == NOBODY -> word[l] = me }
#ifndef MUTANT_HANDLERS_WAIT
    :: atomic { word[l] != NOBODY && fork_thread == me -> skip } /* holds it already */
#endif
    fi
}

inline lock_release(l)
{
    if
#ifndef MUTANT_HANDLERS_RELEASE
    :: fork_thread == me
#endif
    :: atomic { fork_thread != me -> word[l] = NOBODY }
#ifdef MUTANT_HANDLERS_RELEASE
    :: atomic { fork_thread == me -> word[l] = NOBODY }
#endif
    fi
}

inline lock_try(l)
{
    d_step {
        taken = word[l] == NOBODY;
        if
        :: taken -> word[l] = me
        :: else
        fi
    }
}

/* Two steps under the lock. */
inline change(l)
{
    d_step { assert(!half[l]); half[l] = true };
    half[l] = false
}

/* heap_malloc_visit(): adopt(), arena_take(); or heap_free_visit(): arrive_at_common() */
inline visit(own)
{
    lock_acquire(HEAP(own));
    if
    :: change(HEAP(own))
    :: skip -> lock_acquire(COMMON); change(COMMON); lock_release(COMMON)
    :: skip -> lock_acquire(ARENA); change(ARENA); lock_release(ARENA)
    fi;
    lock_release(HEAP(own))
}

/* relieve(), by a thread that holds its own heap's lock */
inline relieve(own, other)
{
    lock_acquire(HEAP(own));
    lock_try(HEAP(other));
    if
    :: taken -> change(HEAP(other)); lock_release(HEAP(other))
    :: else
    fi;
    lock_release(HEAP(own))
}

/* heap_each(release_heap) */
inline reclaim()
{
    i = 1;
    do
    :: i <= heaps ->
        lock_acquire(HEAP(i)); change(HEAP(i));
        lock_acquire(ARENA); change(ARENA); lock_release(ARENA);
        lock_release(HEAP(i));
        i++
    :: else -> break
    od
}

/* sparse_purge_all() */
inline sweep(other)
{
    lock_acquire(SPARSE);
    lock_acquire(HEAP(other)); change(HEAP(other)); lock_release(HEAP(other));
    change(SPARSE);
    lock_release(SPARSE)
}

/* heap_attach() of a thread without a heap: take_heap(), then its lock */
inline attach()
{
    lock_acquire(REGISTRY);
    change(REGISTRY);
    if
    :: d_step { heaps < 3 -> heaps = 3; /* new_heap(): locked from the start where all others are */
#ifndef MUTANT_NEW_HEAP_UNLOCKED
                if
                :: fork_thread == me -> word[HEAP(3)] = me
                :: else
                fi
#endif
       }
    :: else
    fi;
    lock_release(REGISTRY);
    lock_acquire(HEAP(3));
    lock_release(HEAP(3))
}

proctype worker(byte me; byte other) provided (!in_child || child_is_done)
{
    byte calls = 0;
    byte i;
    bool taken;
    {
        do
        :: calls < CALLS ->
            if
            :: skip -> visit(me)
            :: skip -> relieve(me, other)
            :: reclaim()
            :: skip -> sweep(other)
            :: skip -> attach()
            fi;
            calls++
        :: else -> break
        od
    } unless { child_is_done }
}

inline take_heaps()
{
    locked = heaps;
#ifndef MUTANT_NO_HEAPS
    i = 1;
    do
    :: i <= heaps -> lock_acquire(HEAP(i)); i++
    :: else -> break
    od
#endif
}

inline fork_prepare()
{
#ifndef MUTANT_NO_REGISTRY
    lock_acquire(REGISTRY);
#endif
#if !defined(MUTANT_SPARSE_LAST) && !defined(MUTANT_NO_SPARSE)
    lock_acquire(SPARSE);
#endif
#ifdef MUTANT_COMMON_BEFORE_HEAPS
    lock_acquire(COMMON);
#endif
    take_heaps();
#ifdef MUTANT_SPARSE_LAST
    lock_acquire(SPARSE);
#endif
#ifndef MUTANT_COMMON_BEFORE_HEAPS
    lock_acquire(COMMON);
#endif
#ifndef MUTANT_NO_UPPER
    lock_acquire(ARENA);
#endif
    fork_thread = me
}

/* Releases what it has not taken, too: heaps that are new. */
inline unlock_all()
{
#ifndef MUTANT_FORK_THREAD_STAYS
    fork_thread = NOBODY;
#endif
#ifndef MUTANT_NO_UPPER
    lock_release(ARENA);
#endif
    lock_release(COMMON);
    i = 1;
    do
#ifdef MUTANT_NEW_HEAP_STAYS_LOCKED
    :: i <= locked
#else
    :: i <= heaps
#endif
        ->
#ifndef MUTANT_NO_HEAPS
        lock_release(HEAP(i));
#endif
        i++
    :: else -> break
    od;
#ifndef MUTANT_NO_SPARSE
    lock_release(SPARSE);
#endif
#ifndef MUTANT_NO_REGISTRY
    lock_release(REGISTRY)
#endif
}

inline handler_of_others()
{
    attach();
    visit(3)
}

/* bury() of the others' heaps, and whatever the child does next */
inline live_on()
{
    i = 1;
    do
    :: i < 3 ->
        lock_acquire(HEAP(i));
        lock_acquire(COMMON); change(COMMON); lock_release(COMMON);
        lock_release(HEAP(i));
        i++
    :: else -> break
    od;
    attach();
    visit(3);
    sweep(1);
    reclaim()
}

proctype forker(byte me)
{
    byte i, locked;
    bool taken;
    fork_prepare();
    handler_of_others();
    atomic { /* fork() */
        for (i : 0 .. LOCKS - 1) { assert(!half[i]) }
        if
        :: in_child = true
        :: skip
        fi
    }
    handler_of_others();
    unlock_all();
    if
    :: in_child -> live_on(); child_is_done = true
    :: else -> visit(3)
    fi
}

init
{
    atomic { run worker(1, 2); run worker(2, 1); run forker(FORKER) }
}
