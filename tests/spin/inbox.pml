/* inbox.pml - posting, draining, closing and opening an inbox; chains that meet slabs of other owners:
 * src/cache/inbox.c.
 *
 * Two threads post letters to heap 1: one of a chain of two blocks and a chain of one, the other a single block.
 * Meanwhile the heap of the owner drains, is dissolved, and opened again for the next thread, which adopts a slab;
 * and a thread with heap 2 adopts the other. Slabs change hands under the lock of the common heap only.
 *
 * Claims: every block comes home once, to the heap that owns its slab at that moment, or to a bin; a closed inbox
 * is empty; nobody waits for ever.
 *
 * quick: -DLIVES=1 -DADOPTERS=0
 * full: -DLIVES=1 -DADOPTERS=1
 * full: -DLIVES=2 -DADOPTERS=0
 * mutant PUSH_WITHOUT_SWAP: the word is stored without looking again
 * mutant LINK_ONCE: a push that tries again keeps the link of its first try
 * mutant CLOSED_KEEPS_LINK: a chain that a closed inbox refused is still linked to what was there
 * mutant DRAIN_IN_TWO: the drainer loads the inbox and clears it later
 * mutant CLOSE_FORGETS: what a closing inbox held is dropped
 * mutant CLOSE_FIRST: the inbox is closed while slabs still name the heap
 * mutant TAG_BEFORE_LOCK: who frees into an orphan trusts the tag that it read before it had the lock
 * mutant ADOPT_LATE: an adopted slab gets its tag after the common lock is released
 */
#include "common.h"

#ifndef ADOPTERS
#define ADOPTERS 1
#endif
#define NONE 0
#define CLOSED 9
#define COMMON 0
#define BLOCKS 4             /* 1 ... BLOCKS; 1 and 2 are a chain, of which 2 is the last */
#define SLAB(b) ((b) / 4)    /* 0 has blocks 1, 2, 3; 1 has block 4 */

byte inbox[3] = { CLOSED, NONE, NONE }; /* by heap: the last block of the latest chain */
byte next_chain[BLOCKS + 1];            /* of a last block */
byte owner[2] = { 1, 1 };               /* of a slab: its tag */
bool paired = true;                      /* 1 and 2 are a chain still: sealed_count(2) == 2 */
bool listed[2];                         /* the slab is in the common heap's lists */
bool home[BLOCKS + 1];
bool common_lock;
bool heap_lock[3];
byte posting = 2;

/* slab_give() by the heap h, which must own the slab */
#define ARRIVE(b, h) d_step { assert(owner[SLAB(b)] == h); assert(!home[b]); home[b] = true }

/* Linked chains first ... last; done = false: the inbox is closed. Words of chains that nobody else knows are written
 * with the step that follows. */
inline push(to, first, last, done)
{
    seen = inbox[to];
#ifdef MUTANT_LINK_ONCE
    next_chain[last] = seen;
#endif
    do
    :: seen == CLOSED ->
#ifndef MUTANT_CLOSED_KEEPS_LINK
        next_chain[last] = NONE;
#endif
        done = false; break
    :: else ->
#ifndef MUTANT_LINK_ONCE
        next_chain[last] = seen;
#endif
#ifdef MUTANT_PUSH_WITHOUT_SWAP
        inbox[to] = first; done = true; break
#else
        if /* swap_if_release() */
        :: atomic { inbox[to] == seen -> inbox[to] = first }; done = true; break
        :: atomic { inbox[to] != seen -> seen = inbox[to] }
        fi
#endif
    od
}

inline arrive_at_common(b, done)
{
    LOCK(common_lock);
#ifndef MUTANT_TAG_BEFORE_LOCK
    tag = owner[SLAB(b)];
#endif
    if
    :: tag == COMMON -> ARRIVE(b, COMMON); done = true
    :: else -> done = false
    fi;
    UNLOCK(common_lock)
}

/* A closed inbox is tried again when the tag has changed; until then that would be in vain. */
inline forward(b)
{
    d_step { /* sealed_set(p, 1, NULL) */
        next_chain[b] = NONE;
        if
        :: b == 2 -> paired = false
        :: else
        fi
    }
    do
    :: tag = owner[SLAB(b)];
        if
        :: tag == COMMON -> arrive_at_common(b, done)
        :: else ->
            push(tag, b, b, done);
            if
            :: !done -> owner[SLAB(b)] != tag || inbox[tag] != CLOSED
            :: else
            fi
        fi;
        if
        :: done -> break
        :: else
        fi
    od
}

/* Under h's lock; NONE = for nobody. Block 1 comes before 2 in their chain. */
inline bring_home(h, last)
{
    block = (last == 2 && paired -> 1 : last);
    do
    :: if
       :: h != NONE && owner[SLAB(block)] == h -> ARRIVE(block, h)
       :: else -> forward(block)
       fi;
       if
       :: block == last -> break
       :: else -> block = last
       fi
    od
}

/* All chains of a list. The heap's own thread may put one on its bin, whoever owns the slab by now. */
inline take_in(h, first, own)
{
    chain = first;
    do
    :: chain == NONE -> break
    :: else ->
        following = next_chain[chain];
        if
        :: own -> /* arrive_in_bin() */
            d_step {
                assert(!home[chain]); home[chain] = true;
                if
                :: chain == 2 && paired -> assert(!home[1]); home[1] = true
                :: else
                fi
            }
        :: bring_home(h, chain)
        fi;
        chain = following
    od
}

inline inbox_drain(h, own)
{
    if
    :: inbox[h] != NONE && inbox[h] != CLOSED ->
#ifdef MUTANT_DRAIN_IN_TWO
        mail = inbox[h]; inbox[h] = NONE;
#else
        atomic { mail = inbox[h]; inbox[h] = NONE }
#endif
        take_in(h, mail, own)
    :: else
    fi
}

inline inbox_close(h)
{
    atomic { mail = inbox[h]; inbox[h] = CLOSED }
#ifndef MUTANT_CLOSE_FORGETS
    if
    :: mail != NONE && mail != CLOSED -> take_in(NONE, mail, false)
    :: else
    fi
#endif
}

inline heap_orphan_slabs(h)
{
    LOCK(common_lock);
    d_step {
        if
        :: owner[0] == h -> owner[0] = COMMON; listed[0] = true
        :: else
        fi;
        if
        :: owner[1] == h -> owner[1] = COMMON; listed[1] = true
        :: else
        fi
    }
    UNLOCK(common_lock)
}

/* Under h's lock. */
inline adopt(h, s)
{
    LOCK(common_lock);
    if
#ifdef MUTANT_ADOPT_LATE
    :: listed[s] -> listed[s] = false; UNLOCK(common_lock); owner[s] = h
#else
    :: listed[s] -> d_step { listed[s] = false; owner[s] = h }; UNLOCK(common_lock)
#endif
    :: else -> UNLOCK(common_lock)
    fi
}

/* letter_post(): to heap 1, whose blocks these were when they were freed; else block by block. */
proctype poster(byte first; byte last)
{
    byte seen, tag, chain, following, block;
    bool done;
    push(1, first, last, done);
    if
    :: !done -> take_in(NONE, first, false)
    :: else -> /* relieve() */
        TRY_LOCK(heap_lock[1], done);
        if
        :: done -> byte mail; inbox_drain(1, false); UNLOCK(heap_lock[1])
        :: else
        fi
    fi;
    posting--
}

/* Heap 1 through its lives: visits, dissolve(), heap_attach() by the next thread. */
proctype owner_of_1()
{
    byte seen, tag, chain, following, block, mail;
    byte life = 0;
    bool done;
    do
    :: life < LIVES ->
        LOCK(heap_lock[1]); inbox_drain(1, true); UNLOCK(heap_lock[1]);
        LOCK(heap_lock[1]);
        inbox_drain(1, false);
#ifdef MUTANT_CLOSE_FIRST
        inbox_close(1); heap_orphan_slabs(1);
#else
        heap_orphan_slabs(1); inbox_close(1);
#endif
        UNLOCK(heap_lock[1]);
        LOCK(heap_lock[1]); inbox[1] = NONE; adopt(1, 0); UNLOCK(heap_lock[1]); /* inbox_open() */
        life++
    :: else -> break
    od;
    LOCK(heap_lock[1]); heap_orphan_slabs(1); inbox_close(1); UNLOCK(heap_lock[1]);
    posting == 0;
    assert(inbox[1] == CLOSED)
}

proctype adopter(byte s)
{
    byte seen, tag, chain, following, block, mail;
    bool done;
    LOCK(heap_lock[2]); adopt(2, s); UNLOCK(heap_lock[2]);
    LOCK(heap_lock[2]); inbox_drain(2, true); UNLOCK(heap_lock[2])
}

init
{
    byte seen, tag, chain, following, block, mail;
    bool done;
    atomic {
        next_chain[2] = 3; /* the letter of two chains begins with 2 */
        run poster(2, 3); run poster(4, 4); run owner_of_1();
#if ADOPTERS > 0
        run adopter(1);
#endif
#if ADOPTERS > 1
        run adopter(0);
#endif
    }
    _nr_pr == 1;
    inbox_drain(2, true); /* its thread is still there */
    assert(home[1] && home[2] && home[3] && home[4])
}
