/* tags_follow_blocks_test - the tag map says what is at an address, and nothing of addresses that are not ours. */
#define HAK_FAKE_OS "../tests/mutants/refusing_os.c"
#include <sys/resource.h>
#include <sys/wait.h>

#include "../regress/whitebox.h"

static uint32_t tag_at(const void *p)
{
    return tagmap_get(p).word;
}

static void units_of_a_run(void)
{
    size_t size = 10 * UNIT_SIZE;
    char *p = call_malloc(size);
    for (unsigned i = 0; i < 10; i++) expect(tag_at(p + i * UNIT_SIZE) == TAG_RUN, "unit %u of a run", i);
    char *q = call_realloc(p, 4 * UNIT_SIZE + 1);
    expect(q == p && tag_at(p + 4 * UNIT_SIZE) == TAG_RUN, "a run that shrinks stays");
    for (unsigned i = 5; i < 10; i++) expect(tag_at(p + i * UNIT_SIZE) == TAG_FREE, "unit %u was cut off", i);
    call_free(p);
    for (unsigned i = 0; i < 10; i++) expect(tag_at(p + i * UNIT_SIZE) == TAG_FREE, "unit %u is free", i);
    claim("each_unit_of_a_run_is_tagged_until_it_is_free");
}

static void units_of_a_slab(void)
{
    struct heap *heap = heap_of(heap_self);
    char *p = call_malloc(20000);
    uintptr_t base = align_down(slab_at(tagmap_get(p).record)->base, UNIT_SIZE);
    uint32_t wanted = heap_tag(heap->front.id) | bin_offset(class_of(20000));
    const char *unit = (const char *)base;
    for (unsigned i = 0; i < POOL_UNITS; i++) expect(tag_at(unit + i * UNIT_SIZE) == wanted, "unit %u of a slab", i);
    call_free(p);
    (void)hak_purge();
    for (unsigned i = 0; i < POOL_UNITS; i++) expect(tag_at(unit + i * UNIT_SIZE) == TAG_FREE, "unit %u is free", i);
    expect(!hak_owns(p), "a block of a retired slab is nobody's");
    claim("each_unit_of_a_slab_is_tagged_until_it_retires");
}

static void mappings(void)
{
    char *p = malloc_mapping(5 << 20);
    expect(tag_at(p) == TAG_MAPPING && hak_owns(p), "a mapping");
    call_free(p);
    expect(tag_at(p) == TAG_MAPPING_KEPT && !hak_owns(p), "a kept mapping");
    (void)hak_purge();
    expect(tag_at(p) == TAG_NONE && !hak_owns(p), "a mapping that is gone");
    claim("a_mapping_is_tagged_until_it_is_unmapped");
}

static void mappings_that_move(void)
{
    size_t size = 5 << 20;
    char *p = memset(malloc_mapping(size), 7, size);
    refused.remap = true; /* not in place */
    char *q = call_realloc(p, 3 * size);
    refused.remap = false;
    expect(q != p && tag_at(p) == TAG_NONE && tag_at(q) == TAG_MAPPING, "the tag moves along");
    expect(hak_usable_size(q) >= 3 * size && q[0] == 7 && q[size - 1] == 7, "and size and contents are right");
    expect(!large_verify(), "%s", large_verify());
    call_free(q);
    claim("a_mapping_that_moves_takes_its_tag_along");
}

static void kept_mappings(void)
{
    void *p[60];
    struct large_usage usage;
    for (unsigned i = 0; i < array_length(p); i++) p[i] = malloc_mapping((3 << 20) + i * 4096);
    for (unsigned i = 0; i < array_length(p); i++) {
        call_free(p[i]);
        large_usage(&usage);
        expect(!large_verify(), "%s", large_verify());
        expect(usage.kept <= KEPT_BYTES_MAX, "%zu bytes are kept", usage.kept);
    }
    expect(usage.kept > 0, "nothing is kept");
    for (unsigned i = 0; i < array_length(p); i++) p[i] = malloc_mapping((3 << 20) + i * 4096);
    expect(!large_verify(), "%s", large_verify());
    for (unsigned i = 0; i < array_length(p); i++) call_free(p[i]);
    (void)hak_purge();
    large_usage(&usage);
    expect(usage.kept == 0 && usage.mapping_live == 0, "%zu bytes are kept, %zu live", usage.kept, usage.mapping_live);
    claim("kept_mappings_are_counted_and_bounded");
}

static void addresses_of_others(void)
{
    int local = 0;
    static int object;
    const void *function = (const void *)(uintptr_t)&hak_malloc, *kernel = (void *)(uintptr_t)0xffff800000000000;
    const void *others[] = {NULL, &local, &object, function, kernel, heap_self, tagmap.entries, sbrk(0)};
    for (unsigned i = 0; i < array_length(others); i++) expect(tag_at(others[i]) == TAG_NONE, "address %u", i);
    claim("addresses_of_others_have_no_tag");
}

/* Claims addresses that nobody maps; the process ends with it. 0 = all is well. */
static int claim_in_a_window(void)
{
    struct rlimit limit = {.rlim_cur = 512 << 20, .rlim_max = 512 << 20};
    if (setrlimit(RLIMIT_AS, &limit) != 0) return 10;
    be(heap_enter());
    if (!tagmap.windowed) return 11;
    uintptr_t window = tagmap_count(&tagmap) << UNIT_SHIFT; /* upward, or downward near the end of the address space */
    uintptr_t base = align_down((uintptr_t)call_malloc(100), UNIT_SIZE);
    uintptr_t other = base + window / 2; /* far from what the allocator has */
    if (base + 2 * window >= UINT64_C(1) << ADDRESS_BITS) {
        other = base - window / 2;
        window = 0 - window;
    }
    if (tagmap_claim(base + window, UNIT_SIZE)) return 13;            /* meets a unit of ours */
    if (!tagmap_claim(other, 4 * UNIT_SIZE)) return 14;
    if (tagmap_claim(other + 3 * UNIT_SIZE, UNIT_SIZE)) return 15;    /* the same unit */
    if (tagmap_claim(other - UNIT_SIZE, 2 * UNIT_SIZE)) return 16;    /* its second unit is taken */
    if (tagmap_claim(other + window, UNIT_SIZE)) return 17;           /* another address, the same entry */
    return tagmap_claim(other - UNIT_SIZE, UNIT_SIZE) ? 0 : 18;       /* the failures took nothing */
}

static void windows(void)
{
    int status = -1; /* also where there is no child */
    pid_t child = fork();
    if (child == 0) _exit(claim_in_a_window());
    waitpid(child, &status, 0);
    ok(status == 0, "in_a_window_no_two_units_share_an_entry");
    if (status != 0) diag("exit status %d", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

int main(void)
{
    if (CAN_LIMIT) windows(); /* before this process has a map */
    be(heap_enter());
    units_of_a_run();
    units_of_a_slab();
    mappings();
    mappings_that_move();
    kept_mappings();
    addresses_of_others();
    ok(hak_check(), "all_invariants_hold_at_the_end");
    return done_testing();
}
