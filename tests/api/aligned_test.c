/* aligned_test.c - posix_memalign, aligned_alloc, memalign, valloc, pvalloc: the cross product of
 * alignments and sizes, good, at the edge and bad.
 */
#include "calls.h"

static struct edges sizes;

static const size_t good_alignments[] = {
    1,         2,         4,        8,        16,       32,      64,      128,     256,      512,
    1024,      2048,      4096,     8192,     16384,    32768,   65536,   131072,  1 << 18,  1 << 19,
    1 << 20,   1 << 21,   1 << 22,  1 << 23,  1 << 24,  1 << 26};

static const size_t odd_alignments[] = {0,    3,    5,    6,     7,     9,        10,          12,
                                        15,   17,   24,   40,    48,    63,       65,          96,
                                        100,  4095, 4097, 65535, 65537, 3 << 20,  (64 << 20) + 1,
                                        SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2, SIZE_MAX - 15};

/* Powers of two that no machine can serve. */
static const size_t huge_alignments[] = {(size_t)1 << 48, (size_t)1 << 49, (size_t)1 << 62, (size_t)1 << 63};

/* The largest alignments take a mapping for each block; a few sizes show as much as all of them. */
static bool worth_trying(size_t alignment, size_t i)
{
    return alignment <= 8192 || i % 11 == 0 || sizes.at[i] >= 2 * MIB;
}

/* Blocks that live side by side: the first of a slab is aligned to anything. */
enum { SIDE_BY_SIDE = 3 };

static void check_block(unsigned char *p, size_t alignment, size_t size)
{
    if (!expect(p != NULL, "alignment %zu size %zu", alignment, size)) return;
    expect(is_aligned(p, alignment), "alignment %zu size %zu at %p", alignment, size, (void *)p);
    size_t room = usable(p);
    expect(room >= size, "alignment %zu size %zu usable %zu", alignment, size, room);
    if (room > 0) p[0] = p[room / 2] = p[room - 1] = 1;
    expect(usable(p) == room, "alignment %zu size %zu: usable size changed", alignment, size);
}

static void aligned_alloc_aligns(const struct calls *c)
{
    for (size_t a = 0; a < COUNT(good_alignments); a++)
        for (size_t i = 0; i < sizes.count; i++) {
            if (!worth_trying(good_alignments[a], i)) continue;
            void *p[SIDE_BY_SIDE];
            for (int b = 0; b < SIDE_BY_SIDE; b++) {
                p[b] = c->aligned(good_alignments[a], sizes.at[i]);
                check_block(p[b], good_alignments[a], sizes.at[i]);
            }
            for (int b = 0; b < SIDE_BY_SIDE; b++) c->release(p[b]);
        }
    claim("%s_aligned_alloc_takes_any_power_of_two_and_any_size", c->names);
}

static void aligned_alloc_refuses(const struct calls *c)
{
    static const size_t any_size[] = {0, 1, 64, 4096, 1 << 20, SIZE_MAX};
    for (size_t a = 0; a < COUNT(odd_alignments); a++)
        for (size_t i = 0; i < COUNT(any_size); i++) {
            errno = 0;
            void *p = c->aligned(odd_alignments[a], any_size[i]);
            expect(p == NULL && errno == EINVAL, "alignment %zu size %zu = %p, errno %d", odd_alignments[a],
                   any_size[i], p, errno);
        }
    claim("%s_aligned_alloc_gives_EINVAL_for_no_power_of_two", c->names);
}

static void posix_memalign_aligns(const struct calls *c)
{
    for (size_t a = 0; a < COUNT(good_alignments); a++)
        for (size_t i = 0; i < sizes.count; i++) {
            if (good_alignments[a] < sizeof(void *) || !worth_trying(good_alignments[a], i)) continue;
            void *p[SIDE_BY_SIDE] = {NULL};
            for (int b = 0; b < SIDE_BY_SIDE; b++) {
                errno = 4242;
                int status = c->posix_aligned(&p[b], good_alignments[a], sizes.at[i]);
                expect(status == 0 && errno == 4242, "alignment %zu size %zu: %d", good_alignments[a], sizes.at[i], status);
                check_block(p[b], good_alignments[a], sizes.at[i]);
            }
            for (int b = 0; b < SIDE_BY_SIDE; b++) c->release(p[b]);
        }
    claim("%s_posix_memalign_aligns_and_leaves_errno_alone", c->names);
}

static void one_refusal(const struct calls *c, size_t alignment, size_t size, int wanted)
{
    void *const untouched = (void *)0x1234;
    void *p = untouched;
    errno = 4242;
    int status = c->posix_aligned(&p, alignment, size);
    expect(status == wanted, "alignment %#zx size %#zx: %d instead of %d", alignment, size, status, wanted);
    expect(p == untouched, "alignment %#zx size %#zx: *out became %p", alignment, size, p);
    expect(errno == 4242, "alignment %#zx size %#zx: errno became %d", alignment, size, errno);
    if (status == 0) c->release(p);
}

static void posix_memalign_refuses(const struct calls *c)
{
    static const size_t any_size[] = {0, 1, 64, 4096, 1 << 20, SIZE_MAX};
    for (size_t i = 0; i < COUNT(any_size); i++) {
        for (size_t a = 0; a < COUNT(odd_alignments); a++) one_refusal(c, odd_alignments[a], any_size[i], EINVAL);
        for (size_t alignment = 1; alignment < sizeof(void *); alignment *= 2) one_refusal(c, alignment, any_size[i], EINVAL);
        for (size_t a = 0; a < COUNT(huge_alignments); a++) one_refusal(c, huge_alignments[a], any_size[i], ENOMEM);
    }
    for (size_t i = 0; i < COUNT(refused_sizes); i++)
        for (size_t a = 0; a < COUNT(good_alignments); a++)
            if (good_alignments[a] >= sizeof(void *)) one_refusal(c, good_alignments[a], refused_sizes[i], ENOMEM);
    claim("%s_posix_memalign_leaves_out_and_errno_alone_on_failure", c->names);
}

static size_t next_power_of_two(size_t n)
{
    size_t power = 1;
    while (power < n) power *= 2;
    return power;
}

static void memalign_rounds_the_alignment_up(const struct calls *c)
{
    for (size_t a = 0; a < COUNT(odd_alignments); a++) {
        if (odd_alignments[a] > SIZE_MAX / 4) continue;
        for (size_t i = 0; i < sizes.count; i++) {
            if (!worth_trying(odd_alignments[a], i)) continue;
            void *p[SIDE_BY_SIDE];
            for (int b = 0; b < SIDE_BY_SIDE; b++) {
                p[b] = c->rounded_aligned(odd_alignments[a], sizes.at[i]);
                check_block(p[b], next_power_of_two(odd_alignments[a]), sizes.at[i]);
            }
            for (int b = 0; b < SIDE_BY_SIDE; b++) c->release(p[b]);
        }
    }
    claim("%s_memalign_rounds_an_odd_alignment_up_to_a_power_of_two", c->names);
}

static void memalign_aligns(const struct calls *c)
{
    for (size_t a = 0; a < COUNT(good_alignments); a++)
        for (size_t i = 0; i < sizes.count; i++) {
            if (!worth_trying(good_alignments[a], i)) continue;
            void *p[SIDE_BY_SIDE];
            for (int b = 0; b < SIDE_BY_SIDE; b++) {
                p[b] = c->rounded_aligned(good_alignments[a], sizes.at[i]);
                check_block(p[b], good_alignments[a], sizes.at[i]);
            }
            for (int b = 0; b < SIDE_BY_SIDE; b++) c->release(p[b]);
        }
    claim("%s_memalign_aligns", c->names);
}

/* glibc: EINVAL where the alignment cannot be rounded up, ENOMEM where there is no room for it. */
static void memalign_refuses(const struct calls *c)
{
    static const size_t not_roundable[] = {((size_t)1 << 63) + 1, SIZE_MAX - 15, SIZE_MAX - 1, SIZE_MAX};
    for (size_t a = 0; a < COUNT(not_roundable); a++) {
        errno = 0;
        void *p = c->rounded_aligned(not_roundable[a], 64);
        expect(p == NULL && errno == EINVAL, "alignment %#zx = %p, errno %d", not_roundable[a], p, errno);
    }
    for (size_t a = 0; a < COUNT(huge_alignments); a++) {
        errno = 0;
        void *p = c->rounded_aligned(huge_alignments[a], 64);
        expect(p == NULL && errno == ENOMEM, "alignment %#zx = %p, errno %d", huge_alignments[a], p, errno);
    }
    claim("%s_memalign_refuses_as_glibc_does", c->names);
}

/* size + alignment wraps around for these in a careless sum (CVE-2026-0861, isoalloc#7). */
static void impossible_sizes_give_enomem(const struct calls *c)
{
    for (size_t i = 0; i < COUNT(refused_sizes); i++)
        for (size_t a = 0; a < COUNT(good_alignments); a++) {
            errno = 0;
            void *p = c->rounded_aligned(good_alignments[a], refused_sizes[i]);
            expect(p == NULL && errno == ENOMEM, "memalign(%#zx, %#zx) = %p, errno %d", good_alignments[a],
                   refused_sizes[i], p, errno);
            if (!c->aligned) continue;
            errno = 0;
            p = c->aligned(good_alignments[a], refused_sizes[i]);
            expect(p == NULL && errno == ENOMEM, "aligned_alloc(%#zx, %#zx) = %p, errno %d", good_alignments[a],
                   refused_sizes[i], p, errno);
        }
    for (size_t i = 0; i < COUNT(huge_alignments) && c->aligned; i++) {
        errno = 0;
        void *p = c->aligned(huge_alignments[i], 64);
        expect(p == NULL && errno == ENOMEM, "aligned_alloc(%#zx, 64) = %p, errno %d", huge_alignments[i], p, errno);
    }
    claim("%s_aligned_calls_give_ENOMEM_where_size_or_alignment_is_too_large", c->names);
}

static void page_calls_align_to_pages(const struct calls *c)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; i < sizes.count; i++) {
        void *p = c->page(sizes.at[i]), *q = c->page(sizes.at[i]);
        check_block(p, page, sizes.at[i]);
        check_block(q, page, sizes.at[i]);
        c->release(p);
        c->release(q);
        p = c->whole_pages(sizes.at[i]);
        q = c->whole_pages(sizes.at[i]);
        check_block(p, page, (sizes.at[i] + page - 1) / page * page);
        check_block(q, page, (sizes.at[i] + page - 1) / page * page);
        c->release(p);
        c->release(q);
    }
    claim("%s_valloc_and_pvalloc_give_whole_pages", c->names);
    for (size_t i = 0; i < COUNT(refused_sizes); i++) {
        errno = 0;
        void *p = c->page(refused_sizes[i]);
        expect(p == NULL && errno == ENOMEM, "valloc(%#zx) = %p, errno %d", refused_sizes[i], p, errno);
        errno = 0;
        p = c->whole_pages(refused_sizes[i]);
        expect(p == NULL && errno == ENOMEM, "pvalloc(%#zx) = %p, errno %d", refused_sizes[i], p, errno);
    }
    claim("%s_valloc_and_pvalloc_give_ENOMEM_for_impossible_sizes", c->names);
}

/* Aligned and ordinary blocks side by side: none overlaps another, all go back. */
static void aligned_blocks_are_apart(const struct calls *c)
{
    enum { MANY = 300 };
    static unsigned char *held[MANY];
    static size_t room[MANY];
    size_t random = 20261120;
    diag("seed %zu", random);
    for (size_t i = 0; i < MANY; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        size_t alignment = (size_t)1 << ((random >> 33) % 17), size = (random >> 40) % 20000;
        held[i] = i % 3 ? c->rounded_aligned(alignment, size) : c->alloc(size);
        if (!expect(held[i] != NULL, "alignment %zu size %zu", alignment, size)) return;
        room[i] = usable(held[i]);
        pattern_fill(held[i], room[i], i);
    }
    for (size_t i = 0; i < MANY; i++) expect(pattern_holds(held[i], room[i], i), "block %zu of %zu bytes", i, room[i]);
    for (size_t i = 0; i < MANY; i++) c->release(held[i]);
    claim("%s_aligned_blocks_do_not_overlap", c->names);
}

static void test_set(const struct calls *c)
{
    if (c->aligned) {
        aligned_alloc_aligns(c);
        aligned_alloc_refuses(c);
        posix_memalign_aligns(c);
        posix_memalign_refuses(c);
    }
    memalign_aligns(c);
    memalign_rounds_the_alignment_up(c);
    memalign_refuses(c);
    impossible_sizes_give_enomem(c);
    page_calls_align_to_pages(c);
    aligned_blocks_are_apart(c);
}

int main(void)
{
    edges_fill(&sizes, 8 * MIB);
    runs_on_hakmem();
    for_each_set(test_set);
    return done_testing();
}
