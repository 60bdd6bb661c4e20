/* fake_thread.c - thread.h for tests: the library's own thread is only noted, and what is asked of others is
 * answered as the test says.
 *
 * Included by fake_os.c.
 */
#include "fake_os.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "../../src/os/thread.h"

enum { NUMBER = 5000000 }; /* of a thread that nobody runs yet: no real one's, which are below 2^22 */

bool os_thread_start(struct os_thread *thread, int (*run)(bool alone))
{
    fake.thread_starts++;
    if (fake.threads_refused) return false;
    fake.thread_main = run;
    if (fake.while_starting) fake.while_starting();
    __atomic_store_n(&thread->id, NUMBER, __ATOMIC_SEQ_CST);
    return true;
}

void os_thread_join(const struct os_thread *thread, uint32_t id)
{
    fake.thread_joins++;
    uint32_t *word = &((struct os_thread *)(uintptr_t)thread)->id;
    if (__atomic_load_n(word, __ATOMIC_SEQ_CST) == id) __atomic_store_n(word, 0, __ATOMIC_SEQ_CST);
}

uint32_t os_thread_number(void)
{
    return (uint32_t)syscall(SYS_gettid);
}

uint32_t os_process_number(void)
{
    return (uint32_t)getpid();
}

bool os_thread_is_alone(void)
{
    return !fake.others_run;
}

uint64_t os_thread_block_signals(void)
{
    return 0;
}

void os_thread_restore_signals(uint64_t before)
{
    (void)before;
}

bool os_thread_exists(uint32_t number)
{
    return syscall(SYS_tgkill, getpid(), number, 0) == 0;
}

bool os_thread_sleeps(uint32_t number, const void *storage)
{
    fake.looks++;
    return fake.threads_sleep && number != 0 && storage;
}

bool os_thread_sleep_shows(void)
{
    return !fake.sleep_is_hidden;
}

bool os_thread_outlives_rights(void)
{
    return fake.rights_were_given_up;
}

void os_wait_for(const uint32_t *word, uint32_t value, uint64_t ms)
{
    if (fake.while_sleeping) fake.while_sleeping();
    if (__atomic_load_n(word, __ATOMIC_SEQ_CST) == value) __atomic_add_fetch(&fake.now_ms, ms, __ATOMIC_SEQ_CST);
}
