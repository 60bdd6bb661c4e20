/* block.c - see block.h.
 *
 * Uses: cache, space, reclaim, option. Locks: none.
 */
#include "block.h"

#include "../diag/option.h"
#include "reclaim.h"

extern const struct block hakmem_block __attribute__((visibility("default")));
const struct block hakmem_block = {
    .magic = BLOCK_MAGIC,
    .format = BLOCK_FORMAT,
    .size = sizeof(struct block),
    .version = HAK_VERSION,
    .build_id = HAK_BUILD_ID,
    .heap_count = &heap_count,
    .heap_block = heap_block,
    .tagmap = &tagmap,
    .records = &records,
    .record_block = record_block,
    .chunk_of_block = chunk_of_block,
    .arena = &arena,
    .mapped = &mapped,
    .option_value = option_value,
    .cache_epoch = &cache_epoch,
    .reclaim_request = &reclaim_request,
    .lock_waits = lock_waits,
};

/* The note's name of the block: a name that can be replaced at run time has no fixed distance. */
extern const struct block hakmem_block_here __attribute__((alias("hakmem_block"), visibility("hidden"), used));

/* Lengths of name and description, type (BLOCK_NOTE_TYPE), name; description: how far behind itself the block is. */
__asm__(".pushsection .note.hakmem, \"a\", %note\n"
        ".balign 4\n"
        ".long 7, 8, 1\n"
        ".asciz \"hakmem\"\n"
        ".balign 4\n"
        ".quad hakmem_block_here - .\n"
        ".popsection\n");
