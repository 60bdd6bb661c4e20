/* limit_test.c - hak_limit_set and hak_limit_callback: what they refuse, and that their limits hold for each call. */
#include <pthread.h>

#include "calls.h"

/* As hak_limit_set counts it. */
static size_t held(void)
{
    struct hak_stats s;
    return hak_stats(&s) == 0 ? s.mapped - s.purged + s.records : 0;
}

static struct {
    size_t calls, held, soft;
    void *context;
} heard;

static void listen(size_t now, size_t soft, void *context)
{
    heard.calls++;
    heard.held = now;
    heard.soft = soft;
    heard.context = context;
    void *(*volatile alloc)(size_t) = malloc;
    void (*volatile release)(void *) = free;
    release(alloc(3 * MIB));
}

static void limits_are_set_and_refused(void)
{
    expect(hak_limit_set(0, 0) == 0, "none");
    expect(hak_limit_set(100 * MIB, 0) == 0 && hak_limit_set(0, 1000 * MIB) == 0, "one");
    expect(hak_limit_set(100 * MIB, 100 * MIB) == 0, "both the same");
    errno = 0;
    expect(hak_limit_set(100 * MIB + 1, 100 * MIB) == EINVAL && errno == 0, "soft above hard");
    expect(hak_limit_set(SIZE_MAX, SIZE_MAX) == 0, "the most");
    hak_limit_callback(listen, NULL);
    hak_limit_callback(NULL, NULL);
    expect(hak_limit_set(0, 0) == 0, "none again");
    claim("limits_are_set_and_refused_as_documented");
}

/* Takes blocks until the limit, gives all back, and takes as many again. */
static void one_size(const struct calls *c, size_t size)
{
    void **last = NULL;
    size_t first = 0, second = 0;
    expect(hak_limit_set(0, held() + 8 * MIB + 2 * size) == 0, "size %zu", size);
    errno = 0;
    for (void **p; (p = c->alloc(size)); last = p, first++) *p = last;
    expect(errno == ENOMEM && first > 1, "%s, size %zu: %zu blocks, errno %d", c->names, size, first, errno);
    errno = 0;
    expect(!c->zeroed(2, 30 * MIB + size) && errno == ENOMEM, "%s: calloc", c->names);
    errno = 0;
    expect(!c->rounded_aligned(4 * MIB, 30 * MIB + size) && errno == ENOMEM, "%s: memalign", c->names);
    errno = 0;
    pattern_fill(last + 1, 32, size);
    expect(!c->resize(last, 64 * MIB + 2 * size) && errno == ENOMEM, "%s: realloc", c->names);
    expect(pattern_holds(last + 1, 32, size), "%s: realloc spoiled the block", c->names);
    for (void **next; last; last = next) next = *last, c->release(last);
    for (void **p; (p = c->alloc(size)); last = p, second++) *p = last;
    expect(second >= first, "%s, size %zu: %zu blocks, then %zu", c->names, size, first, second);
    for (void **next; last; last = next) next = *last, c->release(last);
    expect(hak_limit_set(0, 0) == 0, "none");
}

static void calls_stop_at_the_hard_limit(const struct calls *c)
{
    static const size_t sizes[] = {64, 500, 4000, 20000, 65536, 100000, 3 << 20, 64 << 20, 70 << 20};
    for (size_t i = 0; i < COUNT(sizes); i++) one_size(c, sizes[i]);
    claim("%s_calls_stop_at_the_hard_limit_and_go_on_below", c->names);
}

static void posix_memalign_says_enomem(void)
{
    void *p = &heard;
    int (*volatile aligned)(void **, size_t, size_t) = posix_memalign;
    hak_limit_set(0, held() + MIB);
    errno = 77;
    ok(aligned(&p, 64, 100 * MIB) == ENOMEM && p == &heard && errno == 77, "posix_memalign_says_enomem_and_keeps_out");
    hak_limit_set(0, 0);
}

static void crossings_are_told(const struct calls *c)
{
    void *p[24];
    hak_purge();
    size_t soft = held() + 20 * MIB;
    heard.calls = 0;
    hak_limit_callback(listen, &soft);
    hak_limit_set(soft, 0);
    for (size_t i = 0; i < 16; i++) p[i] = c->alloc(MIB);
    expect(heard.calls == 0, "%zu", heard.calls);
    for (size_t i = 16; i < 24; i++) p[i] = c->alloc(MIB);
    expect(heard.calls == 1 && heard.soft == soft && heard.context == &soft, "%zu calls", heard.calls);
    expect(heard.held > soft && heard.held < soft + 2 * MIB, "%zu of %zu", heard.held, soft);
    for (size_t i = 0; i < 24; i++) expect(p[i] != NULL, "a soft limit refused"), c->release(p[i]);
    hak_limit_callback(NULL, NULL);
    hak_purge();
    for (size_t i = 0; i < 24; i++) p[i] = c->alloc(MIB);
    expect(heard.calls == 1, "%zu", heard.calls);
    for (size_t i = 0; i < 24; i++) c->release(p[i]);
    hak_limit_set(0, 0);
    claim("%s_calls_that_cross_the_soft_limit_are_told_once", c->names);
}

static void *set_and_unset(void *argument)
{
    void *(*volatile alloc)(size_t) = malloc;
    void (*volatile release)(void *) = free;
    for (size_t i = 0; i < 2000; i++) {
        if (i % 100 == 0) hak_limit_set(MIB * (i % 7), MIB * (i % 11 + 7));
        if (i % 10 == 0) hak_limit_callback(i % 20 ? NULL : listen, argument);
        release(alloc(i * 4000));
    }
    return NULL;
}

static void limits_may_be_set_by_any_thread(void)
{
    pthread_t thread[4];
    for (size_t i = 0; i < 4; i++) expect(pthread_create(&thread[i], NULL, set_and_unset, NULL) == 0, "thread");
    for (size_t i = 0; i < 4; i++) pthread_join(thread[i], NULL);
    hak_limit_callback(NULL, NULL);
    hak_limit_set(0, 0);
    expect(hak_check(), "the heap is broken");
    claim("limits_may_be_set_by_any_thread");
}

int main(void)
{
    if (!runs_on_hakmem() || !ok(hak_limit_set && hak_limit_callback, "limit_calls_are_reachable")) return done_testing();
    void (*volatile release)(void *) = free;
    void *(*volatile aligned)(size_t, size_t) = memalign;
    release(aligned(4 * MIB, MIB)); /* bookkeeping for mappings counts, too */
    limits_are_set_and_refused();
    for_each_set(calls_stop_at_the_hard_limit);
    posix_memalign_says_enomem();
    for_each_set(crossings_are_told);
    limits_may_be_set_by_any_thread();
    return done_testing();
}
