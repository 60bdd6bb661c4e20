/* heap.h - what a thread owns: bins, slabs, an inbox and an outbox.
 *
 * Uses: slab, space. Callers: front, service, api.
 *
 *   program  <- bin (a list per class, hit path) <- refill <- slabs <- arena
 *   program  -> bin -> flush -> slabs -> retire -> arena
 *   program  -> outbox (blocks of other heaps) -> post -> the owner's inbox -> drain -> its bins, or slabs
 *
 * Locks: the hit paths use only the bins and take none. All else in a heap is its slow side, under
 * heap->lock: its own thread at a visit, or another that drains for it, walks it, or forks.
 *
 * There is one common heap. It owns the slabs of threads that are gone (orphans), which any thread
 * adopts slabs from and frees into under its lock, and it serves threads that have no heap of their own: before
 * it can be made, after their exit, or when memory is out.
 *
 * I1  left == length of the bin's list; its blocks are used blocks of slabs of that class
 * I2  a slab is in the list of its owner for slab_place_of(slab), and its tags say the owner and the class
 * I3  class.empty is the number of slabs with carved blocks, none of them used
 * I4  what was allocated less what was freed == used blocks less those in bins and on their way; on their way
 *     are, summed over all heaps, remote_frees + returned - arrived
 * I5  the units of kept runs are handed out and tagged as theirs, and their records are no blocks'; kept_units is
 *     their sum
 */
#ifndef HAK_CACHE_HEAP_H
#define HAK_CACHE_HEAP_H

#include "../diag/option.h"
#include "../slab/slab.h"

enum {
    HEAP_COMMON = 1,       /* id of the common heap; ids count from it */
    BIN_OFFSET = 64,       /* of bin 0 in struct heap_front; see tagmap.h */
    BIN_LEFT_BITS = 16,    /* budget = room << 16 | left */
    BIN_PUSH = 1 - (1 << BIN_LEFT_BITS), /* one more left, one less room; carries unless room was 0 */
    RESERVE_MAX = 4,       /* units kept by a heap */
    KEPT_RUNS = 8,         /* and runs, of at most KEPT_UNITS units together */
    KEPT_UNITS = 16,
    KEPT_LONG = 5,         /* units, from which on a run is kept only where the thread seems to want it again */
    DENSE_STRIDE_MAX = 2048, /* larger blocks may leave pages untouched: space/density.h; and keep many: bin.h */
    OUTBOX_SLOTS = 64,
    LETTERS = 16,
    HEAPS_PER_BLOCK = 16,
    HEAP_BLOCKS = OWNER_MAX / HEAPS_PER_BLOCK + 1,
};

/* A thread's free blocks of one class. The budget counts both ways: malloc takes one from left, free
 * gives one to left and takes one from room. */
struct bin {
    void *head;
    uint64_t budget;
};

/* What the hit paths read. Written by its own thread, or while that sleeps by who has recalled it. */
struct heap_front {
    uint32_t id;    /* 0 = no heap: every call goes to the slow side */
    uint16_t owner; /* the same, as tags of this heap's slabs have it; OWNER_NEVER without a heap */
    _Alignas(BIN_OFFSET) struct bin bin[CLASS_COUNT];
    uint16_t bin_of_size[TABLE_SIZE_MAX / 8 + 1]; /* offset of the bin for (size + 7) / 8 */
};

_Static_assert(offsetof(struct heap_front, bin) == BIN_OFFSET, "tags carry offsets of bins");
_Static_assert(BIN_OFFSET + sizeof(struct bin) * CLASS_COUNT <= 1 << OWNER_SHIFT, "offsets fit");
_Static_assert((int)TAG_KINDS <= (int)BIN_OFFSET, "kinds are smaller than any offset");

/* One class of a heap. */
struct heap_class {
    struct list slabs[SLAB_PLACES]; /* by enum slab_place; the first is not used */
    uint64_t mallocs;               /* up to the last visit */
    uint64_t frees;                 /* into the bin, up to the last visit */
    uint64_t remote_frees;          /* of blocks of other heaps; counted at once */
    uint64_t returned;              /* blocks from the bin that were posted to another heap */
    uint64_t arrived;               /* blocks that other heaps have posted */
    uint32_t room_set;              /* the budget as the last visit left it */
    uint32_t left_set;
    uint16_t capacity;              /* blocks that the bin may hold; adapts */
    uint16_t limit;                 /* the same, for now: less in a burst */
    uint32_t mallocs_seen;          /* mallocs at the last trim */
    uint8_t idle;                   /* ticks without a call; this, lean, revived and seen: see sparse.c */
    uint8_t lean;                   /* log of the ticks that it must have been idle */
    uint32_t empty;                 /* slabs with carved blocks, none of them used */
    bool refilled;                  /* since the last flush */
    bool torn_down;                 /* keeps nothing, until the next malloc */
    bool revived;                   /* absent blocks were needed since the last sweep */
    uint8_t examined;               /* visits by free, up to EXAMINE_VISITS: see bin.c */
    uint32_t seen;                  /* activity, at the last tick */
};

/* Blocks of one class and one other heap, on their way. */
struct outbox_slot {
    uint32_t tag;   /* of their slabs: owner and class; 0 = empty */
    uint32_t limit; /* blocks that are enough to send them */
    struct chain chain;
};

/* Sealed chains for one owner; see inbox.h. */
struct letter {
    uint32_t owner; /* 0 = empty */
    uint32_t blocks;
    uint32_t bytes;
    void *first;
    void *last;
};

/* A run that was freed: no block, and still tagged as one. */
struct kept_run {
    uint32_t record; /* of its first unit */
    uint32_t units;
};

enum heap_state {
    HEAP_FREE = 0, /* has nothing */
    HEAP_LIVE,     /* a thread's */
    HEAP_PARKED,   /* whole, waiting for a thread: the one that had it is gone */
    HEAP_GONE,     /* its thread did not survive a fork */
};

struct heap {
    struct heap_front front;
    CACHE_ALIGNED uint64_t inbox; /* any thread; see inbox.h */
    CACHE_ALIGNED struct lock lock;
    uint32_t state;               /* enum heap_state; written under the registry's lock */
    struct heap *next;            /* likewise: in the list of free or of parked heaps */
    uint32_t work;                /* since start, weighted; tells when to look at the clock */
    uint32_t work_seen;           /* by who reclaims, at the last look */
    uint32_t trimmed;             /* last trim_epoch that was followed */
    uint32_t trim_class;          /* classes below it follow the next already */
    uint32_t tear_class;          /* in a burst: classes from it on are torn down already */
    struct heap_front **slot;     /* heap_self of its thread; NULL = it has none. Under the lock, as are the next */
    uint32_t thread;              /* its number */
    uint32_t process;             /* and its process's */
    bool leaving;                 /* its thread is at its end; by that thread */
    bool flushed;                 /* bins and outbox are empty, and its thread was not here since; under the lock */
    uint32_t busy;                /* its thread is at work on bins or outbox without the lock, and may wait there */
    uint32_t epoch;               /* last cache_epoch that was followed */
    uint32_t reserve_count;
    struct span reserve[RESERVE_MAX];
    struct kept_run kept_run[KEPT_RUNS]; /* the oldest first. By who may use the bins, without the lock, as the next */
    uint32_t kept_count;
    uint32_t kept_units;          /* of all of them; others read it */
    uint32_t kept_missed;         /* units of the last run of KEPT_LONG or more that was looked for in vain */
    uint32_t kept_wanted;         /* the same, if it was the one before as well */
    bool kept_run_used;           /* since the last trim */
    struct run_counters runs;     /* what arena.runs does not know: blocks that became kept runs, and came of them */
    struct outbox_slot outbox[OUTBOX_SLOTS]; /* own thread only, without the lock; as are the letters */
    struct letter letter[LETTERS];           /* by owner */
    struct heap_class class[CLASS_COUNT];
};

/* The heap of this thread; heap_none or heap_exited when it has none. */
extern TLS_INITIAL_EXEC struct heap_front *heap_self LINKED_AS("hak_heap_self"); /* others may put heap_called there */
extern struct heap_front heap_none LINKED_AS("hak_heap_none"); /* before the first call: attach */
/* It has one, heap_mine, and is to visit: see recall.h. */
extern struct heap_front heap_called LINKED_AS("hak_heap_called");
/* The heap of this thread when heap_self is &heap_called. */
extern TLS_INITIAL_EXEC struct heap *heap_mine LINKED_AS("hak_heap_mine");
/* After the exit handler, or no heap to be had: use the common heap. */
extern struct heap_front heap_exited LINKED_AS("hak_heap_exited");

extern struct heap *heap_common LINKED_AS("hak_heap_common"); /* NULL until the first call of the process */
/* By id; filled from the front, never emptied. */
extern struct heap *heap_block[HEAP_BLOCKS] LINKED_AS("hak_heap_block");
extern uint32_t heap_count LINKED_AS("hak_heap_count"); /* ids given out: 1 ... heap_count */
extern uint32_t cache_epoch LINKED_AS("hak_cache_epoch"); /* raised to make all threads flush their caches */
/* Raised to make all threads flush what they do not use. */
extern uint32_t trim_epoch LINKED_AS("hak_trim_epoch");

ALWAYS_INLINE struct heap *heap_of(struct heap_front *front)
{
    return container_of(front, struct heap, front);
}

/* Also of one that heap_common does not point to yet. */
ALWAYS_INLINE bool heap_is_common(const struct heap *heap)
{
    return heap->front.id == HEAP_COMMON;
}

/* true = it is this thread's. */
ALWAYS_INLINE bool heap_is_own(const struct heap *heap)
{
    const struct heap_front *self = load_relaxed(&heap_self);
    return self == &heap->front || (self == &heap_called && heap == heap_mine);
}

ALWAYS_INLINE uint32_t heap_tag(uint32_t id)
{
    return id << OWNER_SHIFT;
}

ALWAYS_INLINE unsigned class_of_offset(uint32_t offset)
{
    return (offset - BIN_OFFSET) / sizeof(struct bin);
}

ALWAYS_INLINE uint32_t bin_offset(unsigned class)
{
    return BIN_OFFSET + class * (uint32_t)sizeof(struct bin);
}

ALWAYS_INLINE uint32_t bin_left(const struct bin *bin)
{
    return load_relaxed(&bin->budget) & ((1u << BIN_LEFT_BITS) - 1);
}

/* ---- heap.c: slabs of a heap; under its lock ---- */

INTERNAL void heap_init(struct heap *heap, uint32_t id);

/* Blocks for the bin of a class: at least one, about `want`. count 0 = memory is out. */
INTERNAL struct chain heap_take(struct heap *heap, unsigned class, uint32_t want);

/* Looks through the free blocks of a slab that is marked, or of the one that the next block of a class comes from, and
 * reports those that were written to. */
INTERNAL void heap_check_slab(struct heap *heap, struct slab *s);
INTERNAL void heap_check_next(struct heap *heap, unsigned class);

/* Gives a used block of a slab of this heap back; one that is not used is reported. */
INTERNAL void heap_give(struct heap *heap, struct slab *s, uint32_t index);

/* The same, most often at once. */
ALWAYS_INLINE void heap_give_one(struct heap *heap, struct slab *s, uint32_t index)
{
    if (unlikely(!slab_give_one(s, index))) heap_give(heap, s, index);
}

/* The slab of a block that a bin of `class` may hold, or NULL. */
ALWAYS_INLINE struct slab *slab_of(struct tag tag, const void *block, unsigned class)
{
    if (tag_offset(tag) != bin_offset(class)) return NULL;
    struct slab *s = slab_at(tag.record);
    return slab_is_block(s, block) ? s : NULL;
}

/* Gives back the pages of a slab that only free blocks overlap, if there are a few; an empty slab retires. Returns
 * bytes given back. */
INTERNAL size_t heap_purge_slab(struct heap *heap, struct slab *s);

/* Retires the empty slabs of a class, the spare, too. */
INTERNAL void heap_release_class(struct heap *heap, unsigned class);

/* Retires all empty slabs and the reserve. */
INTERNAL void heap_release_empty(struct heap *heap);

/* Makes all slabs of `heap` orphans; or the surplus: of the partly used ones all but one of each class. Both take
 * the common heap's lock. */
INTERNAL void heap_orphan_slabs(struct heap *heap);
INTERNAL void heap_orphan_surplus(struct heap *heap);

/* Checks I2, I3 and every slab; I1. NULL = they hold. */
INTERNAL const char *heap_verify_slabs(struct heap *heap);
INTERNAL const char *heap_verify_bins(struct heap *heap);

/* ---- bin.c and flush.c: visits, refill and flush ---- */

/* malloc found its bin empty. NULL = memory is out. */
INTERNAL void *heap_malloc_visit(struct heap *heap, unsigned class);

/* malloc by a thread without a heap. NULL = memory is out. */
INTERNAL void *heap_common_malloc(unsigned class);

/* free found its bin without room; the push was counted and did not happen. */
INTERNAL void heap_free_visit(struct heap *heap, unsigned class, void *p);

/* true = a visit would have more to do than its own. */
ALWAYS_INLINE bool heap_has_duties(const struct heap *heap)
{
    return heap->trimmed != load_relaxed(&trim_epoch) || heap->epoch != load_relaxed(&cache_epoch);
}

/* Does them; by the heap's thread, without the lock. */
INTERNAL void heap_follow_duties(struct heap *heap);

/* Takes over what the hit paths counted since the last visit. */
INTERNAL void bin_account(struct heap *heap, unsigned class);

/* Most bytes that bins grow to from now on, and half of that for kept runs; never more than by default, and bins not
 * less than they start with. */
INTERNAL void bin_bound(size_t bytes);

/* Gives all bins back to their slabs, and kept runs to the arena; see kept.h. */
INTERNAL void heap_flush_bins(struct heap *heap);

/* ---- attach.c: threads and their heaps ---- */

/* A heap for this thread, made or found at its first call; NULL = none to be had: use the common heap. */
INTERNAL struct heap *heap_attach(void);

/* In the child of a fork: this thread has another number. */
INTERNAL void heap_renumber(void);

/* Dissolves parked heaps: their blocks go home and their slabs become orphans. */
INTERNAL void heap_dissolve_parked(void);

/* The same with a heap whose thread ended and did not leave it. Not the caller's own. true = it was one, and its thread
 * is to be counted out. */
INTERNAL bool heap_bury(struct heap *heap);

/* A thread has a heap no more. Not by the background thread, which may end with it. */
INTERNAL void heap_count_out(void);

/* Checks I1 of attach.c, under all locks. NULL = it holds. */
INTERNAL const char *heap_verify_lists(void);

/* Calls visit for every heap that ever lived, the common one included, without a lock. */
INTERNAL void heap_each(void (*visit)(struct heap *heap, void *context), void *context);

INTERNAL struct heap *heap_at(uint32_t id);

extern uint32_t heap_threads LINKED_AS("hak_heap_threads"); /* that have a heap now */
/* Called by a thread that leaves its heap when at most one other has one. */
extern void (*heap_when_alone)(void) LINKED_AS("hak_heap_when_alone");

/* Highest id given out; 0 = there is no heap yet. */
INTERNAL uint32_t heap_last_id(void);

extern struct lock registry_lock LINKED_AS("hak_registry_lock"); /* for fork */

#endif
