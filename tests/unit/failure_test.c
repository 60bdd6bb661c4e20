/* failure_test.c - every call of the system fails in turn, once and for good, and the heap stays whole.
 *
 * A scenario that uses every part of the allocator runs again and again; in run N the Nth call of one
 * function of os.h fails, until a run is clean. After each: all that was promised still holds.
 */
#include "unit.h"

enum { BLOCKS = 288, KEPT = 64, OTHERS = 60 };

struct held {
    unsigned char *p;
    size_t size;
    unsigned char fill;
};

static struct held held[BLOCKS];
static size_t certain_size = SIZE_MAX; /* there must be memory for so much in the end */
static unsigned refused; /* calls that returned NULL */

static unsigned char fill_of(unsigned i)
{
    return (unsigned char)(i * 37 + 1);
}

/* Of large blocks the ends and a byte in each KiB count. */
static size_t next_byte(size_t k, size_t size)
{
    return k < 1024 || k + 1024 >= size ? k + 1 : k + 997 < size ? k + 997 : size - 1;
}

/* NULL must come with ENOMEM, a block must hold what was asked for. */
static void hold(unsigned i, void *p, size_t size)
{
    if (!p) {
        require(errno == ENOMEM, "errno %d", errno);
        refused++;
        return;
    }
    require(hak_usable_size(p) >= size, "size %zu", size);
    held[i] = (struct held){.p = p, .size = size, .fill = fill_of(i)};
    for (size_t k = 0; k < size; k = next_byte(k, size)) held[i].p[k] = held[i].fill;
}

static void require_content(unsigned i)
{
    for (size_t k = 0; k < held[i].size; k = next_byte(k, held[i].size))
        require(held[i].p[k] == held[i].fill, "block %u byte %zu", i, k);
}

static void release(unsigned i)
{
    if (!held[i].p) return;
    require_content(i);
    errno = 77;
    hak_free(held[i].p);
    require(errno == 77, "free changed errno to %d", errno);
    held[i].p = NULL;
}

static size_t size_of_step(unsigned i)
{
    static const size_t sizes[] = {1, 8, 24, 100, 300, 1000, 1024, 3000, 4096, 8192, 9000, 20000, 65536, 70000, 100};
    if (i % 16 < array_length(sizes)) return sizes[i % 16];
    return i % 32 < 16 ? 300000 : i % 64 < 32 ? 2097152 : 3000000;
}

static void step_alloc(unsigned i)
{
    size_t size = size_of_step(i);
    errno = 0;
    if (i % 5 == 0) {
        unsigned char *p = hak_calloc(1, size);
        if (p) require(reads_as_zero(p, size), "calloc of %zu is stale", size);
        hold(i, p, size);
    } else if (i % 7 == 0) {
        size_t alignment = (size_t)16 << i % 15; /* beyond a unit: mappings */
        void *p = hak_aligned_alloc(alignment, size);
        require((uintptr_t)p % alignment == 0);
        hold(i, p, size);
    } else {
        hold(i, hak_malloc(size), size);
    }
}

static void step_realloc(unsigned i, size_t size)
{
    if (!held[i].p) return;
    errno = 0;
    unsigned char *p = hak_realloc(held[i].p, size);
    if (!p) {
        require(errno == ENOMEM);
        require_content(i); /* the old block stays */
        refused++;
        return;
    }
    size_t kept = held[i].size < size ? held[i].size : size;
    for (size_t k = 0; k < kept; k = next_byte(k, held[i].size)) require(p[k] == held[i].fill, "realloc lost byte %zu of %u", k, i);
    hold(i, p, size);
}

static void *other_thread(void *argument)
{
    unsigned from = *(unsigned *)argument;
    for (unsigned i = from; i < from + OTHERS; i++) release(i); /* blocks of the first thread */
    for (unsigned i = from; i < from + OTHERS; i++) step_alloc(i);
    return NULL;
}

static void scenario(void)
{
    unsigned from = 100;
    for (unsigned i = 0; i < BLOCKS; i++) step_alloc(i);
    for (unsigned i = 0; i < BLOCKS; i += 3) step_realloc(i, size_of_step(i + 1));
    in_thread(other_thread, &from);
    fake.now_ms += 2000;
    for (unsigned i = 0; i < BLOCKS; i += 2) release(i);
    (void)hak_purge();
    for (unsigned i = 63; i < BLOCKS; i += 64) step_realloc(i, 5000000); /* outgrown runs become mappings, and these */
    for (unsigned i = 63; i < BLOCKS; i += 64) step_realloc(i, 9000000); /* grow */
    for (unsigned i = 0; i < BLOCKS; i += 2) step_alloc(i);
    fake.now_ms += 2000;
    for (unsigned i = 0; i < BLOCKS; i++) require(!held[i].p || hak_owns(held[i].p));
}

/* Memory must be there again, and the books must be right. */
static void require_recovery(void)
{
    fake_fail_nothing();
    require_sound();
    for (unsigned i = 0; i < BLOCKS; i++) release(i);
    for (unsigned i = 0; i < KEPT; i++) {
        void *p = hak_malloc(size_of_step(i));
        require(p || size_of_step(i) > certain_size, "size %zu", size_of_step(i));
        hak_free(p);
    }
    (void)hak_purge();
    require_sound();
    struct hak_stats stats;
    require(hak_stats(&stats) == 0);
    require(stats.live == 0, "%zu bytes live", stats.live);
    require(stats.mallocs == stats.frees, "%zu mallocs, %zu frees", stats.mallocs, stats.frees);
}

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

/* Some are left out once the number is high: each costs a process. */
static uint64_t next_number(uint64_t n)
{
    return n < 64 ? n + 1 : n + n / 12;
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

static void each_reserve_fails_once(void) { fail_each(FAKE_RESERVE, 1); }
static void each_reserve_fails_for_good(void) { fail_each(FAKE_RESERVE, FAKE_FOR_GOOD); }
static void each_reserve_readable_fails_once(void) { fail_each(FAKE_RESERVE_READABLE, 1); }
static void each_reserve_readable_fails_for_good(void) { fail_each(FAKE_RESERVE_READABLE, FAKE_FOR_GOOD); }
static void each_commit_fails_once(void) { fail_each(FAKE_COMMIT, 1); }
static void each_commit_fails_for_good(void) { fail_each(FAKE_COMMIT, FAKE_FOR_GOOD); }
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
    fake.remap_eats_target = true;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_reserve_fails_once),
        TEST(each_reserve_fails_for_good),
        TEST(each_reserve_readable_fails_once),
        TEST(each_reserve_readable_fails_for_good),
        TEST(each_commit_fails_once),
        TEST(each_commit_fails_for_good),
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
    };
    return run_unit_tests(tests);
}
