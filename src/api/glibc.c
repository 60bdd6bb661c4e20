/* glibc.c - the names that only glibc has: what old binaries call, what static programs refer to, and mallinfo() with
 * its kin.
 *
 * Uses: hak.c, reclaim, stats, message. The only file that uses stdio (malloc_info's stream).
 */
#include "api.h"

#if HAK_REPLACE_GLIBC

#include <errno.h>
#include <malloc.h>
#include <stdio.h>

#include "../../include/hakmem/hakmem.h"
#include "../diag/message.h"
#include "../service/reclaim.h"
#include "../service/stats.h"

HAK_API void *__libc_memalign(size_t alignment, size_t size) LIBC_NAME ALIAS_OF(hak_memalign);
HAK_API void *__libc_valloc(size_t size) LIBC_NAME ALIAS_OF(hak_valloc);
HAK_API void *__libc_pvalloc(size_t size) LIBC_NAME ALIAS_OF(hak_pvalloc);
HAK_API int __libc_mallopt(int parameter, int value) LIBC_NAME ALIAS_OF(mallopt);
HAK_API struct mallinfo __libc_mallinfo(void);

/* In a static program glibc's fork, thread exit and start-up refer to these names of its own malloc. Were one
 * of them missing, the linker would pull that malloc in beside ours. Forks are served by atfork.c. */
void __malloc_fork_lock_parent(void) LIBC_NAME;
void __malloc_fork_unlock_parent(void) LIBC_NAME;
void __malloc_fork_unlock_child(void) LIBC_NAME;
void __malloc_arena_thread_freeres(void) LIBC_NAME;
void __malloc_fork_lock_parent(void) {}
void __malloc_fork_unlock_parent(void) {}
void __malloc_fork_unlock_child(void) {}
void __malloc_arena_thread_freeres(void) {}

/* ---- tuning and statistics ---- */

/* Accepts what glibc documents. None of it has a meaning here. */
HAK_API int mallopt(int parameter, int value)
{
    (void)value;
    switch (parameter) {
    case M_MXFAST:
    case M_TRIM_THRESHOLD:
    case M_TOP_PAD:
    case M_MMAP_THRESHOLD:
    case M_MMAP_MAX:
    case M_CHECK_ACTION:
    case M_PERTURB:
    case M_ARENA_TEST:
    case M_ARENA_MAX: return 1;
    default: return 0;
    }
}

COLD HAK_API int malloc_trim(size_t pad)
{
    (void)pad;
    return reclaim_all() > 0;
}

COLD HAK_API struct mallinfo2 mallinfo2(void)
{
    struct stats stats;
    stats_collect(&stats);
    return (struct mallinfo2){
        .arena = stats.arena_bytes,
        .ordblks = stats.free_blocks,
        .hblks = stats.mapping_count,
        .hblkhd = stats.mapping_live,
        .uordblks = stats.total.live - stats.mapping_live,
        .fordblks = stats_arena_free(&stats),
        .keepcost = stats.total.dirty - stats.kept_bytes,
    };
}

COLD static struct mallinfo narrow_mallinfo(void)
{
    struct mallinfo2 wide = mallinfo2();
    return (struct mallinfo){
        .arena = (int)wide.arena,
        .ordblks = (int)wide.ordblks,
        .hblks = (int)wide.hblks,
        .hblkhd = (int)wide.hblkhd,
        .uordblks = (int)wide.uordblks,
        .fordblks = (int)wide.fordblks,
        .keepcost = (int)wide.keepcost,
    };
}

HAK_API struct mallinfo mallinfo(void)
{
    return narrow_mallinfo();
}

HAK_API struct mallinfo __libc_mallinfo(void)
{
    return narrow_mallinfo();
}

COLD HAK_API void malloc_stats(void)
{
    struct mallinfo2 m = mallinfo2();
    message_raw("Arena 0:\nsystem bytes     = %10zu\nin use bytes     = %10zu\n", m.arena, m.uordblks);
    message_raw("Total (incl. mmap):\nsystem bytes     = %10zu\nin use bytes     = %10zu\n", m.arena + m.hblkhd,
                m.uordblks + m.hblkhd);
    message_raw("max mmap regions = %10zu\nmax mmap bytes   = %10zu\n", m.hblks, m.hblkhd);
}

static void print_sizes(FILE *stream, const struct stats *stats)
{
    fputs("<sizes>\n", stream);
    for (unsigned i = 0; i < CLASS_COUNT; i++) {
        const struct stats_class *c = &stats->class[i];
        uint64_t free_blocks = c->blocks - (c->used - c->cached);
        uint32_t from = i > 0 && i < SIZE_CLASS_COUNT ? class_stride(i - 1) + 1 : 1;
        if (c->slabs > 0 && free_blocks > 0)
            fprintf(stream, "  <size from=\"%u\" to=\"%u\" total=\"%lu\" count=\"%lu\"/>\n", from, class_stride(i),
                    (unsigned long)(free_blocks * class_stride(i)), (unsigned long)free_blocks);
    }
    fputs("</sizes>\n", stream);
}

COLD static void print_totals(FILE *stream, const struct stats *stats)
{
    fprintf(stream, "<total type=\"fast\" count=\"0\" size=\"0\"/>\n");
    fprintf(stream, "<total type=\"rest\" count=\"%zu\" size=\"%zu\"/>\n", stats->free_blocks,
            stats_arena_free(stats));
}

static void print_system(FILE *stream, const struct stats *stats)
{
    fprintf(stream, "<system type=\"current\" size=\"%zu\"/>\n", stats->arena_bytes);
    fprintf(stream, "<system type=\"max\" size=\"%zu\"/>\n", stats->arena_bytes);
    fprintf(stream, "<aspace type=\"total\" size=\"%zu\"/>\n", stats->arena_bytes);
    fprintf(stream, "<aspace type=\"mprotect\" size=\"%zu\"/>\n", stats->arena_bytes);
}

/* The stream may allocate: the figures are taken before the first line. */
COLD HAK_API int malloc_info(int options, FILE *stream)
{
    struct stats stats;
    if (options != 0) return EINVAL;
    stats_collect(&stats);
    fputs("<malloc version=\"1\">\n<heap nr=\"0\">\n", stream);
    print_sizes(stream, &stats);
    print_totals(stream, &stats);
    print_system(stream, &stats);
    fputs("</heap>\n", stream);
    print_totals(stream, &stats);
    fprintf(stream, "<total type=\"mmap\" count=\"%zu\" size=\"%zu\"/>\n", stats.mapping_count, stats.mapping_live);
    print_system(stream, &stats);
    fputs("</malloc>\n", stream);
    return 0;
}

#endif
