/* weak.h - memory as C11 lets it look: each thread sees its own past of every location.
 *
 * A location is the list of all that was stored there, oldest first. A thread has a view: for each location, how
 * much of the list it cannot help having seen. A load returns any entry from there on. A store with release order
 * takes the thread's view along, and a load with acquire order that returns its value joins that to its own. An
 * exchange takes the last entry, and what it stores takes along what that took along, whatever its own order (a
 * release sequence). Sequentially consistent ones also have one view of that location in common: order between two
 * locations comes from both being accessed in this way, as on aarch64, not from a fence.
 *
 * A plain access may not race: it asserts that the thread has seen every store there was.
 *
 * Two things that aarch64 and riscv64 may do are not here: a store takes effect before a load that stands before it,
 * and stores of two threads to one location take effect in another order than they were made in. The stores that
 * publish something are releases or exchanges, which do neither.
 *
 * A model defines WHERE, the number of locations, ENTRIES, the stores that each may have and one, and THREADS.
 * Values start as 0. `me` is the number of the thread, from 0.
 */

typedef entry { byte value; byte view[WHERE] }
typedef location { entry at[ENTRIES]; byte last }
typedef sight { byte view[WHERE] }

location memory[WHERE];
sight seen[THREADS];
sight seen_by_all; /* by sequentially consistent ones */
byte w_i, w_j;     /* within one step */

/* to = the later of both, everywhere */
#define JOIN(to, from) \
    w_i = 0; \
    do \
    :: w_i < WHERE -> \
        if \
        :: from.view[w_i] > to.view[w_i] -> to.view[w_i] = from.view[w_i] \
        :: else \
        fi; \
        w_i++ \
    :: else -> break \
    od; \
    w_i = 0

#define LAST(x) memory[x].at[memory[x].last]
#define SEEN(x) memory[x].at[seen[me].view[x]]

/* Some more of what others have stored comes into view, or not: before a load. */
inline look(x)
{
    do
    :: d_step { seen[me].view[x] < memory[x].last -> seen[me].view[x] = seen[me].view[x] + 1 }
    :: break
    od
}

inline load_relaxed(x, result)
{
    atomic { look(x); result = SEEN(x).value }
}

inline load_acquire(x, result)
{
    atomic { look(x); result = SEEN(x).value; JOIN(seen[me], SEEN(x)) }
}

inline append(x, v)
{
    memory[x].last = memory[x].last + 1;
    assert(memory[x].last < ENTRIES);
    LAST(x).value = v;
    seen[me].view[x] = memory[x].last;
    LAST(x).view[x] = memory[x].last
}

inline store_relaxed(x, v)
{
    atomic { append(x, v) }
}

inline store_release(x, v)
{
    atomic { append(x, v); JOIN(LAST(x), seen[me]) }
}

/* An exchange, the halves of its order by the next two: what it read, and the release sequence that it goes on with. */
inline exchange_begin(x, result)
{
    seen[me].view[x] = memory[x].last;
    result = LAST(x).value
}

inline exchange_end(x, v)
{
    append(x, v);
    w_j = memory[x].last - 1;
    JOIN(LAST(x), memory[x].at[w_j]);
    LAST(x).view[x] = memory[x].last;
    w_j = 0
}

inline exchange_relaxed(x, result, v)
{
    atomic { exchange_begin(x, result); exchange_end(x, v) }
}

inline exchange_acquire(x, result, v)
{
    atomic { exchange_begin(x, result); JOIN(seen[me], LAST(x)); exchange_end(x, v) }
}

inline exchange_release(x, result, v)
{
    atomic { exchange_begin(x, result); exchange_end(x, v); JOIN(LAST(x), seen[me]) }
}

inline exchange_seq(x, result, v)
{
    atomic {
        exchange_begin(x, result);
        JOIN(seen[me], LAST(x));
        exchange_end(x, v);
        JOIN(LAST(x), seen[me]);
        seen_by_all.view[x] = memory[x].last
    }
}

inline load_seq(x, result)
{
    atomic {
        if
        :: seen_by_all.view[x] > seen[me].view[x] -> seen[me].view[x] = seen_by_all.view[x]
        :: else
        fi;
        look(x);
        seen_by_all.view[x] = seen[me].view[x];
        result = SEEN(x).value;
        JOIN(seen[me], SEEN(x))
    }
}

/* Plain ones. */
inline get(x, result)
{
    atomic { assert(seen[me].view[x] == memory[x].last); result = SEEN(x).value }
}

inline set(x, v)
{
    atomic { assert(seen[me].view[x] == memory[x].last); append(x, v) }
}
