/* keep.h - which freed mappings are kept for the next block.
 *
 * Uses: nothing. Callers: mapping, under RANK_LARGE; mapped, background, pressure. Locks: none of its own.
 *
 * A mapping that is kept saves page faults if the program takes it again, and stays for ever if the program falls
 * silent and nobody gives it back. So where nobody would, large ones are not kept, until the program is seen to take
 * what it has just freed: then they are, for eight seconds at first, and twice as long each time.
 */
#ifndef HAK_SPACE_KEEP_H
#define HAK_SPACE_KEEP_H

#include "../base/compiler.h"

/* true = a freed mapping of `size` bytes is worth keeping beside `kept` others, of `kept_bytes` with the used room of
 * live ones. */
INTERNAL bool keep_is_wise(size_t size, unsigned kept, size_t kept_bytes, uint64_t now_ms);

/* true = so much is too much to keep where nobody attends to it. Also without the lock, as a hint. */
INTERNAL bool keep_is_much(size_t kept_bytes, uint64_t now_ms);

/* The same, now that nobody does: the caller gives it back. */
INTERNAL bool keep_is_left(size_t kept_bytes, uint64_t now_ms);

/* A mapping of `size` bytes was made, since none of those kept was right. */
INTERNAL void keep_missed(size_t size, uint64_t now_ms);

/* Whether a thread of ours gives back what is kept, also when the program makes no call. */
INTERNAL void keep_attend(bool attended);

/* At most so many bytes are kept, where a limit makes memory scarce. */
INTERNAL void keep_bound(size_t bytes);

#endif
