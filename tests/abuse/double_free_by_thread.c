/* double_free_by_thread.c - another thread frees a block twice in a row.
 * expect: hakmem: double free: p={p}( size=\d+)? \(see hakmem-errors\(7\)\)
 */
#include <pthread.h>

#include "abuse/abuse.h"

static void *free_twice(void *p)
{
    give(p);
    give(misused(p));
    return NULL;
}

int main(void)
{
    pthread_t thread;
    char *p = take(100);
    if (pthread_create(&thread, NULL, free_twice, p) != 0) return 5;
    pthread_join(thread, NULL);
    return still_works();
}
