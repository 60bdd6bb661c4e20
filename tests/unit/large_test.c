/* large_test.c - runs, mappings, kept mappings, resizing. */
#include "unit.h"

#define RUN_SIZE ((size_t)300000)
#define MAPPING_SIZE ((size_t)3000000)

static struct large_usage usage(void)
{
    struct large_usage u;
    large_usage(&u);
    return u;
}

static uint32_t kind_of(const void *p)
{
    return tag_offset(tagmap_get(p));
}

static void fill(unsigned char *p, size_t size)
{
    for (size_t i = 0; i < size; i += 509) p[i] = (unsigned char)(i / 509 + 1);
    p[size - 1] = 0x5a;
}

static void require_filled(const unsigned char *p, size_t size)
{
    for (size_t i = 0; i < size - 1; i += 509) require(p[i] == (unsigned char)(i / 509 + 1), "byte %zu of %zu", i, size);
}

/* ---- runs ---- */

static void sizes_decide_between_run_and_mapping(void)
{
    for (size_t size = SMALL_SIZE_MAX + 1; size < 4 * MAPPING_SIZE; size += size / 7) {
        unsigned char *p = hak_malloc(size);
        require(p && kind_of(p) == (size <= RUN_SIZE_MAX ? TAG_RUN : TAG_MAPPING), "size %zu", size);
        require(hak_usable_size(p) >= size && hak_usable_size(p) - size < os_page_size());
        fill(p, hak_usable_size(p));
        require(!hak_owns(p + 16) && !hak_owns(p + size - 1));
        hak_free(p);
        require_sound();
    }
}

static void a_run_refused_becomes_a_mapping(void)
{
    void *small = hak_malloc(1);
    fake_fail(FAKE_COMMIT, 1, 8); /* no new SuperSlab; the tag of a mapping may need one, later */
    unsigned mappings = 0;
    for (int i = 0; i < 12; i++) mappings += kind_of(hak_malloc(2000000)) == TAG_MAPPING;
    require(mappings > 0);
    hak_free(small);
    require_sound();
}

static void runs_resize_in_place(void)
{
    unsigned char *p = hak_malloc(RUN_SIZE);
    fill(p, RUN_SIZE);
    for (size_t size = RUN_SIZE; size < RUN_SIZE_MAX; size += 100000) {
        require(hak_realloc(p, size) == p, "grown to %zu", size);
        require_filled(p, RUN_SIZE);
        memset(p + size - 1, 0, 1);
    }
    for (size_t size = RUN_SIZE_MAX; size > SMALL_SIZE_MAX; size -= 100000)
        require(hak_realloc(p, size) == p && hak_usable_size(p) - size < os_page_size(), "shrunk to %zu", size);
    require_sound();
    hak_free(p);
    require_sound();
}

static void a_run_with_a_neighbour_moves(void)
{
    unsigned char *p = hak_malloc(RUN_SIZE);
    void *neighbour = hak_malloc(RUN_SIZE);
    fill(p, RUN_SIZE);
    unsigned char *q = hak_realloc(p, 4 * RUN_SIZE);
    require(q && q != p);
    require_filled(q, RUN_SIZE);
    require(!hak_owns(p) && hak_owns(neighbour));
    require_sound();
}

/* ---- mappings ---- */

static void freed_mappings_are_kept_and_used_again(void)
{
    unsigned char *p = hak_malloc(MAPPING_SIZE);
    fill(p, MAPPING_SIZE);
    hak_free(p);
    require(large_has_kept() && usage().kept >= MAPPING_SIZE && kind_of(p) == TAG_MAPPING_KEPT && !hak_owns(p));
    uint64_t maps = fake.calls[FAKE_MAP];
    require(hak_malloc(MAPPING_SIZE - 300000) == p && fake.calls[FAKE_MAP] == maps);
    require(!large_has_kept() && hak_owns(p));
    require_sound();
}

static void a_kept_mapping_must_be_filled_to_three_quarters(void)
{
    void *p = hak_malloc(4 * MAPPING_SIZE);
    hak_free(p);
    require(hak_malloc(2 * MAPPING_SIZE) != p && large_has_kept());
    require(hak_malloc(4 * MAPPING_SIZE) == p);
}

static void the_smallest_kept_mapping_is_taken(void)
{
    void *p[3];
    for (int i = 0; i < 3; i++) p[i] = hak_malloc(MAPPING_SIZE + (size_t)(2 - i) * 200000);
    for (int i = 0; i < 3; i++) hak_free(p[i]);
    require(hak_malloc(MAPPING_SIZE) == p[2]);
    require(hak_malloc(MAPPING_SIZE) == p[1]);
    require(hak_malloc(MAPPING_SIZE) == p[0]);
}

static void kept_mappings_are_bounded(void)
{
    static void *p[300];
    for (unsigned i = 0; i < array_length(p); i++) require((p[i] = hak_malloc(MAPPING_SIZE)));
    for (unsigned i = 0; i < array_length(p); i++) {
        hak_free(p[i]);
        require(usage().kept <= KEPT_BYTES_MAX, "%zu bytes kept", usage().kept);
    }
    require(usage().mapping_count == 0 && usage().mapping_live == 0);
    (void)hak_purge();
    require(usage().kept == 0);
    require_sound();
}

static void calloc_of_a_kept_mapping_is_zero(void)
{
    for (int refuse = 0; refuse < 2; refuse++) {
        unsigned char *p = hak_malloc(MAPPING_SIZE);
        memset(p, 0xaa, MAPPING_SIZE);
        hak_free(p);
        if (refuse) fake_fail(FAKE_PURGE, 1, FAKE_FOR_GOOD);
        unsigned char *q = hak_calloc(1, MAPPING_SIZE);
        require(q == p && reads_as_zero(q, MAPPING_SIZE), "refuse %d", refuse);
        fake_fail_nothing();
        hak_free(q);
    }
}

static void kept_mappings_go_after_two_ticks(void)
{
    hak_free(hak_malloc(MAPPING_SIZE));
    require(large_purge(false) == 0 && large_has_kept());
    require(large_purge(false) >= MAPPING_SIZE && !large_has_kept());
    require_sound();
}

static void an_unmap_refused_gives_the_memory_back_at_least(void)
{
    unsigned char *p = hak_malloc(MAPPING_SIZE);
    memset(p, 0xaa, MAPPING_SIZE);
    hak_free(p);
    fake_fail(FAKE_UNMAP, 1, FAKE_FOR_GOOD);
    (void)large_purge(true);
    require(large_has_kept() && fake.calls[FAKE_PURGE] > 0 && p[0] == 0);
    require(!large_verify(), "%s", large_verify());
    fake_fail_nothing();
    (void)large_purge(true);
    require(!large_has_kept());
    require_sound();
}

/* The mapping, too, must not be lost, when neither works. */
static void an_unmap_and_a_purge_refused_lose_nothing(void)
{
    unsigned char *p = hak_malloc(MAPPING_SIZE);
    memset(p, 0xaa, MAPPING_SIZE);
    hak_free(p);
    fake_fail(FAKE_UNMAP, 1, FAKE_FOR_GOOD);
    fake_fail(FAKE_PURGE, 1, FAKE_FOR_GOOD);
    (void)large_purge(true);
    unsigned char *q = hak_calloc(1, MAPPING_SIZE);
    require(q == p && reads_as_zero(q, MAPPING_SIZE));
    fake_fail_nothing();
    require_sound();
}

/* ---- mremap ---- */

static unsigned char *filled_mapping(void)
{
    unsigned char *p = hak_malloc(MAPPING_SIZE);
    require(p);
    fill(p, MAPPING_SIZE);
    return p;
}

static void mappings_grow_by_remapping(void)
{
    unsigned char *p = filled_mapping();
    uint64_t maps = fake.calls[FAKE_MAP];
    for (size_t size = MAPPING_SIZE; size < 40 * MAPPING_SIZE; size *= 2) {
        p = hak_realloc(p, size);
        require(p && hak_usable_size(p) >= size);
        require_filled(p, MAPPING_SIZE);
        p[size - 1] = 1;
        require_sound();
    }
    require(fake.calls[FAKE_MAP] == maps, "nothing was copied");
    hak_free(p);
    require_sound();
}

static void mappings_shrink_in_place(void)
{
    unsigned char *p = filled_mapping();
    require(hak_realloc(p, MAPPING_SIZE - 500000) == p);
    require(hak_usable_size(p) - (MAPPING_SIZE - 500000) < os_page_size());
    require_filled(p, MAPPING_SIZE - 500000);
    require_sound();
}

static void remap_refused_moves_the_pages(void)
{
    unsigned char *p = filled_mapping();
    fake_fail(FAKE_REMAP, 1, FAKE_FOR_GOOD);
    unsigned char *q = hak_realloc(p, 2 * MAPPING_SIZE);
    require(q && q != p && fake.calls[FAKE_REMAP_TO] == 1 && !hak_owns(p));
    require_filled(q, MAPPING_SIZE);
    q[2 * MAPPING_SIZE - 1] = 1;
    require_sound();
    hak_free(q);
    require_sound();
}

static void both_remaps_refused_copy_the_bytes(void)
{
    for (int eats = 0; eats < 2; eats++) {
        unsigned char *p = filled_mapping();
        fake_fail(FAKE_REMAP, 1, FAKE_FOR_GOOD);
        fake_fail(FAKE_REMAP_TO, 1, FAKE_FOR_GOOD);
        fake.remap_eats_target = eats;
        unsigned char *q = hak_realloc(p, 2 * MAPPING_SIZE);
        require(q && q != p, "eats %d", eats);
        require_filled(q, MAPPING_SIZE);
        q[2 * MAPPING_SIZE - 1] = 1;
        fake_fail_nothing();
        hak_free(q);
        require_sound();
    }
}

static void all_refused_keeps_the_old_block(void)
{
    const enum fake_call more[] = {FAKE_RESERVE, FAKE_REMAP_TO};
    for (unsigned i = 0; i < array_length(more); i++) {
        unsigned char *p = filled_mapping();
        fake_fail(FAKE_REMAP, 1, FAKE_FOR_GOOD);
        fake_fail(FAKE_MAP, 1, FAKE_FOR_GOOD);
        fake_fail(more[i], 1, FAKE_FOR_GOOD);
        errno = 0;
        require(!hak_realloc(p, 20 * MAPPING_SIZE) && errno == ENOMEM);
        require(hak_owns(p));
        require_filled(p, MAPPING_SIZE);
        fake_fail_nothing();
        require_sound();
        hak_free(p);
        require_sound();
    }
}

static void shrinking_never_fails(void)
{
    unsigned char *p = filled_mapping();
    (void)hak_malloc(1);
    fake_fail(FAKE_ANY, 1, FAKE_FOR_GOOD);
    for (size_t size = MAPPING_SIZE - 1; size > 0; size /= 3) {
        errno = 33;
        p = hak_realloc(p, size);
        require(p && errno == 33, "size %zu", size);
        require_filled(p, size);
    }
    fake_fail_nothing();
    hak_free(p);
    require_sound();
}

/* ---- alignment ---- */

static void every_alignment_is_served(void)
{
    for (size_t alignment = 16; alignment <= (size_t)64 << 20; alignment *= 2)
        for (size_t size = 1; size < 2 * MAPPING_SIZE; size = size * 23 + 7) {
            unsigned char *p = hak_aligned_alloc(alignment, size);
            require(p && (uintptr_t)p % alignment == 0, "%zu aligned to %zu", size, alignment);
            require(hak_usable_size(p) >= size && hak_owns(p));
            fill(p, size);
            unsigned char *q = hak_realloc(p, size + size / 2 + 10);
            require(q);
            require_filled(q, size);
            hak_free(q);
        }
    require_sound();
}

static void slack_of_alignment_is_counted(void)
{
    void *p = hak_aligned_alloc((size_t)1 << 20, MAPPING_SIZE);
    require(usage().mapping_live >= MAPPING_SIZE && usage().mapping_slack >= ((size_t)1 << 20) - os_page_size());
    require_sound();
    hak_free(p);
    require(usage().mapping_live == 0 && usage().mapping_slack == 0);
    require_sound();
}

/* ---- misuse ---- */

static void what_is_no_start_is_refused(void)
{
    require(option_set(OPTION_on_error, ON_ERROR_REPORT));
    char *p[] = {hak_malloc(RUN_SIZE), hak_malloc(MAPPING_SIZE)};
    for (unsigned i = 0; i < 2; i++) {
        size_t size = hak_usable_size(p[i]);
        for (size_t at = 16; at < UNIT_SIZE; at += 4080) {
            hak_free(p[i] + at);
            require_text("invalid pointer");
            require(hak_usable_size(p[i] + at) == 0 && !hak_owns(p[i] + at));
        }
        require(hak_usable_size(p[i]) == size);
        hak_free(p[i]);
        require_only_text("");
        hak_free(p[i]);
        require_text("double free");
    }
    require_sound();
}

/* Bytes that look like a header of libc's in front of an interior pointer. */
static void payload_that_mimics_libc_is_refused(void)
{
    require(option_set(OPTION_on_error, ON_ERROR_REPORT));
    const size_t sizes[] = {5000, 60000, RUN_SIZE, MAPPING_SIZE};
    for (unsigned i = 0; i < array_length(sizes); i++) {
        char *p = hak_malloc(sizes[i]);
        char *at = (char *)align_up((uintptr_t)p + 16, os_page_size());
        if (at + 16 > p + sizes[i]) continue;
        *(size_t *)(void *)at = 0;
        *(size_t *)(void *)(at + 8) = os_page_size() | LIBC_MAPPED;
        hak_free(at + 16);
        require_text("invalid pointer");
        errno = 0;
        require(!hak_realloc(at + 16, 100) && errno == ENOMEM);
        require_text("invalid pointer");
        *at = 1; /* still mapped */
        hak_free(p);
    }
    require_sound();
}

/* ---- broken on purpose ---- */

static struct large *record_of(const void *p)
{
    return (struct large *)(void *)record_at(tagmap_get(p).record);
}

static void verify_sees_a_mapping_without_its_tag(void)
{
    void *p = filled_mapping();
    publish(record_of(p), TAG_NONE);
    require_broken(large_verify(), "large I1");
}

static void verify_sees_a_block_outside_its_mapping(void)
{
    struct large *l = record_of(filled_mapping());
    l->size = l->map_size + os_page_size();
    require_broken(large_verify(), "large I1");
}

static void verify_sees_wrong_kept_bytes(void)
{
    hak_free(filled_mapping());
    require(!large_verify());
    large.kept_bytes++;
    require_broken(large_verify(), "large I2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sizes_decide_between_run_and_mapping),
        TEST(a_run_refused_becomes_a_mapping),
        TEST(runs_resize_in_place),
        TEST(a_run_with_a_neighbour_moves),
        TEST(freed_mappings_are_kept_and_used_again),
        TEST(a_kept_mapping_must_be_filled_to_three_quarters),
        TEST(the_smallest_kept_mapping_is_taken),
        TEST(kept_mappings_are_bounded),
        TEST(calloc_of_a_kept_mapping_is_zero),
        TEST(kept_mappings_go_after_two_ticks),
        TEST(an_unmap_refused_gives_the_memory_back_at_least),
        TEST(an_unmap_and_a_purge_refused_lose_nothing),
        TEST(mappings_grow_by_remapping),
        TEST(mappings_shrink_in_place),
        TEST(remap_refused_moves_the_pages),
        TEST(both_remaps_refused_copy_the_bytes),
        TEST(all_refused_keeps_the_old_block),
        TEST(shrinking_never_fails),
        TEST(every_alignment_is_served),
        TEST(slack_of_alignment_is_counted),
        TEST(what_is_no_start_is_refused),
        TEST(payload_that_mimics_libc_is_refused),
        TEST(verify_sees_a_mapping_without_its_tag),
        TEST(verify_sees_a_block_outside_its_mapping),
        TEST(verify_sees_wrong_kept_bytes),
    };
    return run_unit_tests(tests);
}
