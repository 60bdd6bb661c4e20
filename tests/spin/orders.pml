/* orders.pml - the orders of atomic operations, on memory that is weaker than any processor's:
 * docs/MEMORY-ORDER.md.
 *
 * Each PROTOCOL is one of that document, with the fewest threads that show it. What is handed over is `data`, plain
 * memory: the record of a slab, the words of a chain, a heap that was just made. weak.h says what weak means.
 *
 * Claims: no plain access races; a reader never sees half of a publication; of two that must meet, one sees the
 * other.
 *
 * quick: -DPROTOCOL=1
 * quick: -DPROTOCOL=2
 * quick: -DPROTOCOL=3
 * quick: -DPROTOCOL=4
 * quick: -DPROTOCOL=5
 * quick: -DPROTOCOL=6
 * mutant LOCK_NOT_ACQUIRED (-DPROTOCOL=1): a lock is taken without acquire order
 * mutant LOCK_NOT_RELEASED (-DPROTOCOL=1): and released without release order
 * mutant PUSH_RELAXED (-DPROTOCOL=2): a chain is posted without release order
 * mutant DRAIN_RELAXED (-DPROTOCOL=2): and taken in without acquire order
 * mutant MASK_FIRST (-DPROTOCOL=3): the tag map's mask is published before its address
 * mutant MASK_RELAXED (-DPROTOCOL=3): the mask is published without release order
 * mutant MASK_READ_RELAXED (-DPROTOCOL=3): and read without acquire order
 * mutant TAG_RELAXED (-DPROTOCOL=4): a tag is set without release order
 * mutant TAG_READ_RELAXED (-DPROTOCOL=4): a tag that leads to a record is read without acquire order
 * mutant COUNT_FIRST (-DPROTOCOL=4): heap_count is raised before the block is entered
 * mutant BUSY_ENDS_RELAXED (-DPROTOCOL=5): the mark of busy threads is taken off without release order
 * mutant BUSY_READ_RELAXED (-DPROTOCOL=5): and read without acquire order
 * mutant LEAVE_RELAXED (-DPROTOCOL=6): a thread is counted out without sequential consistency
 * mutant ALONE_RELAXED (-DPROTOCOL=6): and looks then for the background thread without it
 * mutant START_RELAXED (-DPROTOCOL=6): the start of that thread is entered without it
 * mutant WANTED_RELAXED (-DPROTOCOL=6): and the threads are counted then without it
 */
#if PROTOCOL == 1
#define WHERE 2
#define ENTRIES 7
#define THREADS 3
#elif PROTOCOL == 6
#define WHERE 2
#define ENTRIES 3
#define THREADS 2
#else
#define WHERE 3
#define ENTRIES 6
#define THREADS 3
#endif
#include "weak.h"

#if PROTOCOL == 1

/* lock_acquire(), lock_release() of src/os/lock.h; lock_wait() with a failed try before. */
#define DATA 0
#define WORD 1
#ifdef MUTANT_LOCK_NOT_ACQUIRED
#define lock_order exchange_relaxed
#else
#define lock_order exchange_acquire
#endif
#ifdef MUTANT_LOCK_NOT_RELEASED
#define unlock_order exchange_relaxed
#else
#define unlock_order exchange_release
#endif

proctype thread(byte me)
{
    byte value;
    atomic { LAST(WORD).value == 0 -> lock_order(WORD, value, 1) }
    get(DATA, value);
    set(DATA, value + 1);
    unlock_order(WORD, value, 0)
}

init { atomic { run thread(0); run thread(1); run thread(2) } _nr_pr == 1; assert(LAST(DATA).value == 3) }

#elif PROTOCOL == 2

/* push() and inbox_drain() of src/cache/inbox.c: two senders, of whom the later exchanges what the first has put
 * there, and does not look at what that points to. */
#define DATA(sender) (sender)
#define INBOX 2
#ifdef MUTANT_PUSH_RELAXED
#define push_order exchange_relaxed
#else
#define push_order exchange_release
#endif
#ifdef MUTANT_DRAIN_RELAXED
#define drain_order exchange_relaxed
#else
#define drain_order exchange_acquire
#endif

proctype sender(byte me)
{
    byte value;
    set(DATA(me), 1);
    push_order(INBOX, value, value + 1 + me)
}

/* Bits of those who have sent: 1 + 2. */
proctype owner(byte me)
{
    byte mail, value;
    byte all = 0;
    do
    :: all != 3 -> atomic { LAST(INBOX).value != 0 -> drain_order(INBOX, mail, 0) };
        if
        :: mail & 1 -> get(DATA(0), value); assert(value == 1)
        :: else
        fi;
        if
        :: mail & 2 -> get(DATA(1), value); assert(value == 1)
        :: else
        fi;
        all = all | mail
    :: else -> break
    od
}

init { atomic { run sender(0); run sender(1); run owner(2) } }

#elif PROTOCOL == 3

/* tagmap_init() and tagmap_get() of src/space/tagmap.c; 0 is the map of one entry that is there before. */
#define ENTRIES_AT 0
#define MASK 1
#define WINDOWED 2
#ifdef MUTANT_MASK_RELAXED
#define mask_order store_relaxed
#else
#define mask_order store_release
#endif
#ifdef MUTANT_MASK_READ_RELAXED
#define mask_read_order load_relaxed
#else
#define mask_read_order load_acquire
#endif

proctype maker(byte me)
{
    set(WINDOWED, 1);
#ifdef MUTANT_MASK_FIRST
    mask_order(MASK, 1);
    store_relaxed(ENTRIES_AT, 1)
#else
    store_relaxed(ENTRIES_AT, 1);
    mask_order(MASK, 1)
#endif
}

proctype reader(byte me)
{
    byte mask, entries, windowed;
    mask_read_order(MASK, mask);
    load_relaxed(ENTRIES_AT, entries);
    assert(mask == 0 || entries == 1);
    if
    :: mask != 0 -> get(WINDOWED, windowed); assert(windowed == 1)
    :: else
    fi
}

init { atomic { run maker(0); run reader(1); run reader(2) } }

#elif PROTOCOL == 4

/* What is found by number: a slab's record by its tag, a heap by heap_count: heap_block, record_block,
 * chunk_of_block. BLOCK is the table's entry, read plainly; 2 is the tag, or heap_count. */
#define DATA 0
#define BLOCK 1
#define NUMBER 2
#ifdef MUTANT_TAG_RELAXED
#define number_order store_relaxed
#else
#define number_order store_release
#endif
#ifdef MUTANT_TAG_READ_RELAXED
#define number_read_order load_relaxed
#else
#define number_read_order load_acquire
#endif

proctype maker(byte me)
{
    set(DATA, 1);
#ifdef MUTANT_COUNT_FIRST
    number_order(NUMBER, 1);
    store_release(BLOCK, 1)
#else
    store_release(BLOCK, 1);
    number_order(NUMBER, 1)
#endif
}

proctype reader(byte me)
{
    byte number, value;
    number_read_order(NUMBER, number);
    if
    :: number != 0 -> get(BLOCK, value); assert(value == 1); get(DATA, value); assert(value == 1)
    :: else
    fi
}

init { atomic { run maker(0); run reader(1); run reader(2) } }

#elif PROTOCOL == 5

/* heap_set_busy() and heap_sleeps() of src/cache/recall.h: the thread wakes between the look and the load of
 * `busy`, and ends what it was at. What it did before it slept the look has made visible: the system holds the lock
 * of the processor's run queue for both. */
#define OUTBOX 0
#define BUSY 1
#ifdef MUTANT_BUSY_ENDS_RELAXED
#define busy_order store_relaxed
#else
#define busy_order store_release
#endif
#ifdef MUTANT_BUSY_READ_RELAXED
#define busy_read_order load_relaxed
#else
#define busy_read_order load_acquire
#endif

bool asleep;

proctype thread(byte me)
{
    busy_order(BUSY, 1);
    set(OUTBOX, 1);
    asleep = true; /* waits for the common heap */
    asleep = false;
    set(OUTBOX, 2);
    busy_order(BUSY, 0)
}

proctype background(byte me)
{
    byte busy, value;
    if
    :: atomic { asleep -> JOIN(seen[me], seen[0]) }; /* os_thread_sleeps() */
        busy_read_order(BUSY, busy);
        if
        :: busy == 0 -> get(OUTBOX, value); assert(value == 2)
        :: else
        fi
    :: skip /* it runs */
    fi
}

init { atomic { run thread(0); run background(1) } }

#else

/* detach() of src/cache/attach.c and background_start() of src/service/background.c: each stores, and then looks
 * for what the other has stored. */
#define GONE 0    /* heap_threads was lowered */
#define STARTED 1 /* heap_when_alone and background.id were set */
#ifdef MUTANT_LEAVE_RELAXED
#define leave_order exchange_relaxed
#else
#define leave_order exchange_seq
#endif
#ifdef MUTANT_ALONE_RELAXED
#define alone_order load_relaxed
#else
#define alone_order load_seq
#endif
#ifdef MUTANT_START_RELAXED
#define start_order exchange_relaxed
#else
#define start_order exchange_seq
#endif
#ifdef MUTANT_WANTED_RELAXED
#define wanted_order load_relaxed
#else
#define wanted_order load_seq
#endif

byte started, gone;

proctype leaving(byte me)
{
    byte before;
    leave_order(GONE, before, 1);
    alone_order(STARTED, started)
}

proctype starting(byte me)
{
    byte before;
    start_order(STARTED, before, 1);
    wanted_order(GONE, gone)
}

init { atomic { run leaving(0); run starting(1) } _nr_pr == 1; assert(started || gone) }

#endif
