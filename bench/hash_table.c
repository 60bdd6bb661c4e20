/* hash_table.c - a chained table from strings to strings: inserts, lookups, replacements, deletes, growth.
 *
 *     hash_table KEYS ROUNDS [SEED]
 *
 * ROUNDS times a table is filled with KEYS entries, growing from 16 chains on; every key is looked up, in random
 * order, and one value of four is replaced; every second key is deleted and inserted again; then the table is
 * torn down. An entry is three blocks: the node of 32 bytes, the key of 8 to 72 bytes, the value of 1 to 256.
 */
#include "bench.h"

static void *(*volatile bench_calloc)(size_t, size_t) = calloc;

enum { MAX_KEYS = 1 << 26, FIRST_CHAINS = 16, KEY_LONGEST = 72, VALUE_LONGEST = 256 };

struct entry {
    struct entry *next;
    char *key;            /* a string */
    unsigned char *value; /* value_size bytes, all equal to the last byte of the hash */
    uint32_t hash;
    uint32_t value_size;
};

struct table {
    struct entry **chains;
    uint32_t chain_count; /* a power of two */
    uint32_t entry_count;
};

static void *take(void *p, size_t size)
{
    if (p == NULL)
        bench_fail("no memory for %zu bytes: %s", size, strerror(errno));
    return p;
}

/* Fowler, Noll and Vo, 32 bits. */
static uint32_t hash_of(const char *key)
{
    uint32_t hash = 2166136261u;
    for (; *key != '\0'; key++)
        hash = (hash ^ (unsigned char)*key) * 16777619u;
    return hash;
}

/* The key of a number: always the same text, with a tail whose length differs from number to number. */
static void write_key(char text[KEY_LONGEST], uint32_t number)
{
    int length = snprintf(text, KEY_LONGEST, "%07u", number);
    uint32_t tail = number * 2654435761u >> 26;
    memset(text + length, 'a' + (int)(number % 26), tail);
    text[(uint32_t)length + tail] = '\0';
}

static struct entry **find(const struct table *t, const char *key, uint32_t hash)
{
    struct entry **place = &t->chains[hash & (t->chain_count - 1)];
    while (*place != NULL && ((*place)->hash != hash || strcmp((*place)->key, key) != 0))
        place = &(*place)->next;
    return place;
}

static void resize(struct table *t, uint32_t chain_count)
{
    struct entry **chains = take(bench_calloc(chain_count, sizeof *chains), chain_count * sizeof *chains);
    for (uint32_t i = 0; i < t->chain_count; i++)
        for (struct entry *e = t->chains[i], *next; e != NULL; e = next) {
            struct entry **place = &chains[e->hash & (chain_count - 1)];
            next = e->next;
            e->next = *place;
            *place = e;
        }
    bench_free(t->chains);
    t->chains = chains;
    t->chain_count = chain_count;
}

static void set_value(struct entry *e, uint64_t *random)
{
    bench_free(e->value);
    e->value_size = 1 + bench_scale((uint32_t)bench_random(random), VALUE_LONGEST);
    e->value = take(bench_malloc(e->value_size), e->value_size);
    memset(e->value, (unsigned char)e->hash, e->value_size);
}

static void check_value(const struct entry *e)
{
    if (e->value[0] != (unsigned char)e->hash || e->value[e->value_size - 1] != (unsigned char)e->hash)
        bench_fail("the value of %s is damaged", e->key);
}

static void insert(struct table *t, const char *key, uint64_t *random)
{
    uint32_t hash = hash_of(key);
    struct entry *e = take(bench_malloc(sizeof *e), sizeof *e);
    size_t size = strlen(key) + 1;
    *e = (struct entry){.key = memcpy(take(bench_malloc(size), size), key, size), .hash = hash};
    set_value(e, random);
    if (++t->entry_count > t->chain_count)
        resize(t, t->chain_count * 2);
    struct entry **place = find(t, key, hash);
    if (*place != NULL)
        bench_fail("%s is there already", key);
    *place = e;
}

static void delete(struct table *t, const char *key)
{
    struct entry **place = find(t, key, hash_of(key));
    struct entry *e = *place;
    if (e == NULL)
        bench_fail("%s is lost", key);
    check_value(e);
    *place = e->next;
    bench_free(e->value);
    bench_free(e->key);
    bench_free(e);
    t->entry_count--;
}

static void run_round(uint32_t key_count, uint64_t *random)
{
    char key[KEY_LONGEST];
    struct table t = {0};
    resize(&t, FIRST_CHAINS);
    for (uint32_t i = 0; i < key_count; i++) {
        write_key(key, i);
        insert(&t, key, random);
    }
    for (uint32_t i = 0; i < key_count; i++) {
        uint64_t bits = bench_random(random);
        write_key(key, bench_scale((uint32_t)(bits >> 32), key_count));
        struct entry *e = *find(&t, key, hash_of(key));
        if (e == NULL)
            bench_fail("%s is lost", key);
        check_value(e);
        if (bits % 4 == 0)
            set_value(e, random);
    }
    for (uint32_t i = 0; i < key_count; i += 2) {
        write_key(key, i);
        delete(&t, key);
    }
    for (uint32_t i = 0; i < key_count; i += 2) {
        write_key(key, i);
        insert(&t, key, random);
    }
    for (uint32_t i = 0; i < key_count; i++) {
        write_key(key, i);
        delete(&t, key);
    }
    if (t.entry_count != 0)
        bench_fail("%u entries are left", t.entry_count);
    bench_free(t.chains);
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 4)
        bench_fail("usage: hash_table KEYS ROUNDS [SEED]");
    uint32_t key_count = (uint32_t)bench_number("KEYS", argv[1], 1, MAX_KEYS);
    uint64_t rounds = bench_number("ROUNDS", argv[2], 1, UINT64_MAX / MAX_KEYS);
    uint64_t random = argc == 4 ? bench_number("SEED", argv[3], 0, UINT64_MAX) : 1;

    double start = bench_seconds();
    for (uint64_t round = 0; round < rounds; round++)
        run_round(key_count, &random);
    printf("hash table: %llu keys, %.3f s\n", (unsigned long long)(rounds * key_count), bench_seconds() - start);
    return 0;
}
