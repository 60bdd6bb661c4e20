/* false_sharing_active.c - does the allocator give blocks of one cache line to several threads?
 *
 *     false_sharing_active THREADS ITERATIONS WRITES SIZE
 *
 * Each of THREADS threads takes a block of SIZE bytes, writes WRITES times into it, and frees it, ITERATIONS
 * times. The work of a thread is fixed: with a processor for each, the time is that of one thread.
 */
#include "false_sharing.h"

static void *worker_thread(void *argument)
{
    pthread_barrier_wait(&start_line);
    count_in_blocks(argument);
    return NULL;
}

int main(int argc, char **argv)
{
    uint32_t thread_count = parse_arguments(argc, argv);
    double start = bench_seconds();
    team_run(worker_thread, workers, sizeof *workers, thread_count);
    print_outcome("false_sharing_active", thread_count, thread_count * iterations, bench_seconds() - start);
    return 0;
}
