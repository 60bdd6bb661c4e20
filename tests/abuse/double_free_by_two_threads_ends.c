/* double_free_by_two_threads_ends.c - a block is freed by its thread and by another, and the program ends soon after.
 * expect: not caught
 * failfast: hakmem: (double free|corrupted free list): p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include <pthread.h>

#include "abuse/abuse.h"

static void *free_once(void *p)
{
    give(misused(p));
    return NULL;
}

int main(void)
{
    pthread_t thread;
    struct others others = take_others(100);
    char *p = take(100);
    give(p);
    if (pthread_create(&thread, NULL, free_once, p) != 0) return 5;
    pthread_join(thread, NULL);
    return are_intact(&others);
}
