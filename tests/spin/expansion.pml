/* expansion.pml - threads at the edge of what the arena has: arena_take() and arena_give() of src/space/arena.c,
 * chunk_next_superslab() of src/space/chunk.c, arena_purge() of src/space/purge.c.
 *
 * SuperSlabs have two units here, chunks two SuperSlabs, the system grants CHUNKS chunks. A thread takes a unit;
 * when no SuperSlab has one, the next is activated; when the chunk has none left, a chunk is added. A dense thread
 * fills an untouched SuperSlab with a huge page, for which the lock is released. Another purges meanwhile.
 *
 * Claims: a unit has one holder at most; a unit is never occupied and dirty (I1 of arena.h); the sums are those of
 * the SuperSlabs (I4); nobody is refused while a unit is free and nobody is at work on it; in the end all are free.
 *
 * quick: -DTHREADS=3 -DTAKES=1 -DCHUNKS=1
 * full: -DTHREADS=3 -DTAKES=1 -DCHUNKS=2
 * full: -DTHREADS=2 -DTAKES=3 -DCHUNKS=1
 * full: -DTHREADS=2 -DTAKES=2 -DCHUNKS=2
 * mutant EXPAND_UNLOCKED: a SuperSlab is activated without the lock
 * mutant CHUNK_UNLOCKED: a chunk is added with the lock released for the system call
 * mutant FILL_IN_THE_OPEN: while a huge page is filled, the SuperSlab's other units look free
 * mutant PURGE_IN_THE_OPEN: units that are being purged look free
 * mutant SUM_OUTSIDE: the sum of free units is counted after the lock is released
 */
#include "common.h"

#define UNITS 2
#define SUPERSLABS (2 * CHUNKS)
#define ALL 3      /* both units of a SuperSlab */
#define COUNT(m) (((m) & 1) + ((m) >> 1))
#define FREE_OF(m) (ALL & ~(m))
#define NOBODY 255

bool arena_lock, purge_lock;
byte chunks, used;             /* chunks added; SuperSlabs activated */
byte occupied[SUPERSLABS];     /* bits of units */
byte dirty[SUPERSLABS];
byte holder[UNITS * SUPERSLABS]; /* what the claims are about: no field of the library */
byte free_units;
byte in_work;                  /* free units that count as occupied: being filled, or purged */

/* superslab_change() */
inline superslab_change(s, now_occupied, now_dirty)
{
    d_step {
        free_units = free_units - COUNT(FREE_OF(occupied[s])) + COUNT(FREE_OF(now_occupied));
        occupied[s] = now_occupied;
        dirty[s] = now_dirty;
        assert((occupied[s] & dirty[s]) == 0)
    }
}

/* search(): dirty units first. s == SUPERSLABS: none */
inline search(s)
{
    d_step {
        byte i;
        s = SUPERSLABS;
        for (i : 0 .. SUPERSLABS - 1) {
            if
            :: s == SUPERSLABS && i < used && dirty[i] -> s = i
            :: else
            fi
        }
        for (i : 0 .. SUPERSLABS - 1) {
            if
            :: s == SUPERSLABS && i < used && occupied[i] != ALL -> s = i
            :: else
            fi
        }
        i = 0
    }
}

/* chunk_use() of one SuperSlab, and superslab_enter() */
inline activate(s)
{
#ifdef MUTANT_EXPAND_UNLOCKED
    UNLOCK(arena_lock);
    index = used;
    s = index;
    used = index + 1;
    LOCK(arena_lock);
    free_units = free_units + UNITS
#else
    d_step { s = used; used++; free_units = free_units + UNITS }
#endif
}

/* chunk_next_superslab() */
inline chunk_next_superslab(s)
{
    if
    :: used == 2 * chunks && chunks < CHUNKS ->
#ifdef MUTANT_CHUNK_UNLOCKED
        index = chunks;
        UNLOCK(arena_lock);
        LOCK(arena_lock);
        assert(chunks == index); /* else this chunk takes the other's place */
        chunks = index + 1
#else
        chunks++
#endif
    :: else
    fi;
    if
    :: used < 2 * chunks -> activate(s)
    :: else
    fi
}

/* arena_take(1, dense, ...): unit == NOBODY: refused */
inline arena_take(dense, unit)
{
    LOCK(arena_lock);
    unit = NOBODY;
    search(s);
    if
    :: s == SUPERSLABS -> chunk_next_superslab(s)
    :: else
    fi;
    if
    :: s != SUPERSLABS ->
        d_step {
            units = (dirty[s] -> dirty[s] : FREE_OF(occupied[s]));
            units = (units & 1 -> 1 : 2);
            unit = s * UNITS + (units >> 1);
            fill = dense && occupied[s] == 0 && dirty[s] == 0; /* deserves_huge() */
        }
        superslab_change(s, occupied[s] | units, dirty[s] & ~units);
        if
        :: fill -> fill_huge()
        :: else
        fi
    :: else -> assert(free_units == 0)
    fi;
    UNLOCK(arena_lock)
}

/* true = there was one; the system may have none. */
inline fill_huge()
{
    #ifndef MUTANT_FILL_IN_THE_OPEN
    superslab_change(s, ALL, 0);
#endif
    UNLOCK(arena_lock);
    if
    :: fresh = FREE_OF(units)
    :: fresh = 0
    fi;
    LOCK(arena_lock);
    superslab_change(s, units, fresh)
}

inline arena_give(unit)
{
    LOCK(arena_lock);
#ifdef MUTANT_SUM_OUTSIDE
    d_step { occupied[unit / UNITS] = occupied[unit / UNITS] & ~(1 << (unit % UNITS));
             dirty[unit / UNITS] = dirty[unit / UNITS] | (1 << (unit % UNITS)) }
    UNLOCK(arena_lock);
    index = free_units;
    free_units = index + 1
#else
    superslab_change(unit / UNITS, occupied[unit / UNITS] & ~(1 << (unit % UNITS)),
                     dirty[unit / UNITS] | (1 << (unit % UNITS)));
    UNLOCK(arena_lock)
#endif
}

proctype thread(bool dense)
{
    byte unit, s, units, fresh, index;
    byte taken = 0;
    bool fill;
    do
    :: taken < TAKES ->
        arena_take(dense, unit);
        if
        :: unit != NOBODY ->
            d_step { assert(holder[unit] == 0); holder[unit] = _pid }
            assert(occupied[unit / UNITS] & (1 << (unit % UNITS)));
            d_step { assert(holder[unit] == _pid); holder[unit] = 0 }
            arena_give(unit)
        :: else
        fi;
        taken++
    :: else -> break
    od
}

/* arena_purge(): pick_units(), purge_items(), put_back(). */
proctype purger()
{
    byte s = 0, units;
    LOCK(purge_lock);
    LOCK(arena_lock);
    do
    :: s < used && dirty[s] ->
        units = dirty[s];
#ifdef MUTANT_PURGE_IN_THE_OPEN
        superslab_change(s, occupied[s], dirty[s] & ~units);
#else
        superslab_change(s, occupied[s] | units, dirty[s] & ~units);
#endif
        UNLOCK(arena_lock);
        d_step { /* os_purge(): who has such a unit now, loses what is in it */
            assert(!(units & 1) || holder[s * UNITS] == 0);
            assert(!(units & 2) || holder[s * UNITS + 1] == 0)
        }
        LOCK(arena_lock);
        if
        :: superslab_change(s, occupied[s] & ~units, dirty[s])
        :: superslab_change(s, occupied[s] & ~units, dirty[s] | units) /* refused */
        fi;
        s++
    :: s < used && !dirty[s] -> s++
    :: else -> break
    od;
    UNLOCK(arena_lock);
    UNLOCK(purge_lock)
}

init
{
    byte i, sum;
    atomic {
        for (i : 1 .. THREADS) { run thread(i % 2 == 1) }
        run purger()
    }
    _nr_pr == 1;
    for (i : 0 .. SUPERSLABS - 1) {
        if
        :: i < used -> assert(occupied[i] == 0); sum = sum + COUNT(FREE_OF(occupied[i]))
        :: else
        fi
    }
    assert(sum == free_units && used <= 2 * chunks && chunks <= CHUNKS)
}
