/* alloc_test.c - malloc, calloc, free and its sized forms, under the standard, hak_* and __libc_* names.
 *
 * Every edge of the size classes, pages, units and SuperSlabs, and sizes that must be refused.
 */
#include "calls.h"

enum { HOLD = 48, BIG_HOLD = 3 };

static struct edges sizes;

/* Blocks of one size that live together; fewer of the large ones, to stay small and quick. */
static int hold_count(size_t size) { return size > 128 * KIB ? BIG_HOLD : HOLD; }

static void blocks_are_apart(const struct calls *c, size_t size)
{
    void *held[HOLD];
    size_t room[HOLD];
    int count = hold_count(size);
    for (int i = 0; i < count; i++) {
        held[i] = c->alloc(size);
        if (!expect(held[i] != NULL, "size %zu", size)) return;
        expect(is_aligned(held[i], natural_alignment(size)), "size %zu at %p", size, held[i]);
        room[i] = usable(held[i]);
        expect(room[i] >= size, "size %zu usable %zu", size, room[i]);
        pattern_fill(held[i], room[i], (size_t)i + size);
    }
    for (int i = 0; i < count; i++) {
        expect(usable(held[i]) == room[i], "size %zu: usable size changed", size);
        expect(pattern_holds(held[i], room[i], (size_t)i + size), "size %zu block %d", size, i);
    }
    for (int i = 0; i < count; i++) c->release(held[i]);
}

static void usable_size_is_enough_stable_and_writable(const struct calls *c)
{
    for (size_t i = 0; i < sizes.count; i++) blocks_are_apart(c, sizes.at[i]);
    claim("%s_blocks_are_aligned_apart_and_writable_to_the_last_usable_byte", c->names);
}

static int by_address(const void *a, const void *b)
{
    uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
    return x < y ? -1 : x > y;
}

static void size_zero_is_unique(const struct calls *c)
{
    enum { MANY = 3000 };
    static uintptr_t held[MANY];
    for (int i = 0; i < MANY; i++) {
        void *p = i % 3 == 0 ? c->alloc(0) : i % 3 == 1 ? c->zeroed(0, (size_t)i) : c->zeroed(SIZE_MAX, 0);
        expect(p != NULL, "call %d", i);
        held[i] = (uintptr_t)p;
    }
    qsort(held, MANY, sizeof held[0], by_address);
    for (int i = 1; i < MANY; i++) expect(held[i] != held[i - 1], "%#lx twice", held[i]);
    for (int i = 0; i < MANY; i++) c->release((void *)held[i]);
    claim("%s_size_zero_gives_a_block_of_its_own", c->names);
}

static void impossible_sizes_give_enomem(const struct calls *c)
{
    for (size_t i = 0; i < COUNT(refused_sizes); i++) {
        size_t size = refused_sizes[i];
        errno = 0;
        void *p = c->alloc(size);
        expect(p == NULL && errno == ENOMEM, "malloc(%#zx) = %p, errno %d", size, p, errno);
        errno = 0;
        p = c->zeroed(1, size);
        expect(p == NULL && errno == ENOMEM, "calloc(1, %#zx) = %p, errno %d", size, p, errno);
        errno = 0;
        p = c->zeroed(size, 1);
        expect(p == NULL && errno == ENOMEM, "calloc(%#zx, 1) = %p, errno %d", size, p, errno);
    }
    claim("%s_impossible_sizes_give_NULL_and_ENOMEM", c->names);
}

static void overflowing_products_give_enomem(const struct calls *c)
{
    static const size_t factors[][2] = {
        {2, SIZE_MAX / 2 + 1}, {SIZE_MAX, 2}, {SIZE_MAX, SIZE_MAX}, {(size_t)1 << 32, (size_t)1 << 32},
        {((size_t)1 << 32) + 1, (size_t)1 << 32}, {3, SIZE_MAX / 3 + 1}, {16, SIZE_MAX / 16 + 1},
        {SIZE_MAX / 24 + 1, 24}, {(size_t)1 << 63, 2}, {65536, SIZE_MAX / 65536 + 2}};
    for (size_t i = 0; i < COUNT(factors); i++)
        for (int turned = 0; turned < 2; turned++) {
            size_t a = factors[i][turned], b = factors[i][!turned];
            errno = 0;
            void *p = c->zeroed(a, b);
            expect(p == NULL && errno == ENOMEM, "calloc(%#zx, %#zx) = %p, errno %d", a, b, p, errno);
            if (!c->resize_array) continue;
            errno = 0;
            p = c->resize_array(NULL, a, b);
            expect(p == NULL && errno == ENOMEM, "reallocarray(%#zx, %#zx) = %p", a, b, p);
        }
    claim("%s_overflowing_products_give_NULL_and_ENOMEM", c->names);
}

/* Dirty blocks of the size go back first, so that calloc meets memory that somebody has used. */
static void one_size_is_zeroed(const struct calls *c, size_t size)
{
    void *held[HOLD];
    int count = hold_count(size);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < count; i++) {
            held[i] = c->alloc(size);
            if (!expect(held[i] != NULL, "size %zu", size)) return;
            memset(held[i], 0xff, usable(held[i]));
        }
        for (int i = 0; i < count; i++) c->release(held[i]);
        for (int i = 0; i < count; i++) {
            bool split = size % 3 == 0 && i % 2;
            held[i] = split ? c->zeroed(3, size / 3) : c->zeroed(size, 1);
            if (!expect(held[i] != NULL, "size %zu", size)) return;
            expect(is_aligned(held[i], natural_alignment(size)), "size %zu at %p", size, held[i]);
            expect(all_zero(held[i], size), "size %zu, round %d, block %d", size, round, i);
            memset(held[i], 0xff, size);
        }
        for (int i = 0; i < count; i++) c->release(held[i]);
    }
}

static void calloc_is_zero(const struct calls *c)
{
    for (size_t i = 0; i < sizes.count; i++) one_size_is_zeroed(c, sizes.at[i]);
    claim("%s_calloc_is_zero_on_fresh_and_on_dirtied_memory", c->names);
}

/* Memory freed in one size, dirty, comes back as another size after the arena has merged it. */
static void calloc_is_zero_across_sizes(const struct calls *c)
{
    enum { MANY = 64 };
    static const size_t dirty[] = {24, 500, 5000, 40000, 70000, 400 * 1024, 1500 * 1024};
    static const size_t wanted[] = {48, 1024, 9000, 65536, 65537, 200 * 1024, 1 << 20, 5 << 20};
    void *held[MANY];
    for (size_t d = 0; d < COUNT(dirty); d++)
        for (size_t w = 0; w < COUNT(wanted); w++) {
            int count = dirty[d] > MIB ? 8 : MANY;
            for (int i = 0; i < count; i++) {
                held[i] = c->alloc(dirty[d]);
                if (!expect(held[i] != NULL, "size %zu", dirty[d])) return;
                memset(held[i], 0xff, dirty[d]);
            }
            for (int i = 0; i < count; i++) c->release(held[i]);
            if ((d + w) % 3 == 0) hak_purge();
            for (int i = 0; i < 3; i++) {
                void *p = c->zeroed(1, wanted[w]);
                if (!expect(p != NULL, "size %zu", wanted[w])) return;
                expect(all_zero(p, wanted[w]), "%zu after %zu", wanted[w], dirty[d]);
                c->release(p);
            }
        }
    claim("%s_calloc_is_zero_where_other_sizes_left_dirt", c->names);
}

static const size_t errno_sizes[] = {0, 1, 8, 9, 64, 1024, 4096, 8192, 8193, 32 * 1024, 65536, 65537,
                                     200 * 1024, 1 << 20, 2 << 20, (2 << 20) + 1, 8 << 20, 64 << 20, (64 << 20) + 1};

static void free_keeps_errno(const struct calls *c)
{
    static const int before[] = {0, EINTR, ENOMEM, 12345};
    for (size_t e = 0; e < COUNT(before); e++) {
        for (size_t i = 0; i < COUNT(errno_sizes); i++) {
            unsigned char *p = c->alloc(errno_sizes[i]);
            if (!expect(p != NULL, "size %zu", errno_sizes[i])) return;
            if (errno_sizes[i] > 0) p[0] = p[errno_sizes[i] - 1] = 1;
            errno = before[e];
            c->release(p);
            expect(errno == before[e], "size %zu: errno %d became %d", errno_sizes[i], before[e], errno);
        }
        errno = before[e];
        c->release(NULL);
        expect(errno == before[e], "NULL: errno %d became %d", before[e], errno);
    }
    claim("%s_free_keeps_errno", c->names);
}

/* Many blocks at once: the free that retires a slab, merges runs and purges is among these. */
static void mass_free_keeps_errno(const struct calls *c)
{
    enum { MANY = 20000 };
    static void *held[MANY];
    static const size_t unit_sizes[] = {64, 1000, 8000};
    for (size_t s = 0; s < COUNT(unit_sizes); s++) {
        int count = unit_sizes[s] > 4096 ? MANY / 8 : MANY;
        for (int i = 0; i < count; i++) {
            held[i] = c->alloc(unit_sizes[s]);
            expect(held[i] != NULL, "size %zu", unit_sizes[s]);
        }
        errno = 4321;
        for (int i = 0; i < count; i++) c->release(held[i]);
        expect(errno == 4321, "size %zu: errno became %d", unit_sizes[s], errno);
    }
    claim("%s_mass_free_keeps_errno", c->names);
}

static void sized_frees_accept_their_size(const struct calls *c)
{
    if (!ok(c->release_sized && c->release_aligned, "%s_sized_frees_exist", c->names)) return;
    struct hak_stats before, after;
    hak_stats(&before);
    for (size_t i = 0; i < sizes.count; i++) {
        errno = 777;
        c->release_sized(c->alloc(sizes.at[i]), sizes.at[i]);
        c->release_sized(c->zeroed(1, sizes.at[i]), sizes.at[i]);
        for (size_t alignment = 1; alignment <= 4 * MIB; alignment *= 4) {
            void *p = c->aligned(alignment, sizes.at[i]);
            if (expect(p != NULL, "alignment %zu size %zu", alignment, sizes.at[i]))
                c->release_aligned(p, alignment, sizes.at[i]);
        }
        expect(errno == 777, "size %zu: errno became %d", sizes.at[i], errno);
    }
    c->release_sized(NULL, 0);
    c->release_sized(NULL, 100);
    c->release_aligned(NULL, 64, 100);
    hak_stats(&after);
    expect(after.live == before.live, "live %zu became %zu", before.live, after.live);
    claim("%s_sized_frees_free_and_keep_errno", c->names);
}

static void test_set(const struct calls *c)
{
    usable_size_is_enough_stable_and_writable(c);
    size_zero_is_unique(c);
    impossible_sizes_give_enomem(c);
    overflowing_products_give_enomem(c);
    calloc_is_zero(c);
    calloc_is_zero_across_sizes(c);
    free_keeps_errno(c);
    mass_free_keeps_errno(c);
    if (c->resize_array && hak_stats) sized_frees_accept_their_size(c);
}

int main(void)
{
    edges_fill(&sizes, 8 * MIB);
    runs_on_hakmem();
    for_each_set(test_set);
    void (*volatile old_free)(void *) = cfree;
    if (ok(old_free != NULL, "cfree_exists")) {
        errno = 99;
        old_free(malloc(100));
        old_free(NULL);
        ok(errno == 99, "cfree_keeps_errno");
    }
    return done_testing();
}
