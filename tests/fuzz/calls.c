/* calls.c - the calls that give and take blocks, and what each promises. See world.h. */
#include "world.h"

#include <stdlib.h>
#include <unistd.h>

/* The calls under test, hidden from the compiler: those of hak_*, and those that replace libc's. */
struct calls {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void *(*reallocarray)(void *, size_t, size_t);
    void *(*aligned_alloc)(size_t, size_t);
    void *(*memalign)(size_t, size_t);
    int (*posix_memalign)(void **, size_t, size_t);
    void *(*valloc)(size_t);
    void *(*pvalloc)(size_t);
    void (*free)(void *);
    void (*free_sized)(void *, size_t);
    void (*free_aligned_sized)(void *, size_t, size_t);
};

static const volatile struct calls calls[2] = {
    {hak_malloc, hak_calloc, hak_realloc, hak_reallocarray, hak_aligned_alloc, hak_memalign, hak_posix_memalign,
     hak_valloc, hak_pvalloc, hak_free, hak_free_sized, hak_free_aligned_sized},
    {libc_malloc, libc_calloc, libc_realloc, libc_reallocarray, libc_aligned_alloc, libc_memalign, libc_posix_memalign,
     libc_valloc, libc_pvalloc, libc_free, libc_free_sized, libc_free_aligned_sized},
};

static const volatile struct calls *names(unsigned byte)
{
    return &calls[byte >> 7];
}

/* ---- sizes ---- */

static size_t extreme_size(unsigned n)
{
    static const size_t sizes[] = {0, 1, 65536, 65537, 1 << 20, 2097152, 2097153, 33554432, 64 << 20, 67108865,
                                   (size_t)1 << 37, (size_t)1 << 46, (size_t)1 << 47, PTRDIFF_MAX, SIZE_MAX - 4096,
                                   SIZE_MAX};
    return sizes[n % (sizeof(sizes) / sizeof(sizes[0]))];
}

static size_t input_size(struct input *in)
{
    unsigned kind = input_byte(in);
    switch (kind >> 4) {
    case 0: case 1: case 2: case 3: return kind;
    case 4: case 5: case 6: return input_byte(in) * 4 + (kind & 3);
    case 7: case 8: case 9: return library_class_size(input_byte(in)) + kind % 3 - 1;
    case 10: case 11: return input_word(in) % 9000;
    case 12: return input_word(in) + 1;
    case 13: return 65536 + input_word(in) * (size_t)16;
    case 14: return 65536 + input_word(in) * (size_t)160;
    default: return extreme_size(kind % 16 ? kind % 16 : input_byte(in));
    }
}

/* Few blocks are enormous: so much fits. */
static size_t bounded_size(struct input *in, size_t most)
{
    size_t size = input_size(in);
    return size > most ? size % (most + 1) : size;
}

/* ---- the shadow ---- */

static void demand_apart(const struct actor *a, const struct held *b)
{
    if (world.racing) {
        held_demand_apart(b, a->block, a->live);
        return;
    }
    for (unsigned i = 0; i < FUZZ_ACTORS; i++) held_demand_apart(b, world.actor[i].block, world.actor[i].live);
}

static void enter(struct actor *a, void *p, size_t size, size_t alignment)
{
    struct held b = {.p = p, .size = size, .alignment = alignment, .usable = hak_usable_size(p)};
    b.mark = held_mark(__atomic_add_fetch(&world.mark, 1, __ATOMIC_RELAXED));
    held_demand_promise(&b);
    demand(hak_owns(p) && libc_malloc_usable_size(p) == b.usable, "%p of size %zu", p, size);
    demand_apart(a, &b);
    held_fill(&b);
    a->block[a->live++] = b;
}

/* There must be a reason for a refusal. */
static void refused(size_t size)
{
    demand(errno == ENOMEM, "errno %d after a refusal of %zu bytes", errno, size);
    demand(size > CERTAIN_BYTES || world.bounded || __atomic_load_n(&fake.failures[FAKE_ANY], __ATOMIC_SEQ_CST) > 0,
           "no memory for %zu bytes, and no reason", size);
    __atomic_add_fetch(&world.refusals, 1, __ATOMIC_RELAXED);
}

static void enter_or_refused(struct actor *a, void *p, size_t size, size_t alignment)
{
    if (p)
        enter(a, p, size, alignment);
    else
        refused(size);
}

static struct held leave(struct actor *a, unsigned i)
{
    struct held b = a->block[i];
    a->block[i] = a->block[--a->live];
    held_demand_content(&b, b.usable);
    demand(hak_usable_size(b.p) == b.usable, "usable size of %p changed from %zu to %zu", (void *)b.p, b.usable,
           hak_usable_size(b.p));
    return b;
}

static unsigned pick(const struct actor *a, struct input *in)
{
    return a->live - 1 - input_byte(in) % a->live;
}

static void give_back(unsigned how, const struct held *b)
{
    const volatile struct calls *c = names(how);
    errno = 4711;
    if (how % 4 > 0)
        c->free(b->p);
    else if (b->alignment)
        c->free_aligned_sized(b->p, b->alignment, b->size);
    else
        c->free_sized(b->p, b->size);
    demand(errno == 4711, "free changed errno to %d", errno);
}

void release_all(struct actor *a)
{
    while (a->live > 0) {
        struct held b = leave(a, a->live - 1);
        give_back(a->live, &b);
    }
}

/* ---- malloc and its kin ---- */

void call_malloc(struct actor *a, struct input *in)
{
    unsigned how = input_byte(in);
    size_t size = input_size(in);
    if (a->live == LIVE_MAX) return;
    errno = 0;
    enter_or_refused(a, names(how)->malloc(size), size, 0);
}

static void demand_zeros(const unsigned char *p, size_t size)
{
    for (size_t at = 0; at + 8 <= size; at = held_next((uintptr_t)p, size, at))
        demand(*(const uint64_t *)(const void *)(p + at) == 0, "calloc of %zu at %p: not zero at %zu", size,
               (const void *)p, at);
    for (size_t at = size & ~(size_t)7; at < size; at++)
        demand(p[at] == 0, "calloc of %zu at %p: not zero at %zu", size, (const void *)p, at);
}

void call_calloc(struct actor *a, struct input *in)
{
    unsigned how = input_byte(in);
    size_t size = input_size(in), count = 1 + how % 16;
    const volatile struct calls *c = names(how);
    if (a->live == LIVE_MAX) return;
    errno = 0;
    if (how % 16 == 15) {
        void *p = c->calloc(SIZE_MAX / 2, 3 + size % 100);
        demand(!p && errno == ENOMEM, "a product that overflows gave %p, errno %d", p, errno);
        return;
    }
    size = size / count * count;
    unsigned char *p = how & 32 ? c->calloc(size / count, count) : c->calloc(count, size / count);
    if (p) demand_zeros(p, size);
    enter_or_refused(a, p, size, 0);
}

static bool is_power(size_t n)
{
    return n > 0 && (n & (n - 1)) == 0;
}

static size_t next_power(size_t n)
{
    size_t power = 16;
    while (power < n) power *= 2;
    return power;
}

/* Mostly powers of two up to 4 MiB, now and then what is none, or far too much. */
static size_t input_alignment(struct input *in)
{
    unsigned byte = input_byte(in);
    if (byte < 0xe0) return (size_t)1 << byte % 23;
    if (byte < 0xf0) return byte % 16 * 24;
    if (byte < 0xf8) return (size_t)1 << (byte % 8 * 4 + 35);
    return SIZE_MAX / 2 + byte % 8;
}

static void call_posix_memalign(struct actor *a, const volatile struct calls *c, size_t alignment, size_t size)
{
    void *p = (void *)a;
    errno = 4711;
    int status = c->posix_memalign(&p, alignment, size);
    demand(errno == 4711, "posix_memalign changed errno to %d", errno);
    demand((status == EINVAL) == (!is_power(alignment) || alignment % sizeof(void *) != 0),
           "posix_memalign(%zu, %zu) is %d", alignment, size, status);
    demand(status == 0 || p == (void *)a, "posix_memalign(%zu, %zu) is %d and stored %p", alignment, size, status, p);
    if (status == EINVAL) return;
    errno = status;
    if (alignment > CERTAIN_BYTES) size = SIZE_MAX;
    enter_or_refused(a, status == 0 ? p : NULL, size, alignment);
}

void call_aligned(struct actor *a, struct input *in)
{
    unsigned how = input_byte(in);
    size_t alignment = input_alignment(in), size = input_size(in);
    const volatile struct calls *c = names(how);
    if (a->live == LIVE_MAX) return;
    errno = 0;
    void *p = NULL;
    switch (how % 8) {
    case 0: enter_or_refused(a, c->valloc(size), size, 4096); return;
    case 1: enter_or_refused(a, c->pvalloc(size), size, 4096); return;
    case 2: case 3: call_posix_memalign(a, c, alignment, size); return;
    case 4: case 5:
        p = c->memalign(alignment, size);
        if (alignment > SIZE_MAX / 2 + 1) {
            demand(!p && errno == EINVAL, "memalign(%zu, %zu) is %p, errno %d", alignment, size, p, errno);
            return;
        }
        if (!is_power(alignment)) alignment = next_power(alignment);
        break;
    default:
        p = c->aligned_alloc(alignment, size);
        if (!is_power(alignment)) {
            demand(!p && errno == EINVAL, "aligned_alloc(%zu, %zu) is %p, errno %d", alignment, size, p, errno);
            return;
        }
    }
    enter_or_refused(a, p, !p && alignment > CERTAIN_BYTES / 2 ? SIZE_MAX : size, alignment);
}

/* ---- realloc and free ---- */

/* size 0 frees, and gives NULL. */
static void resized(struct actor *a, const struct held *b, unsigned char *p, size_t size)
{
    struct held now = *b;
    if (size == 0) {
        demand(!p, "realloc to 0 gave %p", (void *)p);
        return;
    }
    if (!p) {
        refused(size);
        a->block[a->live++] = *b; /* which is as it was */
        held_demand_content(b, b->usable);
        return;
    }
    now.p = p;
    held_demand_content(&now, b->size < size ? b->size : size);
    enter(a, p, size, 0);
}

void call_realloc(struct actor *a, struct input *in)
{
    unsigned how = input_byte(in);
    if (a->live == 0) return;
    struct held b = leave(a, pick(a, in));
    size_t size = how & 64 ? b.size + input_word(in) % (b.size / 2 + 64) : input_size(in);
    const volatile struct calls *c = names(how);
    errno = 0;
    switch (how % 4) {
    case 0: {
        size_t count = 1 + how / 4 % 8;
        size = size / count * count;
        resized(a, &b, c->reallocarray(b.p, count, size / count), size);
        return;
    }
    case 1:
        if (how & 32) {
            void *p = c->reallocarray(b.p, SIZE_MAX / 4, 5 + how % 4);
            demand(!p && errno == ENOMEM, "a product that overflows gave %p, errno %d", p, errno);
            resized(a, &b, p, SIZE_MAX);
            return;
        }
        /* fall through */
    default: resized(a, &b, c->realloc(b.p, size), size);
    }
}

void call_free(struct actor *a, struct input *in)
{
    unsigned how = input_byte(in);
    if (a->live == 0) return;
    struct held b = leave(a, pick(a, in));
    give_back(how, &b);
}

void call_null(struct actor *a, struct input *in)
{
    unsigned how = input_byte(in);
    const volatile struct calls *c = names(how);
    size_t size = input_size(in);
    struct held none = {.p = NULL, .alignment = how & 64 ? 64 : 0, .size = size};
    give_back(how, &none);
    demand(hak_usable_size(NULL) == 0 && libc_malloc_usable_size(NULL) == 0 && !hak_owns(NULL), "of NULL");
    if (a->live == LIVE_MAX) return;
    errno = 0;
    enter_or_refused(a, c->realloc(NULL, size), size, 0);
}

/* Content, size, and that nothing but its start is a block. */
void call_look(struct actor *a, struct input *in)
{
    unsigned inside = input_word(in);
    if (a->live == 0) return;
    const struct held *b = &a->block[pick(a, in)];
    held_demand_content(b, b->usable);
    demand(hak_usable_size(b->p) == b->usable && hak_owns(b->p), "%p of %zu bytes", (void *)b->p, b->size);
    size_t offset = 1 + inside * (size_t)37 % (b->usable > 1 ? b->usable - 1 : 1);
    if (offset >= b->usable) return;
    demand(hak_usable_size(b->p + offset) == 0 && !hak_owns(b->p + offset), "%p+%zu is taken for a block", (void *)b->p,
           offset);
}

/* ---- many at once ---- */

void call_many_mallocs(struct actor *a, struct input *in)
{
    unsigned how = input_byte(in);
    unsigned count = 1 + input_byte(in) % BULK_MAX;
    size_t size = bounded_size(in, 300000);
    for (unsigned i = 0; i < count && a->live < LIVE_MAX; i++) {
        size_t one = how & 64 ? size + i * 8 : size;
        errno = 0;
        enter_or_refused(a, names(how)->malloc(one), one, 0);
        __atomic_add_fetch(&world.operations, 1, __ATOMIC_RELAXED);
    }
}

/* The latest first, the oldest first, or every other one. */
void call_many_frees(struct actor *a, struct input *in)
{
    unsigned how = input_byte(in);
    unsigned count = 1 + input_byte(in) % BULK_MAX;
    for (unsigned i = 0; i < count && a->live > 0; i++) {
        unsigned at = how % 3 == 0 ? a->live - 1 : how % 3 == 1 ? 0 : i % a->live;
        struct held b = leave(a, at);
        give_back(how / 4, &b);
        __atomic_add_fetch(&world.operations, 1, __ATOMIC_RELAXED);
    }
}

/* ---- between actors ---- */

/* To this one, which may resize or free it: a block that another has made. */
void call_pass(struct actor *a, struct input *in)
{
    unsigned byte = input_byte(in);
    if (world.racing) return;
    struct actor *from = &world.actor[byte % FUZZ_ACTORS];
    for (unsigned i = 0; i <= byte / 16 && from != a && from->live > 0 && a->live < LIVE_MAX; i++) {
        unsigned at = from->live / 2;
        a->block[a->live++] = from->block[at];
        from->block[at] = from->block[--from->live];
    }
}

/* ---- what is no block ---- */

static void demand_report(const char *what)
{
    const char *printed = fake_take_printed();
    demand(strstr(printed, what) != NULL && strncmp(printed, "hakmem: ", 8) == 0, "instead of '%s': %s", what, printed);
}

static void misuse(unsigned how, void *p, const char *what)
{
    (void)fake_take_printed();
    errno = 0;
    if (how & 64) {
        void *q = names(how)->realloc(p, 100);
        demand(!q && errno == ENOMEM, "realloc of %p is %p, errno %d", p, q, errno);
    } else {
        names(how)->free(p);
    }
    demand(!world.ends_by_abort, "%s of %p did not abort", what, p);
    demand_report(what);
}

/* NULL = this actor has no block so large that free looks at it closely. */
static struct held *large_block(struct actor *a)
{
    for (unsigned i = 0; i < a->live; i++)
        if (a->block[i].size > 65536) return &a->block[i];
    return NULL;
}

void call_misuse(struct actor *a, struct input *in)
{
    static uint64_t constant[16];
    uint64_t local[16] = {0};
    unsigned how = input_byte(in);
    if (world.racing || hak_option_set("on_error", !world.ends_by_abort) != 0) return;
    struct held *large = large_block(a);
    switch (how % 8) {
    case 0: misuse(how, &local[8], "invalid pointer"); break;
    case 1: misuse(how, &constant[8], "invalid pointer"); break;
    case 2: misuse(how, (void *)(uintptr_t)(input_long(in) | (uint64_t)1 << 46), "invalid pointer"); break;
    case 3: misuse(how, (void *)(uintptr_t)(1 + input_word(in) % 4095), "invalid pointer"); break;
    case 4: case 5:
        if (large) misuse(how, large->p + 1 + input_word(in) * (size_t)31 % (large->usable - 1), "invalid pointer");
        break;
    default:
        if (!large) break;
        struct held b = leave(a, (unsigned)(large - a->block));
        give_back(how, &b);
        if (hak_usable_size(b.p) == 0) misuse(how & ~64u, b.p, "");
    }
}

/* A block of the C library's allocator finds its way home. */
void call_foreign(struct actor *a, struct input *in)
{
    unsigned how = input_byte(in);
    size_t size = input_word(in) % 3000;
    (void)a;
    if (FUZZ_SANITIZED || world.racing || !world.loaded) return;
    fake_fail_nothing(); /* whose it is cannot be told then */
    void *(*volatile get)(size_t) = malloc;
    unsigned char *p = get(size);
    fake.break_end = (uintptr_t)sbrk(0);
    demand(p && !hak_owns(p) && hak_usable_size(p) == 0, "%p", (void *)p);
    demand(libc_malloc_usable_size(p) >= size, "%zu of %zu", libc_malloc_usable_size(p), size);
    memset(p, 0x5a, size);
    if (how & 1) p = names(how)->realloc(p, size + 100);
    demand(p && (size == 0 || p[size - 1] == 0x5a), "%p of %zu", (void *)p, size);
    errno = 4711;
    names(how)->free(p);
    demand(errno == 4711, "free changed errno to %d", errno);
}

void call_back(size_t held, size_t soft, void *context)
{
    demand(__atomic_add_fetch(&world.inside_callback, 1, __ATOMIC_SEQ_CST) == 1, "the callback is entered twice");
    demand(context == &world && held > 0 && soft > 0, "held %zu, soft %zu", held, soft);
    demand(world.racing || soft == world.soft, "soft limit %zu, not %zu", soft, world.soft);
    void *p = hak_malloc(100 + held % 5000);
    hak_free(p);
    world.callbacks++;
    __atomic_sub_fetch(&world.inside_callback, 1, __ATOMIC_SEQ_CST);
}
