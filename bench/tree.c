/* tree.c - a binary search tree that is built, searched and torn down again and again.
 *
 *     tree NODES SEARCHES ROUNDS [SEED]
 *
 * ROUNDS times: insert NODES random keys, look SEARCHES of them up in random order, free all nodes. A node has 32
 * bytes. Keys are random, so the tree needs no balancing: its depth is near three times the binary logarithm. How
 * close together the allocator lays the nodes counts as much as the speed of its calls.
 */
#include "bench.h"

enum { MAX_NODES = 1 << 26 };

struct node {
    struct node *left;   /* smaller keys */
    struct node *right;  /* larger keys */
    uint64_t key;
    uint64_t value;      /* the place of the key in the list of keys */
};

static struct node *make_node(uint64_t key, uint64_t value)
{
    struct node *n = bench_malloc(sizeof *n);
    if (n == NULL)
        bench_fail("malloc(%zu) returned NULL: %s", sizeof *n, strerror(errno));
    *n = (struct node){.key = key, .value = value};
    return n;
}

/* Where the key is, or where it belongs. */
static struct node **find(struct node **place, uint64_t key)
{
    while (*place != NULL && (*place)->key != key)
        place = key < (*place)->key ? &(*place)->left : &(*place)->right;
    return place;
}

/* Without a stack: left children are turned up until there is none, then the top goes. */
static uint64_t tear_down(struct node *top)
{
    uint64_t count = 0;
    while (top != NULL) {
        struct node *left = top->left;
        if (left != NULL) {
            top->left = left->right;
            left->right = top;
            top = left;
        } else {
            struct node *right = top->right;
            bench_free(top);
            count++;
            top = right;
        }
    }
    return count;
}

static struct node *build(uint64_t *keys, uint32_t node_count, uint64_t *random)
{
    struct node *root = NULL;
    for (uint32_t i = 0; i < node_count; i++) {
        struct node **place;
        do {
            keys[i] = bench_random(random);
            place = find(&root, keys[i]);
        } while (*place != NULL); /* the key is taken: once in a lifetime */
        *place = make_node(keys[i], i);
    }
    return root;
}

static void search(struct node *root, const uint64_t *keys, uint32_t node_count, uint32_t searches, uint64_t *random)
{
    for (uint32_t i = 0; i < searches; i++) {
        uint32_t which = bench_scale((uint32_t)bench_random(random), node_count);
        const struct node *n = *find(&root, keys[which]);
        if (n == NULL || n->value != which)
            bench_fail("key %u of %u is %s", which, node_count, n == NULL ? "lost" : "damaged");
    }
}

int main(int argc, char **argv)
{
    if (argc != 4 && argc != 5)
        bench_fail("usage: tree NODES SEARCHES ROUNDS [SEED]");
    uint32_t node_count = (uint32_t)bench_number("NODES", argv[1], 1, MAX_NODES);
    uint32_t searches = (uint32_t)bench_number("SEARCHES", argv[2], 0, UINT32_MAX);
    uint64_t rounds = bench_number("ROUNDS", argv[3], 1, UINT64_MAX / MAX_NODES);
    uint64_t random = argc == 5 ? bench_number("SEED", argv[4], 0, UINT64_MAX) : 1;

    uint64_t *keys = calloc(node_count, sizeof *keys);
    if (keys == NULL)
        bench_fail("no memory for %u keys", node_count);
    double start = bench_seconds();
    for (uint64_t round = 0; round < rounds; round++) {
        struct node *root = build(keys, node_count, &random);
        search(root, keys, node_count, searches, &random);
        uint64_t count = tear_down(root);
        if (count != node_count)
            bench_fail("%u nodes were inserted, %llu were found", node_count, (unsigned long long)count);
    }
    printf("tree: %llu nodes, %.3f s\n", (unsigned long long)(rounds * node_count), bench_seconds() - start);
    free(keys);
    return 0;
}
