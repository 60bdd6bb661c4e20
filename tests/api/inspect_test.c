/* inspect_test.c - mallopt, mallinfo, mallinfo2: glibc's looking-in calls, with true figures.
 *
 * The two that print, malloc_stats and malloc_info, are read by report_test.py.
 */
#include "calls.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* mallinfo is old, and tested for that */

static void mallopt_knows_glibcs_parameters(int (*set)(int, int), const char *name)
{
    static const struct {
        int parameter, value;
    } known[] = {{M_MXFAST, 64},          {M_TRIM_THRESHOLD, 128 * 1024}, {M_TOP_PAD, 0},
                 {M_MMAP_THRESHOLD, 256 * 1024}, {M_MMAP_MAX, 65536},     {M_CHECK_ACTION, 3},
                 {M_PERTURB, 0},          {M_ARENA_TEST, 8},              {M_ARENA_MAX, 1}};
    static const int unknown[] = {INT_MIN, -100, -9, 5, 100, 12345, INT_MAX};
    for (size_t i = 0; i < COUNT(known); i++)
        expect(set(known[i].parameter, known[i].value) == 1, "parameter %d", known[i].parameter);
    claim("%s_returns_1_for_glibc's_documented_parameters", name);
    for (size_t i = 0; i < COUNT(unknown); i++) expect(set(unknown[i], 1) == 0, "parameter %d", unknown[i]);
    claim("%s_returns_0_for_unknown_parameters", name);
}

static size_t in_use(const struct mallinfo2 *m) { return m->uordblks + m->hblkhd; }

/* Of one moment: nothing allocates between the two calls. */
static struct mallinfo2 look(struct hak_stats *s)
{
    hak_stats(s);
    struct mallinfo2 m = mallinfo2();
    expect(in_use(&m) == s->live, "uordblks %zu + hblkhd %zu, live %zu", m.uordblks, m.hblkhd, s->live);
    expect(m.uordblks <= m.arena, "arena %zu, uordblks %zu", m.arena, m.uordblks);
    expect(m.arena == m.uordblks + m.fordblks, "arena %zu, uordblks %zu, fordblks %zu", m.arena, m.uordblks, m.fordblks);
    expect(m.arena + m.hblkhd <= s->mapped + s->records, "arena %zu + hblkhd %zu, mapped %zu", m.arena, m.hblkhd, s->mapped);
    expect(m.keepcost <= m.fordblks, "keepcost %zu, fordblks %zu", m.keepcost, m.fordblks);
    return m;
}

static void mallinfo2_moves_by_what_was_allocated(void)
{
    static const size_t sizes[] = {0, 1, 100, 1024, 8192, 65536, 65537, 1 << 20, 3 << 20, 70 << 20};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        struct hak_stats s;
        struct mallinfo2 before = look(&s);
        void *volatile p = malloc(sizes[i]);
        struct mallinfo2 held = look(&s);
        expect(in_use(&held) - in_use(&before) == usable(p), "size %zu: moved by %zu", sizes[i],
               in_use(&held) - in_use(&before));
        if (sizes[i] <= 65536) expect(held.hblkhd == before.hblkhd, "size %zu: hblkhd moved", sizes[i]);
        bool own_mapping = held.hblkhd != before.hblkhd;
        expect(held.hblks - before.hblks == own_mapping, "size %zu: hblks %zu, %zu", sizes[i], before.hblks, held.hblks);
        free(p);
        struct mallinfo2 after = look(&s);
        expect(in_use(&after) == in_use(&before), "size %zu: %zu became %zu", sizes[i], in_use(&before), in_use(&after));
    }
    claim("mallinfo2_moves_by_what_was_allocated_and_agrees_with_hak_stats");
}

/* A mapping may have more addresses than its block has bytes. */
static void room_in_mappings_is_not_in_use(void)
{
    struct hak_stats s;
    struct mallinfo2 before = look(&s);
    void *volatile aligned = aligned_alloc(2 << 20, 1 << 20);
    void *volatile growing = malloc(3 << 20);
    growing = realloc(growing, 100 << 20);
    struct mallinfo2 held = look(&s);
    size_t live = usable(aligned) + usable(growing);
    expect(aligned && growing && in_use(&held) - in_use(&before) == live, "%zu, not %zu", in_use(&held) - in_use(&before), live);
    free(aligned);
    free(growing);
    look(&s);
    claim("room_in_mappings_is_not_in_use");
}

static void mallinfo_is_mallinfo2_in_ints(struct mallinfo (*small)(void), const char *name)
{
    void *volatile p = malloc(1000);
    struct mallinfo2 wide = mallinfo2();
    struct mallinfo narrow = small();
    expect(narrow.arena == (int)wide.arena, "arena %d, %zu", narrow.arena, wide.arena);
    expect(narrow.uordblks == (int)wide.uordblks, "uordblks %d, %zu", narrow.uordblks, wide.uordblks);
    expect(narrow.fordblks == (int)wide.fordblks, "fordblks %d, %zu", narrow.fordblks, wide.fordblks);
    expect(narrow.hblks == (int)wide.hblks, "hblks %d, %zu", narrow.hblks, wide.hblks);
    expect(narrow.hblkhd == (int)wide.hblkhd, "hblkhd %d, %zu", narrow.hblkhd, wide.hblkhd);
    expect(narrow.keepcost == (int)wide.keepcost, "keepcost %d, %zu", narrow.keepcost, wide.keepcost);
    claim("%s_is_mallinfo2_in_ints", name);
    free(p);
}

static void malloc_info_refuses(void)
{
    errno = 0;
    int status = malloc_info(1, stdout);
    ok(status == EINVAL || (status == -1 && errno == EINVAL), "malloc_info_refuses_unknown_options");
}

int main(void)
{
    if (!runs_on_hakmem()) return done_testing();
    mallinfo2_moves_by_what_was_allocated();
    room_in_mappings_is_not_in_use();
    mallinfo_is_mallinfo2_in_ints(mallinfo, "mallinfo");
    mallinfo_is_mallinfo2_in_ints(__libc_mallinfo, "__libc_mallinfo");
    mallopt_knows_glibcs_parameters(mallopt, "mallopt");
    mallopt_knows_glibcs_parameters(__libc_mallopt, "__libc_mallopt");
    malloc_info_refuses();
    void *volatile p = malloc(64 << 20);
    ok(hak_owns(p), "mallopt_changes_nothing_for_malloc");
    free(p);
    return done_testing();
}
