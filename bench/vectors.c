/* vectors.c - vectors that grow by realloc while elements are appended.
 *
 *     vectors GROWTH COUNT LIMIT_KIB ROUNDS [SEED]
 *
 * ROUNDS times: COUNT empty vectors take turns at growing, in random order, until each holds LIMIT_KIB KiB. GROWTH
 * says by how much a full vector grows:
 *
 *     x1.5, x2   times that, as the standard libraries of C++ do
 *     +BYTES     by a constant, as in simple programs; the cost is quadratic where realloc always copies
 *
 * All room is filled with numbers that tell their vector and place. At each growth the first, the middle and
 * the last number are compared, and at the end one number of every page.
 */
#include "bench.h"

static void *(*volatile bench_realloc)(void *, size_t) = realloc;

enum {
    MAX_VECTORS = 1 << 24,
    MAX_LIMIT_KIB = 1 << 24,
    KIB = 1024,
    FIRST_ROOM = 8,                           /* elements */
    PAGE_NUMBERS = 4096 / sizeof(uint64_t),
};

struct growth {
    uint32_t half_times; /* 3: x1.5; 4: x2; 0: by a constant */
    size_t constant;     /* elements; when half_times is 0 */
};

struct vector {
    uint64_t *numbers;
    size_t room; /* elements; all of them are filled */
};

static struct growth parse_growth(const char *text)
{
    if (strcmp(text, "x1.5") == 0)
        return (struct growth){.half_times = 3};
    if (strcmp(text, "x2") == 0)
        return (struct growth){.half_times = 4};
    if (text[0] != '+')
        bench_fail("GROWTH is '%s', must be x1.5, x2 or +BYTES", text);
    return (struct growth){.constant = bench_number("BYTES", text + 1, sizeof(uint64_t), 1 << 30) / sizeof(uint64_t)};
}

static uint64_t number_at(size_t vector, size_t place)
{
    return ((uint64_t)vector << 40) ^ place;
}

static void check(const struct vector *v, size_t vector, size_t place)
{
    if (v->numbers[place] != number_at(vector, place))
        bench_fail("vector %zu of %zu numbers: found %llx at %zu", vector, v->room,
                   (unsigned long long)v->numbers[place], place);
}

static size_t next_room(struct growth growth, size_t room, size_t limit)
{
    size_t next = FIRST_ROOM;
    if (room > 0)
        next = growth.half_times > 0 ? room * growth.half_times / 2 : room + growth.constant;
    return next < limit ? next : limit;
}

static void grow(struct vector *v, size_t vector, size_t room)
{
    uint64_t *numbers = bench_realloc(v->numbers, room * sizeof *numbers);
    if (numbers == NULL)
        bench_fail("realloc to %zu bytes returned NULL: %s", room * sizeof *numbers, strerror(errno));
    size_t filled = v->room;
    *v = (struct vector){.numbers = numbers, .room = room};
    if (filled > 0) {
        check(v, vector, 0);
        check(v, vector, filled / 2);
        check(v, vector, filled - 1);
    }
    for (size_t place = filled; place < room; place++)
        numbers[place] = number_at(vector, place);
}

static void finish(struct vector *v, size_t vector)
{
    for (size_t place = 0; place < v->room; place += PAGE_NUMBERS)
        check(v, vector, place);
    bench_free(v->numbers);
    *v = (struct vector){0};
}

/* Those that still grow are kept at the front of `growing`. */
static void run_round(struct growth growth, size_t limit, struct vector *vectors, uint32_t *growing, uint32_t count,
                      uint64_t *random)
{
    for (uint32_t i = 0; i < count; i++)
        growing[i] = i;
    for (uint32_t left = count; left > 0;) {
        uint32_t turn = bench_scale((uint32_t)bench_random(random), left);
        struct vector *v = &vectors[growing[turn]];
        grow(v, growing[turn], next_room(growth, v->room, limit));
        if (v->room == limit)
            growing[turn] = growing[--left];
    }
    for (uint32_t i = 0; i < count; i++)
        finish(&vectors[i], i);
}

int main(int argc, char **argv)
{
    if (argc != 5 && argc != 6)
        bench_fail("usage: vectors GROWTH COUNT LIMIT_KIB ROUNDS [SEED]");
    struct growth growth = parse_growth(argv[1]);
    uint32_t count = (uint32_t)bench_number("COUNT", argv[2], 1, MAX_VECTORS);
    size_t limit = bench_number("LIMIT_KIB", argv[3], 1, MAX_LIMIT_KIB) * KIB / sizeof(uint64_t);
    uint64_t rounds = bench_number("ROUNDS", argv[4], 1, UINT64_MAX);
    uint64_t random = argc == 6 ? bench_number("SEED", argv[5], 0, UINT64_MAX) : 1;

    struct vector *vectors = calloc(count, sizeof *vectors);
    uint32_t *growing = calloc(count, sizeof *growing);
    if (vectors == NULL || growing == NULL)
        bench_fail("no memory for %u vectors", count);
    double start = bench_seconds();
    for (uint64_t round = 0; round < rounds; round++)
        run_round(growth, limit, vectors, growing, count, &random);
    printf("vectors %s: %llu of %zu bytes, %.3f s\n", argv[1], (unsigned long long)(rounds * count),
           limit * sizeof(uint64_t), bench_seconds() - start);
    free(growing);
    free(vectors);
    return 0;
}
