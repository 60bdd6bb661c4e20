/* mapped.c - all mappings together: searched, summed up, checked, and counted anew after a fork.
 *
 * Uses: mapping, keep, limit, tagmap, os. Locks: RANK_LARGE.
 */
#include "keep.h"
#include "limit.h"
#include "mapping.h"

static bool list_holds(struct list *head, const void *p)
{
    for (struct list *i = list_first(head); i != head; i = i->next) {
        const struct large *l = container_of(i, struct large, link);
        if ((uintptr_t)p - l->map_base < l->map_size) return true;
    }
    return false;
}

COLD bool large_holds(const void *p)
{
    lock_acquire(&large_lock);
    bool held = list_holds(&mapped.live, p) || list_holds(&mapped.kept, p);
    lock_release(&large_lock);
    return held;
}

size_t large_kept_bytes(void)
{
    return load_relaxed(&mapped.kept_bytes) + load_relaxed(&mapped.used_room);
}

bool large_has_kept(void)
{
    if (load_relaxed(&mapped.kept_count) > 0) return true;
    return load_relaxed(&mapped.used_room) > 0 && !load_relaxed(&mapped.room_stays);
}

bool large_has_much_kept(void)
{
    return keep_is_much(large_kept_bytes(), os_now_ms());
}

static const char *verify_one(const struct large *l, uint32_t kind)
{
    struct tag tag = tagmap_get((void *)l->start);
    if (tag_offset(tag) != kind || tag.record != l->number) return "large I1: tag of a mapping";
    if (l->start < l->map_base || l->start + l->size > l->map_base + l->map_size)
        return "large I1: block outside its mapping";
    return NULL;
}

void mapping_usage(struct large_usage *usage)
{
    lock_acquire(&large_lock);
    usage->mapping_live = mapped.live_bytes;
    usage->mapping_slack = mapped.slack_bytes;
    usage->mapping_count = mapped.count;
    usage->kept = mapped.kept_bytes;
    usage->mallocs = mapped.mallocs;
    usage->frees = mapped.frees;
    lock_release(&large_lock);
}

COLD void large_follow_fork(void)
{
    lock_acquire(&large_lock);
    limit_set_mapped(mapped.live_bytes + mapped.slack_bytes + mapped.kept_bytes);
    mapped.room_stays = false; /* a child has no memory locked */
    lock_release(&large_lock);
}

COLD const char *mapping_verify(void)
{
    const char *broken = NULL;
    size_t kept = 0, used = 0;
    lock_acquire(&large_lock);
    for (struct list *i = list_first(&mapped.live); !broken && i != &mapped.live; i = i->next) {
        const struct large *l = container_of(i, struct large, link);
        broken = verify_one(l, TAG_MAPPING);
        used += large_used_room(l);
    }
    for (struct list *i = list_first(&mapped.kept); !broken && i != &mapped.kept; i = i->next) {
        struct large *l = container_of(i, struct large, link);
        broken = verify_one(l, TAG_MAPPING_KEPT);
        kept += l->map_size;
    }
    if (!broken && kept != mapped.kept_bytes) broken = "large I2: kept bytes";
    if (!broken && used != mapped.used_room) broken = "large I2: used room";
    lock_release(&large_lock);
    return broken;
}
