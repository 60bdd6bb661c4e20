/* realloc_test.c - resizing as a program sees it, with every refusal of the system on its way; and
 * pointers into large blocks.
 */
#include "unit.h"

#define RUN_BYTES ((size_t)300000)
#define LONG_BYTES ((size_t)2900000)    /* a run longer than a SuperSlab */
#define MAPPING_BYTES ((size_t)3000000) /* filled() gives it a mapping of its own */

static size_t next(size_t at, size_t size)
{
    return at + 509 < size ? at + 509 : at + 1;
}

static void fill(unsigned char *p, size_t size)
{
    for (size_t i = 0; i < size; i = next(i, size)) p[i] = (unsigned char)(i / 509 + 1);
}

static void require_filled(const unsigned char *p, size_t size)
{
    for (size_t i = 0; i < size; i += 509) require(p[i] == (unsigned char)(i / 509 + 1), "byte %zu of %zu", i, size);
}

static unsigned char *filled(size_t size)
{
    hak_free(hak_malloc(1));
    unsigned char *p = size == MAPPING_BYTES ? malloc_mapping(size) : hak_malloc(size);
    require(p, "%zu bytes", size);
    fill(p, size);
    return p;
}

/* ---- without a refusal ---- */

static void small_blocks_stay_while_half_used(void)
{
    for (size_t size = 1; size <= SMALL_SIZE_MAX; size += size / 3 + 1) {
        unsigned char *p = filled(size);
        size_t usable = hak_usable_size(p);
        require(hak_realloc(p, usable) == p && hak_realloc(p, usable / 2 + 1) == p, "size %zu", size);
        unsigned char *q = hak_realloc(p, usable + 1);
        require(q && q != p && hak_usable_size(q) > usable, "size %zu", size);
        require_filled(q, size < usable / 2 + 1 ? size : usable / 2 + 1);
        hak_free(q);
    }
    require_sound();
}

static void content_survives_every_pair_of_sizes(void)
{
    const size_t sizes[] = {1, 9, 100, 1024, 1025, 8193, 65536, 65537, 200000, 2097152, 2097153,
                            5000000, 20000000, 70000000};
    for (unsigned a = 0; a < array_length(sizes); a++)
        for (unsigned b = 0; b < array_length(sizes); b++) {
            unsigned char *p = hak_realloc(filled(sizes[a]), sizes[b]);
            require(p && hak_usable_size(p) >= sizes[b], "%zu to %zu", sizes[a], sizes[b]);
            require_filled(p, sizes[a] < sizes[b] ? sizes[a] : sizes[b]);
            hak_free(p);
        }
    require_sound();
}

static void mappings_grow_without_copying(void)
{
    unsigned char *p = filled(MAPPING_BYTES);
    unsigned other_places = 0;
    for (size_t size = MAPPING_BYTES; size < 40 * MAPPING_BYTES; size *= 2) {
        unsigned char *q = hak_realloc(p, size);
        require(q && hak_usable_size(q) >= size, "%zu", size);
        require_filled(q, MAPPING_BYTES);
        q[size - 1] = 1;
        require_sound();
        other_places += q != p;
        p = q;
    }
    require(fake.calls[FAKE_REMAP_TO] == other_places, "something was copied");
    hak_free(p);
    require_sound();
}

/* ---- the system refuses ---- */

static void a_remap_refused_moves_the_pages(void)
{
    unsigned char *p = filled(MAPPING_BYTES);
    fake_fail(FAKE_REMAP, 1, FAKE_FOR_GOOD);
    unsigned char *q = hak_realloc(p, 2 * MAPPING_BYTES);
    require(q && q != p && fake.calls[FAKE_REMAP_TO] == 1 && !hak_owns(p));
    require_filled(q, MAPPING_BYTES);
    q[2 * MAPPING_BYTES - 1] = 1;
    require_sound();
    hak_free(q);
    require_sound();
}

static void both_remaps_refused_copy_the_bytes(void)
{
    for (int final = 0; final < 2; final++) {
        unsigned char *p = filled(MAPPING_BYTES);
        fake_fail(FAKE_REMAP, 1, FAKE_FOR_GOOD);
        fake_fail(FAKE_REMAP_TO, 1, FAKE_FOR_GOOD);
        fake.remap_is_final = final;
        unsigned char *q = hak_realloc(p, 2 * MAPPING_BYTES);
        require(q && q != p, "no other place will do: %d", final);
        require_filled(q, MAPPING_BYTES);
        q[2 * MAPPING_BYTES - 1] = 1;
        fake_fail_nothing();
        hak_free(q);
        require_sound();
    }
}

static void all_refused_keeps_the_old_block(void)
{
    const enum fake_call more[] = {FAKE_RESERVE, FAKE_REMAP_TO};
    for (unsigned i = 0; i < array_length(more); i++) {
        unsigned char *p = filled(MAPPING_BYTES);
        fake_fail(FAKE_REMAP, 1, FAKE_FOR_GOOD);
        fake_fail(FAKE_MAP, 1, FAKE_FOR_GOOD);
        fake_fail(more[i], 1, FAKE_FOR_GOOD);
        errno = 0;
        require(!hak_realloc(p, 30 * MAPPING_BYTES) && errno == ENOMEM && hak_owns(p));
        require_filled(p, MAPPING_BYTES);
        fake_fail_nothing();
        require_sound();
        hak_free(p);
        require_sound();
    }
}

static void shrinking_never_fails(void)
{
    const size_t sizes[] = {MAPPING_BYTES, LONG_BYTES, RUN_BYTES, 60000, 3000};
    for (unsigned i = 0; i < array_length(sizes); i++) {
        unsigned char *p = filled(sizes[i]);
        fake_fail(FAKE_ANY, 1, FAKE_FOR_GOOD);
        for (size_t size = sizes[i] - 1; size > 0; size /= 3) {
            errno = 33;
            p = hak_realloc(p, size);
            require(p && errno == 33, "size %zu, errno %d", size, errno);
            require_filled(p, size);
        }
        fake_fail_nothing();
        hak_free(p);
        require_sound();
    }
}

static void allow_more(size_t more)
{
    (void)hak_purge();
    require(hak_limit_set(0, limit_held() + more) == 0);
}

static void what_cannot_be_copied_ends_earlier(void)
{
    const size_t from[] = {MAPPING_BYTES, MAPPING_BYTES, LONG_BYTES, RUN_BYTES};
    const size_t to[] = {3000, 100000, 3000, 3000};
    for (unsigned i = 0; i < array_length(from); i++) {
        unsigned char *p = filled(from[i]);
        allow_more(0);
        size_t held = limit_held();
        errno = 33;
        require(hak_realloc(p, to[i]) == p && errno == 33, "%zu to %zu", from[i], to[i]);
        (void)hak_purge();
        require(held - limit_held() >= from[i] - to[i] - 2 * UNIT_SIZE, "%zu: %zu", from[i], held - limit_held());
        require(hak_usable_size(p) >= to[i] && hak_usable_size(p) <= 2 * UNIT_SIZE);
        require_filled(p, to[i]);
        require(hak_limit_set(0, 0) == 0);
        hak_free(p);
        require_sound();
    }
}

static void a_short_mapping_grows_where_a_copy_has_no_room(void)
{
    hak_free(hak_malloc(1));
    unsigned char *p = malloc_mapping(1000000);
    require(p != NULL);
    fill(p, 1000000);
    allow_more(600000);
    p = hak_realloc(p, 1500000);
    require(p && hak_usable_size(p) >= 1500000);
    require_filled(p, 1000000);
    hak_free(p);
    require_sound();
}

static void sizes_beyond_all_memory_change_nothing(void)
{
    const size_t from[] = {10, RUN_BYTES, LONG_BYTES, MAPPING_BYTES};
    const size_t to[] = {PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1, SIZE_MAX - 4096, SIZE_MAX};
    for (unsigned i = 0; i < array_length(from); i++) {
        unsigned char *p = filled(from[i]);
        for (unsigned k = 0; k < array_length(to); k++) {
            errno = 0;
            require(!hak_realloc(p, to[k]) && errno == ENOMEM, "%zu", to[k]);
        }
        require_filled(p, from[i]);
        hak_free(p);
    }
    require_sound();
}

/* ---- pointers into large blocks ---- */

static void require_told_invalid(const char *at)
{
    char line[100];
    snprintf(line, sizeof(line), "hakmem: invalid pointer: p=%p (see hakmem-errors(7))\n", (const void *)at);
    require_only_text(line);
}

/* What lies in front of the pointer looks like the header of a block that libc mapped. */
static void require_refused(char *at)
{
    memcpy(at - 16, (size_t[]){0, os_page_size() | LIBC_MAPPED}, 16);
    hak_free(at);
    require_told_invalid(at);
    errno = 0;
    require(!hak_realloc(at, 100) && errno == ENOMEM);
    require_told_invalid(at);
    require(!hak_owns(at) && hak_usable_size(at) == 0);
    at[-16] = 1; /* still there */
}

static void payload_that_mimics_libc_is_refused(void)
{
    require(option_set(OPTION_on_error, ON_ERROR_REPORT));
    const size_t sizes[] = {RUN_BYTES, LONG_BYTES, MAPPING_BYTES};
    for (unsigned i = 0; i < array_length(sizes); i++) {
        char *p = (char *)filled(sizes[i]);
        for (size_t at = os_page_size() + 16; at + 16 < sizes[i]; at += 5 * os_page_size()) require_refused(p + at);
        hak_free(p);
    }
    require_sound();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(small_blocks_stay_while_half_used),
        TEST(content_survives_every_pair_of_sizes),
        TEST(mappings_grow_without_copying),
        TEST(a_remap_refused_moves_the_pages),
        TEST(both_remaps_refused_copy_the_bytes),
        TEST(all_refused_keeps_the_old_block),
        TEST(shrinking_never_fails),
        TEST(what_cannot_be_copied_ends_earlier),
        TEST(a_short_mapping_grows_where_a_copy_has_no_room),
        TEST(sizes_beyond_all_memory_change_nothing),
        TEST(payload_that_mimics_libc_is_refused),
    };
    return run_unit_tests(tests);
}
