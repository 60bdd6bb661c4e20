/* remote_free_test.c - a block of another heap that its thread frees, from free to the chain that it joins. What
 * becomes of chains is in inbox_test.c.
 */
#include "mail.h"

#include <signal.h>
#include <sys/mman.h>

enum { PAGE = 4096, SIZE = 8192 };

static void *page;
static unsigned faults, marked;

/* Where a page of the block must be read back, the thread waits in the middle of the free. */
static void touched(int number)
{
    (void)number;
    faults++;
    marked += me->busy;
    if (mprotect(page, PAGE, PROT_READ | PROT_WRITE) != 0) _exit(3);
}

static void free_with_a_fault(void *p)
{
    page = (void *)align_down((uintptr_t)p, PAGE);
    require(mprotect(page, PAGE, PROT_NONE) == 0);
    do_free(p);
}

static void a_thread_that_waits_in_a_remote_free_is_marked(void)
{
    start();
    struct sigaction before, now = {.sa_handler = touched};
    require(sigaction(SIGSEGV, &now, &before) == 0);
    void *p = take(owner, class_of(SIZE)), *q = take(owner, class_of(SIZE));
    struct outbox_slot *slot = outbox_slot_of(me, tagmap_get(p));
    free_with_a_fault(q); /* which begins a chain: nothing is written yet */
    require(slot->chain.count == 1 && slot->limit > 2);
    free_with_a_fault(p);
    require(sigaction(SIGSEGV, &before, NULL) == 0 && mprotect((void *)align_down((uintptr_t)q, PAGE), PAGE, 3) == 0);
    require(slot->chain.count == 2 && slot->chain.first == p && link_get(p) == q);
    require(faults == 1 && marked == 1, "%u of %u faults", marked, faults);
    require(!me->busy);
}

static void frees_that_join_make_no_visit(void)
{
    start();
    void *p[4];
    for (unsigned i = 0; i < 4; i++) p[i] = take(owner, class_of(64));
    do_free(p[0]);
    uint32_t work = me->work;
    for (unsigned i = 1; i < 4; i++) do_free(p[i]);
    require(me->work == work && me->class[class_of(64)].remote_frees == 4);
    require(outbox_slot_of(me, tagmap_get(p[0]))->chain.count == 4);
}

/* Its own come here in a window, where every free does. */
static void own_blocks_join_no_chain(void)
{
    fake.address_limit = (size_t)1 << 30;
    start();
    void *p = do_malloc(64), *q = do_malloc(64);
    require(tagmap.windowed && front_owns(p));
    do_free(p);
    do_free(q);
    require(me->class[class_of(64)].remote_frees == 0 && bin_left(&me->front.bin[class_of(64)]) >= 2);
}

static void what_is_no_block_joins_no_chain(void)
{
    start();
    void *p = take(owner, class_of(64)), *q = take(owner, class_of(64));
    do_free(p);
    jmp_buf out;
    fake.abort_to = &out;
    if (setjmp(out) == 0) do_free((char *)q + 8);
    require(fake.aborts == 1 && strstr(fake_take_printed(), "invalid pointer"));
    require(outbox_slot_of(me, tagmap_get(p))->chain.count == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_thread_that_waits_in_a_remote_free_is_marked),
        TEST(frees_that_join_make_no_visit),
        TEST(own_blocks_join_no_chain),
        TEST(what_is_no_block_joins_no_chain),
    };
    return run_unit_tests(tests);
}
