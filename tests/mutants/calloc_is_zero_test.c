/* calloc_is_zero_test - what calloc returns is zero, whatever the memory was before and whatever the
 * system refused; and what is given back to the system is what the books say.
 */
#define HAK_FAKE_OS "../tests/mutants/refusing_os.c"
#include "../regress/whitebox.h"

/* None that a heap keeps: a kept run is not for calloc; see tests/unit/kept_run_test.c. */
static const size_t sizes[] = {100, 5000, 40000, 300 << 10, 700 << 10, 1 << 20, 2 << 20, 3 << 20, 9 << 20, 50 << 20};

static bool is_zero(const unsigned char *p, size_t size)
{
    return p[0] == 0 && memcmp(p, p + 1, size - 1) == 0;
}

/* true = calloc used the dirtied memory again. */
static bool calloc_after(size_t size, bool purge, bool refuse)
{
    unsigned char *p = call_malloc(size);
    if (!p) bail_out("no memory");
    memset(p, 0xff, size);
    call_free(p);
    refused.purge = refuse;
    if (purge) (void)hak_purge();
    unsigned char *q = call_calloc(1, size);
    expect(q && is_zero(q, size), "%zu bytes%s%s", size, purge ? ", after a purge" : "", refuse ? ", refused" : "");
    refused.purge = false;
    call_free(q);
    return q == p;
}

static void zero_after(bool purge, bool refuse, const char *name)
{
    unsigned same = 0;
    for (unsigned i = 0; i < array_length(sizes); i++) same += calloc_after(sizes[i], purge, refuse);
    expect(purge || same == array_length(sizes), "only %u of %zu had been dirty", same, array_length(sizes));
    claim("calloc_is_zero %s", name);
}

static struct hak_stats figures(void)
{
    struct hak_stats s;
    hak_stats(&s);
    return s;
}

static void make_dirty(void)
{
    void *p[40];
    for (unsigned i = 0; i < array_length(p); i++) p[i] = memset(call_malloc(700 << 10), 1, 700 << 10);
    for (unsigned i = 0; i < array_length(p); i++) call_free(p[i]);
}

static void purge_tells_the_truth(void)
{
    (void)hak_purge();
    make_dirty();
    size_t dirty = figures().dirty;
    expect(dirty >= 40 * (size_t)(700 << 10), "%zu bytes are dirty", dirty);
    refused.purge = true;
    size_t refused_bytes = hak_purge();
    expect(refused_bytes == 0 && figures().dirty == dirty, "refused: %zu dirty, not %zu", figures().dirty, dirty);
    refused.purge = false;
    size_t bytes = hak_purge();
    expect(bytes == dirty && figures().dirty == 0, "%zu bytes of %zu, %zu are left", bytes, dirty, figures().dirty);
    expect(!arena_verify(), "%s", arena_verify());
    claim("purge_gives_back_all_that_is_dirty_or_nothing");
}

static void a_mapping_that_stays(void)
{
    size_t size = 5 << 20;
    unsigned char *p = memset(malloc_mapping(size), 1, size);
    call_free(p);
    refused.unmap = refused.purge = true;
    (void)hak_purge();
    expect(figures().dirty >= size, "a mapping that cannot be unmapped is kept: %zu dirty", figures().dirty);
    expect(!large_verify(), "%s", large_verify());
    unsigned char *q = mapping_alloc(size, 1, true);
    expect(q && q == p && is_zero(q, size), "and is to be had again, zero");
    refused.unmap = refused.purge = false;
    call_free(q);
    (void)hak_purge();
    expect(figures().dirty == 0 && !large_has_kept(), "and goes when the system allows it: %zu dirty", figures().dirty);
    claim("a_refused_unmap_costs_nothing_but_addresses");
}

int main(void)
{
    be(heap_enter());
    zero_after(false, false, "in memory just freed");
    zero_after(true, false, "after a purge");
    zero_after(false, true, "when purges are refused");
    zero_after(true, true, "after a purge that was refused");
    purge_tells_the_truth();
    a_mapping_that_stays();
    ok(hak_check(), "all_invariants_hold_at_the_end");
    return done_testing();
}
