/* corrupt.c - writes over hakmem's books in its own memory: as many words as its second argument says, at places
 * and with values that the first, a seed, chooses. Then it sleeps, without a call of malloc. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../src/service/block.h"

static void *(*volatile get)(size_t) = malloc;
static uint64_t state;

static uint64_t next(void)
{
    state = state * 6364136223846793005 + 1442695040888963407;
    return state >> 20;
}

/* Values that could be taken for something: small, large, a pointer somewhere, all ones. */
static uint64_t value(uint64_t before)
{
    switch (next() % 6) {
    case 0: return next() % 100;
    case 1: return UINT64_MAX;
    case 2: return before ^ (UINT64_C(1) << next() % 64);
    case 3: return before + 4096;
    case 4: return next() << 4;
    default: return next() << 32 | next();
    }
}

struct place {
    void *at;
    size_t size;
};

int main(int argc, char **argv)
{
    if (argc != 3) return 2;
    state = strtoul(argv[1], NULL, 10) * 0x9e3779b97f4a7c15;
    for (int i = 0; i < 20000; i++) memset(get((size_t)i % 5000 + 1), 1, 1);
    memset(get(3 << 20), 1, 3 << 20);
    memset(get(100 << 20), 1, 1 << 20);
    const struct block *b = &hakmem_block;
    struct chunk *c = NULL;
    uint32_t large_block = 0;
    for (uint32_t i = 1; i <= b->records->blocks; i++) {
        if (b->chunk_of_block[i]) c = b->chunk_of_block[i];
        else large_block = i;
    }
    const struct place places[] = {
        {(void *)(uintptr_t)b->heap_count, 4},
        {(void *)(uintptr_t)b->heap_block, 16},
        {b->heap_block[0] + 1, 2 * sizeof(struct heap)},
        {(void *)(uintptr_t)b->tagmap, sizeof(struct tagmap)},
        {(void *)(uintptr_t)b->records, sizeof(struct records)},
        {(void *)(uintptr_t)b->record_block, 32},
        {(void *)(uintptr_t)b->chunk_of_block, 32},
        {(void *)(uintptr_t)b->arena, sizeof(struct arena)},
        {(void *)(uintptr_t)b->mapped, sizeof(struct mapped)},
        {c, sizeof(*c)},
        {c->superslabs, c->used * sizeof(*c->superslabs)},
        {b->record_block[c->record >> RECORD_INDEX_BITS], c->used * SUPERSLAB_UNITS * sizeof(struct record)},
        {b->record_block[large_block], 4096},
        {(void *)(uintptr_t)&b->tagmap->entries[tagmap_index(b->tagmap, c->base)], c->used * SUPERSLAB_UNITS * 8},
    };
    for (int left = atoi(argv[2]); left > 0; left--) {
        const struct place *p = &places[next() % (sizeof(places) / sizeof(places[0]))];
        size_t words = p->size / 8 ? p->size / 8 : 1;
        uint64_t *word = (uint64_t *)p->at + next() % words;
        uint64_t bad = value(*word);
        memcpy(word, &bad, p->size < 8 ? p->size : 8);
    }
    if (write(STDOUT_FILENO, "ready\n", 6) != 6) _exit(1);
    for (;;) pause();
}
