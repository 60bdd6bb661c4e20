/* realloc_test.c - realloc and reallocarray: contents kept between all pairs of sizes, size 0, NULL,
 * refused sizes, under the standard, hak_* and __libc_* names.
 */
#include "calls.h"

static struct edges sizes;

/* Enough of a block to see that it was moved or kept: all of a small one, the ends and one word of each
 * page of a large one (a full fill of every pair would take minutes). */
enum { WHOLE = 16 * 1024, STEP = 4096 - 8 };

static void mark(unsigned char *p, size_t size, size_t seed)
{
    if (size <= WHOLE) {
        pattern_fill(p, size, seed);
        return;
    }
    for (size_t i = 0; i < size; i += STEP) p[i] = pattern_byte(seed, i);
    for (size_t i = size - 64; i < size; i++) p[i] = pattern_byte(seed, i);
}

/* true when the first `kept` bytes are what mark(p, size) wrote there. */
static bool marked(const unsigned char *p, size_t size, size_t kept, size_t seed)
{
    if (size <= WHOLE) return pattern_holds(p, kept, seed);
    for (size_t i = 0; i < kept; i += STEP)
        if (p[i] != pattern_byte(seed, i)) return false;
    for (size_t i = size - 64; i < kept; i++)
        if (p[i] != pattern_byte(seed, i)) return false;
    return true;
}

static void one_transition(const struct calls *c, size_t from, size_t to, bool as_array)
{
    unsigned char *p = c->alloc(from);
    if (!expect(p != NULL, "size %zu", from)) return;
    mark(p, from, from ^ to);
    unsigned char *q = as_array ? c->resize_array(p, 1, to) : c->resize(p, to);
    if (!expect(q != NULL, "%zu to %zu", from, to)) {
        c->release(p);
        return;
    }
    size_t kept = from < to ? from : to;
    expect(marked(q, from, kept, from ^ to), "%zu to %zu: contents", from, to);
    expect(is_aligned(q, natural_alignment(to)), "%zu to %zu at %p", from, to, (void *)q);
    size_t room = usable(q);
    expect(room >= to, "%zu to %zu usable %zu", from, to, room);
    q[room - 1] = 1;
    q[0] = 1;
    expect(usable(q) == room, "%zu to %zu: usable size changed", from, to);
    c->release(q);
}

static void contents_are_kept_between_all_sizes(const struct calls *c)
{
    for (size_t i = 0; i < sizes.count; i++)
        for (size_t j = 0; j < sizes.count; j++)
            if (sizes.at[j] > 0) one_transition(c, sizes.at[i], sizes.at[j], c->resize_array && (i + j) % 5 == 0);
    claim("%s_realloc_keeps_contents_between_all_pairs_of_sizes", c->names);
}

static void large_contents_are_kept(const struct calls *c)
{
    static const size_t large[] = {100,           64 * KIB,        64 * KIB + 1, 256 * KIB, 2 * MIB - 1,
                                   2 * MIB,       2 * MIB + 1,     3 * MIB,      4 * MIB,   4 * MIB + 1,
                                   16 * MIB - 16, 64 * MIB - 4096, 64 * MIB,     64 * MIB + 1};
    for (size_t i = 0; i < COUNT(large); i++)
        for (size_t j = i % 3; j < COUNT(large); j += large[i] > 16 * MIB ? 3 : 1)
            one_transition(c, large[i], large[j], false);
    claim("%s_realloc_keeps_contents_of_large_blocks", c->names);
}

/* One block that lives through a long climb and fall, with neighbours allocated in between so that the
 * way is not always free. */
static void a_block_climbs_and_falls(const struct calls *c)
{
    enum { NEIGHBOURS = 400 };
    static void *neighbour[NEIGHBOURS];
    int count = 0;
    size_t size = 1;
    unsigned char *p = c->alloc(size);
    mark(p, size, 7);
    for (int falling = 0; falling < 2; falling++) {
        while (falling ? size > 2 : size < 80 * MIB) {
            size_t next = falling ? size - size / 3 : size + size / 3 + 1;
            if (count < NEIGHBOURS) neighbour[count++] = c->alloc(size < MIB ? size : 100 * KIB);
            unsigned char *q = c->resize(p, next);
            if (!expect(q != NULL, "%zu to %zu", size, next)) break;
            expect(marked(q, size, size < next ? size : next, 7), "%zu to %zu", size, next);
            p = q, size = next;
            mark(p, size, 7);
        }
    }
    c->release(p);
    for (int i = 0; i < count; i++) c->release(neighbour[i]);
    claim("%s_a_block_climbs_to_80_MiB_and_falls", c->names);
}

static void null_is_malloc(const struct calls *c)
{
    for (size_t i = 0; i < sizes.count; i++) {
        unsigned char *p = c->resize(NULL, sizes.at[i]);
        if (!expect(p != NULL, "size %zu", sizes.at[i])) continue;
        expect(usable(p) >= sizes.at[i], "size %zu usable %zu", sizes.at[i], usable(p));
        expect(is_aligned(p, natural_alignment(sizes.at[i])), "size %zu at %p", sizes.at[i], (void *)p);
        memset(p, 1, sizes.at[i]);
        c->release(p);
    }
    claim("%s_realloc_of_NULL_is_malloc", c->names);
}

static void size_zero_frees(const struct calls *c)
{
    struct hak_stats before, after;
    for (size_t i = 0; i < sizes.count; i++) {
        if (hak_stats) hak_stats(&before);
        void *p = c->alloc(sizes.at[i]);
        void *q = c->resize_array && i % 2 ? c->resize_array(p, i % 4 ? 0 : 8, i % 4 ? 8 : 0) : c->resize(p, 0);
        expect(q == NULL, "size %zu: realloc(p, 0) = %p", sizes.at[i], q);
        if (!hak_stats) continue;
        hak_stats(&after);
        expect(after.live == before.live, "size %zu: live %zu became %zu", sizes.at[i], before.live, after.live);
    }
    claim("%s_realloc_to_0_frees_and_returns_NULL", c->names);
}

/* The old block must be there, whole, and of the same usable size after every refusal. */
static void failing_keeps_the_block(const struct calls *c)
{
    for (size_t i = 0; i < sizes.count; i++) {
        size_t size = sizes.at[i];
        unsigned char *p = c->alloc(size);
        if (!expect(p != NULL, "size %zu", size)) continue;
        size_t room = usable(p);
        mark(p, size, size);
        for (size_t r = 0; r < COUNT(refused_sizes); r++) {
            errno = 0;
            void *q = c->resize(p, refused_sizes[r]);
            expect(q == NULL && errno == ENOMEM, "%zu to %#zx = %p, errno %d", size, refused_sizes[r], q, errno);
            if (!c->resize_array) continue;
            errno = 0;
            q = c->resize_array(p, refused_sizes[r] / 2 + 1, 4);
            expect(q == NULL && errno == ENOMEM, "%zu to %#zx * 2 = %p, errno %d", size, refused_sizes[r], q, errno);
        }
        expect(usable(p) == room, "size %zu: usable size changed", size);
        expect(marked(p, size, size, size), "size %zu: contents", size);
        if (hak_owns) expect(hak_owns(p), "size %zu: freed", size);
        c->release(p);
    }
    claim("%s_a_failing_realloc_keeps_the_block", c->names);
}

static void same_size_stays(const struct calls *c)
{
    for (size_t i = 0; i < sizes.count; i++) {
        if (sizes.at[i] == 0) continue;
        void *p = c->alloc(sizes.at[i]);
        void *q = c->resize(p, sizes.at[i]);
        expect(q == p, "size %zu moved from %p to %p", sizes.at[i], p, q);
        c->release(q);
    }
    claim("%s_realloc_to_the_same_size_stays_in_place", c->names);
}

/* A block from an aligned call is resized like any other; only its contents are promised. */
static void aligned_blocks_can_be_resized(const struct calls *c)
{
    for (size_t alignment = 16; alignment <= 4 * MIB; alignment *= 8)
        for (size_t size = 1; size <= 4 * MIB; size = size * 9 + 1)
            for (size_t to = 1; to <= 8 * MIB; to = to * 13 + 3) {
                unsigned char *p = c->rounded_aligned(alignment, size);
                if (!expect(p != NULL, "alignment %zu size %zu", alignment, size)) continue;
                mark(p, size, to);
                unsigned char *q = c->resize(p, to);
                expect(q && marked(q, size, size < to ? size : to, to), "alignment %zu: %zu to %zu", alignment, size, to);
                c->release(q);
            }
    claim("%s_aligned_blocks_keep_contents_in_realloc", c->names);
}

static void test_set(const struct calls *c)
{
    contents_are_kept_between_all_sizes(c);
    large_contents_are_kept(c);
    a_block_climbs_and_falls(c);
    null_is_malloc(c);
    size_zero_frees(c);
    failing_keeps_the_block(c);
    same_size_stays(c);
    aligned_blocks_can_be_resized(c);
}

int main(void)
{
    edges_fill(&sizes, 2 * MIB);
    runs_on_hakmem();
    for_each_set(test_set);
    return done_testing();
}
