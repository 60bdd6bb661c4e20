/* narrow.c - see narrow.h. */
#include "narrow.h"

#include "../cache/heap.h"
#include "../os/thread.h"
#include "../space/arena.h"
#include "../space/chunk.h"
#include "../space/tagmap.h"

/* A child of vfork() has the memory of its parent, and limits of its own. */
static bool is_own_memory(void)
{
    return heap_mine && heap_mine->process == os_process_number();
}

/* A handler of a signal may come here out of malloc, in the middle of what a lock protects. */
static void narrow_locked(size_t limit)
{
    if (!lock_try_peer(&arena_lock)) return;
    if (lock_try_peer(&tagmap_lock)) {
        lock_release_peer(&tagmap_lock); /* for chunk_narrow(); nobody else is there */
        chunk_narrow(limit);
        lock_acquire_peer(&tagmap_lock);
        (void)tagmap_narrow(limit);
        lock_release_peer(&tagmap_lock);
    }
    lock_release_peer(&arena_lock);
}

COLD void narrow_to(size_t limit)
{
    if (!is_own_memory() || !tagmap_is_too_large(limit) || !os_thread_is_alone()) return;
    uint64_t before = os_thread_block_signals();
    narrow_locked(limit);
    os_thread_restore_signals(before);
}
