/* divide.h - the resident memory of a process, divided by what it holds. The parts add up to the RSS exactly.
 *
 * Uses: walk, rss.
 */
#ifndef HAK_CLI_DIVIDE_H
#define HAK_CLI_DIVIDE_H

#include "rss.h"
#include "walk.h"

/* Every part: PART(id, title, meaning). The screen, the JSON, the metrics and --help come from this table. */
#define PARTS(PART) \
    PART(live, "live", "blocks that the program holds; sizes are rounded up to their class") \
    PART(rounding, "rounding", "behind the ends of large blocks and of slabs, where no block fits") \
    PART(cached, "cached", "free blocks in the bins of threads") \
    PART(mail, "mail", "free blocks on their way to the thread that owns them") \
    PART(free_in_slabs, "slabs", "free blocks in slabs, and parts of slabs that were not cut yet") \
    PART(dirty, "dirty", "free units and kept mappings, which go back after purge_delay") \
    PART(purged, "purged", "free units that were given back and still have memory: 0, as a rule") \
    PART(records, "records", "hakmem's own books: records, tag map, heaps") \
    PART(not_heap, "not heap", "program, libraries, stacks, and what others have mapped")

enum part {
#define PART(id, title, meaning) PART_##id,
    PARTS(PART)
#undef PART
    PART_COUNT
};

extern const char *const part_id[PART_COUNT];
extern const char *const part_title[PART_COUNT];
extern const char *const part_meaning[PART_COUNT];

struct residence {
    uint64_t part[PART_COUNT];    /* bytes */
    uint64_t rss;                 /* their sum, and the kernel's Rss if the process stood still */
    uint64_t huge;                /* of all but the last two parts: in huge pages */
    uint64_t swap;                /* of the process, not in rss */
    uint64_t files;               /* of not_heap: mapped files */
    uint64_t class[CLASS_COUNT];  /* bytes of slabs */
    uint64_t begun_slabs;         /* with a used block, but less than a quarter of them was ever cut into blocks */
    uint64_t begun;               /* of free_in_slabs: in these, where nothing was cut yet */
};

/* Also fills in unit_view.resident. */
void divide(struct snapshot *snapshot, struct rss *rss, struct residence *residence);

/* All three steps, or ends with a message. */
void look_at(struct target *target, struct snapshot *snapshot, struct residence *residence);

#endif
