/* failure_test.c - every call of the system fails in turn, once and for good, and the heap stays whole.
 *
 * A scenario that uses every part of the allocator runs again and again; in run N the Nth call of one
 * function of os.h fails, until a run is clean. After each: all that was promised still holds.
 */
#include "scenario.h"

static enum fake_call failing;
static uint64_t failing_from, failing_count;

static void one_run(void)
{
    fake_fail(failing, failing_from, failing_count);
    scenario();
    bool clean = fake.failures[failing] == 0;
    bool any_failed = fake.failures[FAKE_ANY] > 0;
    require(any_failed || refused == 0, "%u refusals without a reason", refused);
    require_recovery();
    _exit(clean ? 42 : 0);
}

static void fail_each(enum fake_call call, uint64_t count)
{
    failing = call;
    failing_count = count;
    for (failing_from = 1; failing_from < 100000; failing_from = next_number(failing_from)) {
        int status = run_forked(one_run);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 42) {
            require(failing_from > 1, "%s is never called", fake_call_name(call));
            return;
        }
        require(status == 0, "%s call %lu fails%s: status %x", fake_call_name(call), failing_from,
                count == 1 ? " once" : " from then on", status);
    }
    require(false, "no run was clean");
}

/* Where memory counts as soon as it is writable, and some blocks do not fit. */
static void fail_each_charged(enum fake_call call, uint64_t count)
{
    fake.memory_is_charged = true;
    fake.address_limit = 64 << 20;
    fake.address_bytes_max = fake.address_limit;
    certain_size = SMALL_SIZE_MAX;
    fail_each(call, count);
}

static void each_reserve_fails_once(void) { fail_each(FAKE_RESERVE, 1); }
static void each_reserve_fails_for_good(void) { fail_each(FAKE_RESERVE, FAKE_FOR_GOOD); }
static void each_reserve_readable_fails_once(void) { fail_each(FAKE_RESERVE_READABLE, 1); }
static void each_reserve_readable_fails_for_good(void) { fail_each(FAKE_RESERVE_READABLE, FAKE_FOR_GOOD); }
static void each_commit_fails_once(void) { fail_each(FAKE_COMMIT, 1); }
static void each_commit_fails_for_good(void) { fail_each(FAKE_COMMIT, FAKE_FOR_GOOD); }
static void each_uncommit_fails_once(void) { fail_each_charged(FAKE_UNCOMMIT, 1); }
static void each_uncommit_fails_for_good(void) { fail_each_charged(FAKE_UNCOMMIT, FAKE_FOR_GOOD); }
static void each_map_fails_once(void) { fail_each(FAKE_MAP, 1); }
static void each_map_fails_for_good(void) { fail_each(FAKE_MAP, FAKE_FOR_GOOD); }
static void each_unmap_fails_once(void) { fail_each(FAKE_UNMAP, 1); }
static void each_unmap_fails_for_good(void) { fail_each(FAKE_UNMAP, FAKE_FOR_GOOD); }
static void each_remap_fails_once(void) { fail_each(FAKE_REMAP, 1); }
static void each_remap_fails_for_good(void) { fail_each(FAKE_REMAP, FAKE_FOR_GOOD); }
static void each_purge_fails_once(void) { fail_each(FAKE_PURGE, 1); }
static void each_purge_fails_for_good(void) { fail_each(FAKE_PURGE, FAKE_FOR_GOOD); }
static void each_call_fails_once(void) { fail_each(FAKE_ANY, 1); }
static void each_call_fails_for_good(void) { fail_each(FAKE_ANY, FAKE_FOR_GOOD); }

/* os_remap_to() follows an os_remap() that was refused. */
static void each_remap_to_fails_after_remap(void)
{
    fake_fail_every(FAKE_REMAP, 1);
    fail_each(FAKE_REMAP_TO, 1);
    fail_each(FAKE_REMAP_TO, FAKE_FOR_GOOD);
}

/* With the address space limited the tag map is a window. */
static void each_call_fails_in_a_window(void)
{
    fake.address_limit = (size_t)4 << 30;
    fail_each(FAKE_ANY, 1);
    fail_each(FAKE_ANY, FAKE_FOR_GOOD);
}

static void many_failures_leave_the_heap_whole(void)
{
    for (uint64_t k = 2; k < 12; k++) {
        fake_fail_every(FAKE_ANY, k);
        int status = run_forked(one_run);
        require(status == 0 || WEXITSTATUS(status) == 42, "every %lu-th call fails: status %x", k, status);
    }
}

/* The limit is reached at other points of the scenario each time. Chunks keep their addresses for good, so
 * there may be none left for a mapping. */
static void address_space_ends_anywhere(void)
{
    certain_size = SMALL_SIZE_MAX;
    for (size_t limit = (size_t)8 << 20; limit < (size_t)4 << 30; limit += limit / 3) {
        fake.address_limit = limit;
        fake.address_bytes_max = limit;
        int status = run_forked(one_run);
        require(status == 0 || WEXITSTATUS(status) == 42, "limit %zu: status %x", limit, status);
    }
}

/* Memory that the program has locked cannot be purged, that beside it can: some of a SuperSlab goes back, no more. */
static void a_burst_ends_where_purges_are_refused_in_part(void)
{
    enum { BURST_BLOCKS = 800, SIZE = 100000 };
    static void *p[BURST_BLOCKS];
    for (unsigned i = 0; i < BURST_BLOCKS; i++) p[i] = do_malloc(SIZE);
    fake_fail_every(FAKE_PURGE, 2);
    uint64_t before = fake.calls[FAKE_PURGE];
    for (unsigned i = 0; i < BURST_BLOCKS; i++)
        if (i % 4 > 0) do_free(p[i]); /* stretches of six units */
    uint64_t purges = fake.calls[FAKE_PURGE] - before;
    require(purges > 0 && purges < 10 * BURST_BLOCKS, "%lu purges", purges);
    fake_fail_nothing();
    for (unsigned i = 0; i < BURST_BLOCKS; i += 4) do_free(p[i]);
    require_sound();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_reserve_fails_once),
        TEST(each_reserve_fails_for_good),
        TEST(each_reserve_readable_fails_once),
        TEST(each_reserve_readable_fails_for_good),
        TEST(each_commit_fails_once),
        TEST(each_commit_fails_for_good),
        TEST(each_uncommit_fails_once),
        TEST(each_uncommit_fails_for_good),
        TEST(each_map_fails_once),
        TEST(each_map_fails_for_good),
        TEST(each_unmap_fails_once),
        TEST(each_unmap_fails_for_good),
        TEST(each_remap_fails_once),
        TEST(each_remap_fails_for_good),
        TEST(each_remap_to_fails_after_remap),
        TEST(each_purge_fails_once),
        TEST(each_purge_fails_for_good),
        TEST(each_call_fails_once),
        TEST(each_call_fails_for_good),
        TEST(each_call_fails_in_a_window),
        TEST(many_failures_leave_the_heap_whole),
        TEST(address_space_ends_anywhere),
        TEST(a_burst_ends_where_purges_are_refused_in_part),
    };
    return run_unit_tests(tests);
}
