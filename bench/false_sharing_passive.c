/* false_sharing_passive.c - does a thread that frees another's block get it again, on a line of others?
 *
 *     false_sharing_passive THREADS ITERATIONS WRITES SIZE
 *
 * The main thread allocates one block of SIZE bytes for each of THREADS threads, side by side as a rule,
 * so on one cache line. Each thread frees its block first. Then it takes a block of SIZE bytes, writes
 * WRITES times into it, and frees it, ITERATIONS times. An allocator that keeps the first block for the
 * thread that has freed it makes the threads write to one line from then on.
 *
 * Sharing: main's blocks are handed on by pthread_create.
 */
#include "false_sharing.h"

static void *worker_thread(void *argument)
{
    struct worker *w = argument;
    counter_give(w->counter, w->index);
    w->done++;
    pthread_barrier_wait(&start_line);
    count_in_blocks(w);
    return NULL;
}

int main(int argc, char **argv)
{
    uint32_t thread_count = parse_arguments(argc, argv);
    double start = bench_seconds();
    for (uint32_t i = 0; i < thread_count; i++)
        workers[i].counter = counter_take(i);
    team_run(worker_thread, workers, sizeof *workers, thread_count);
    print_outcome("false_sharing_passive", thread_count, thread_count * (iterations + 1), bench_seconds() - start);
    return 0;
}
