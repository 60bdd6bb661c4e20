/* stream_fork_test.c - a fork that has to wait for libc's list of streams keeps nobody from malloc meanwhile.
 *
 * Beside other threads libc takes that list in fork(), behind all handlers. Who flushes all streams has the list and
 * waits for each stream; and who has a stream may allocate, as getline() does.
 */
#include <pthread.h>
#include <semaphore.h>

#include "bootstrap/common.h"

enum { FORKS = 3, MILLISECOND = 1000, UNTIL_IT_WAITS = 100 * MILLISECOND };

static FILE *stream;
static sem_t held;

static void *allocate_with_the_stream(void *unused)
{
    flockfile(stream);
    sem_post(&held);
    usleep(3 * UNTIL_IT_WAITS); /* the fork has begun */
    for (size_t size = 1; size < 10000000; size *= 3) {
        void *p = take(size);
        if (!p) bail_out("malloc");
        give(p);
    }
    funlockfile(stream);
    return unused;
}

static void *flush_all(void *unused)
{
    fflush(NULL);
    return unused;
}

static bool streams_work(void)
{
    FILE *null = fopen("/dev/null", "w");
    return null && fputs("text", null) >= 0 && fflush(NULL) == 0 && fclose(null) == 0;
}

static void one_fork(unsigned number)
{
    pthread_t holder, flusher;
    if (pthread_create(&holder, NULL, allocate_with_the_stream, NULL) != 0) bail_out("pthread_create");
    sem_wait(&held);
    if (pthread_create(&flusher, NULL, flush_all, NULL) != 0) bail_out("pthread_create");
    usleep(UNTIL_IT_WAITS);
    pid_t pid = fork();
    if (pid < 0) bail_out("fork: errno %d", errno);
    if (pid == 0) {
        alarm(HANG_SECONDS / 2);
        _exit(allocator_works(number) && streams_work() ? 0 : 1);
    }
    int status = -1;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
    expect(succeeded(status, "the child"), "fork %u", number);
    pthread_join(holder, NULL);
    pthread_join(flusher, NULL);
}

int main(void)
{
    alarm(HANG_SECONDS);
    if (!runs_on_hakmem()) return done_testing();
    stream = fopen("/dev/null", "w");
    if (!stream || sem_init(&held, 0, 0) != 0) bail_out("errno %d", errno);
    ok(streams_work(), "streams_work_before");
    for (unsigned i = 0; i < FORKS; i++) one_fork(i);
    claim("who_holds_a_stream_can_allocate_while_a_fork_waits_for_the_list_of_streams");
    ok(streams_work() && allocator_works(1) && hak_check(), "the_parent_works_on");
    return done_testing();
}
