/* graph.c - a graph whose nodes keep growing lists of edges: built, walked, thinned out, torn down.
 *
 *     graph NODES EDGES ROUNDS [SEED]
 *
 * ROUNDS times: make NODES nodes and join EDGES random pairs of them, both ways; walk the graph breadth first from
 * one node; remove random nodes with their edges, a third as many as there are, and put fresh ones in their place;
 * free all. A node is a block of 24 bytes and an array of edges, which doubles by realloc from four on, and is
 * halved when three quarters are idle.
 */
#include "bench.h"

static void *(*volatile bench_realloc)(void *, size_t) = realloc;

enum { MAX_NODES = 1 << 24, FIRST_ROOM = 4 };

struct node {
    struct node **edges; /* to whom; each edge is in the list of the other end, too */
    uint32_t count;
    uint32_t room;       /* of `edges` */
    uint64_t visit;      /* the last walk that came here */
};

static uint64_t walks; /* a number for each walk */

static struct node *make_node(void)
{
    struct node *n = bench_malloc(sizeof *n);
    if (n == NULL)
        bench_fail("malloc(%zu) returned NULL: %s", sizeof *n, strerror(errno));
    *n = (struct node){0};
    return n;
}

static void set_room(struct node *n, uint32_t room)
{
    struct node **edges = bench_realloc(n->edges, room * sizeof *edges);
    if (edges == NULL)
        bench_fail("realloc to %zu bytes returned NULL: %s", room * sizeof *edges, strerror(errno));
    n->edges = edges;
    n->room = room;
}

static void add_edge(struct node *from, struct node *to)
{
    if (from->count == from->room)
        set_room(from, from->room == 0 ? FIRST_ROOM : from->room * 2);
    from->edges[from->count++] = to;
}

static void remove_edge(struct node *from, const struct node *to)
{
    uint32_t i = 0;
    while (i < from->count && from->edges[i] != to)
        i++;
    if (i == from->count)
        bench_fail("an edge is lost");
    from->edges[i] = from->edges[--from->count];
    if (from->room > FIRST_ROOM && from->count <= from->room / 4)
        set_room(from, from->room / 2);
}

static void free_node(struct node *n)
{
    bench_free(n->edges);
    bench_free(n);
}

static void remove_node(struct node *n)
{
    for (uint32_t i = 0; i < n->count; i++)
        remove_edge(n->edges[i], n);
    free_node(n);
}

static void join(struct node **nodes, uint32_t node_count, uint64_t *random)
{
    uint64_t bits = bench_random(random);
    uint32_t a = bench_scale((uint32_t)bits, node_count);
    uint32_t b = bench_scale((uint32_t)(bits >> 32), node_count);
    if (a == b)
        return; /* no loops: they would be in one list twice */
    add_edge(nodes[a], nodes[b]);
    add_edge(nodes[b], nodes[a]);
}

/* How many nodes can be reached. */
static uint32_t walk(struct node *start, uint32_t node_count)
{
    struct node **queue = bench_malloc(node_count * sizeof *queue);
    if (queue == NULL)
        bench_fail("no memory for a queue of %u", node_count);
    uint32_t head = 0, tail = 0;
    start->visit = ++walks;
    queue[tail++] = start;
    while (head < tail) {
        const struct node *n = queue[head++];
        for (uint32_t i = 0; i < n->count; i++) {
            struct node *other = n->edges[i];
            if (other->visit == walks)
                continue;
            other->visit = walks;
            queue[tail++] = other;
        }
    }
    bench_free(queue);
    return tail;
}

static uint32_t run_round(struct node **nodes, uint32_t node_count, uint64_t edge_count, uint64_t *random)
{
    for (uint32_t i = 0; i < node_count; i++)
        nodes[i] = make_node();
    for (uint64_t i = 0; i < edge_count; i++)
        join(nodes, node_count, random);
    uint32_t reached = walk(nodes[0], node_count);
    for (uint32_t i = 0; i < node_count / 3; i++) {
        uint32_t which = bench_scale((uint32_t)bench_random(random), node_count);
        remove_node(nodes[which]);
        nodes[which] = make_node();
    }
    for (uint32_t i = 0; i < node_count; i++)
        free_node(nodes[i]);
    return reached;
}

int main(int argc, char **argv)
{
    if (argc != 4 && argc != 5)
        bench_fail("usage: graph NODES EDGES ROUNDS [SEED]");
    uint32_t node_count = (uint32_t)bench_number("NODES", argv[1], 1, MAX_NODES);
    uint64_t edge_count = bench_number("EDGES", argv[2], 0, UINT32_MAX / 4);
    uint64_t rounds = bench_number("ROUNDS", argv[3], 1, UINT64_MAX);
    uint64_t random = argc == 5 ? bench_number("SEED", argv[4], 0, UINT64_MAX) : 1;

    struct node **nodes = calloc(node_count, sizeof *nodes);
    if (nodes == NULL)
        bench_fail("no memory for %u nodes", node_count);
    uint64_t reached = 0;
    double start = bench_seconds();
    for (uint64_t round = 0; round < rounds; round++)
        reached += run_round(nodes, node_count, edge_count, &random);
    printf("graph: %llu nodes reached in %llu rounds, %.3f s\n", (unsigned long long)reached,
           (unsigned long long)rounds, bench_seconds() - start);
    free(nodes);
    return 0;
}
