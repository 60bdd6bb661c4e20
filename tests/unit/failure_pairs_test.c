/* failure_pairs_test.c - two calls of the system fail in one run: the Nth of one function and the Mth of another, or
 * two of the same; the second once or from there on. The heap stays whole, as in failure_test.c.
 *
 * N and M are spread over the calls that a clean run makes: a few of each, with HAKMEM_EXHAUST_WHOLE=1 many more.
 */
#include "scenario.h"

#include <sys/mman.h>

enum { NUMBERS_FEW = 2, NUMBERS_MANY = 20, CALLS_PAIRED = FAKE_PURGE + 1 };

static uint64_t *calls_made; /* of a clean run; shared with its process */

static struct {
    enum fake_call call;
    uint64_t number;
    uint64_t count;
} first, second;

static void clean_run(void)
{
    scenario();
    for (unsigned i = 0; i < FAKE_CALLS; i++) calls_made[i] = fake.calls[i];
    require_recovery();
}

static void count_calls(void)
{
    calls_made = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    require(calls_made != MAP_FAILED);
    require(run_forked(clean_run) == 0);
}

static void run_with_two(void)
{
    if (first.call == second.call) fake_fail_also(first.call, first.number);
    else fake_fail(first.call, first.number, first.count);
    fake_fail(second.call, second.number, second.count);
    scenario();
    require(fake.failures[FAKE_ANY] > 0 || refused == 0, "%u refusals without a reason", refused);
    require_recovery();
}

/* The number of the i-th of `count` tries, spread over the calls; the first ones are those of the start. */
static uint64_t number_of(enum fake_call call, unsigned i, unsigned count)
{
    uint64_t made = calls_made[call];
    if (made <= count) return i + 1;
    return i < count / 3 ? i + 1 : made * (i + 1) / count;
}

/* In the short form, once or for good in turn. */
static void fail_two(unsigned tries)
{
    for (unsigned i = 0; i < tries; i++)
        for (unsigned k = 0; k < tries; k++)
            for (unsigned for_good = 0; for_good < 2; for_good++) {
                if (tries == NUMBERS_FEW && (i + k) % 2 != for_good) continue;
                first.number = number_of(first.call, i, tries);
                first.count = 1;
                second.number = number_of(second.call, k, tries);
                second.count = for_good ? FAKE_FOR_GOOD : 1;
                int status = run_forked(run_with_two);
                require(status == 0, "%s call %lu fails, and %s call %lu%s: status %x", fake_call_name(first.call),
                        first.number, fake_call_name(second.call), second.number, for_good ? " and all later" : "",
                        status);
            }
}

/* With each of the calls, itself included; which of the two fails for good matters in the long form only. */
static void fail_with_each(enum fake_call call)
{
    bool whole = getenv("HAKMEM_EXHAUST_WHOLE") != NULL;
    unsigned tries = whole ? NUMBERS_MANY : NUMBERS_FEW;
    count_calls();
    alarm(whole ? 3600 : SECONDS_MAX);
    first.call = call;
    for (unsigned other = whole ? 0 : call; other < CALLS_PAIRED; other++) {
        second.call = (enum fake_call)other;
        fail_two(tries);
    }
}

static void reserve_fails_with_each(void) { fail_with_each(FAKE_RESERVE); }
static void reserve_readable_fails_with_each(void) { fail_with_each(FAKE_RESERVE_READABLE); }
static void commit_fails_with_each(void) { fail_with_each(FAKE_COMMIT); }
static void map_fails_with_each(void) { fail_with_each(FAKE_MAP); }
static void unmap_fails_with_each(void) { fail_with_each(FAKE_UNMAP); }
static void remap_fails_with_each(void) { fail_with_each(FAKE_REMAP); }
static void remap_to_fails_with_each(void) { fail_with_each(FAKE_REMAP_TO); }
static void purge_fails_with_each(void) { fail_with_each(FAKE_PURGE); }

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reserve_fails_with_each),
        TEST(reserve_readable_fails_with_each),
        TEST(commit_fails_with_each),
        TEST(map_fails_with_each),
        TEST(unmap_fails_with_each),
        TEST(remap_fails_with_each),
        TEST(remap_to_fails_with_each),
        TEST(purge_fails_with_each),
    };
    return run_unit_tests(tests);
}
