/* attach_test.c - threads get heaps and leave them: parked, dissolved, refused, and used after the end. */
#include "unit.h"

#include <semaphore.h>

enum { MANY = 3 * PARKED_MAX };

static unsigned parked_length(void)
{
    unsigned count = 0;
    for (struct heap *h = parked_heaps; h; h = h->next) count++;
    return count;
}

static unsigned free_length(void)
{
    unsigned count = 0;
    for (struct heap *h = free_heaps; h; h = h->next) count++;
    return count;
}

struct census {
    unsigned live, parked, free, gone;
};

static void count_heap(struct heap *heap, void *context)
{
    struct census *census = context;
    if (heap == heap_common) return;
    bool open = heap->inbox != INBOX_CLOSED;
    switch (heap->state) {
    case HEAP_LIVE: census->live++; break;
    case HEAP_PARKED: census->parked++; break;
    case HEAP_FREE: census->free++; break;
    default: census->gone++; break;
    }
    bool should = heap->state == HEAP_LIVE || heap->state == HEAP_PARKED;
    require(open == should, "I2: heap %u in state %u", heap->front.id, heap->state);
}

/* I1 and I2 of attach.c. */
static struct census require_states(void)
{
    struct census census = {0, 0, 0, 0};
    heap_each(count_heap, &census);
    require(census.parked == parked_length() && census.parked == parked_count, "I1: parked");
    require(census.free == free_length(), "I1: free");
    require(parked_count <= PARKED_MAX);
    return census;
}

/* ---- the first call ---- */

static void the_first_call_makes_a_heap(void)
{
    require(heap_self == &heap_none && heap_self->id == 0 && !heap_common);
    void *p = do_malloc(10);
    require(p && heap_self->id == 2 && heap_common && heap_common->front.id == HEAP_COMMON);
    require(heap_at(2) == my_heap() && my_heap()->state == HEAP_LIVE);
    do_free(p);
    struct census census = require_states();
    require(census.live == 1 && census.parked == 0 && census.free == 0);
}

static void free_may_be_the_first_call(void)
{
    do_free(NULL);
    require(heap_self == &heap_none);
    require(!hak_owns((void *)0x1000) && hak_usable_size(&fake) == 0);
}

static void every_call_may_be_the_first(void)
{
    for (volatile int i = 0; i < 6; i++) {
        int status = 0;
        pid_t child = fork();
        if (child == 0) {
            void *p = NULL;
            if (i == 0) p = do_calloc(3, 5);
            if (i == 1) p = do_realloc(NULL, 7);
            if (i == 2) p = do_aligned(4096, 10);
            if (i == 3) p = do_malloc(1 << 20);
            if (i == 4) p = do_malloc(70 << 20);
            if (i == 5) require(hak_purge() == 0 && (p = do_malloc(5000)));
            require(p && hak_owns(p));
            do_free(p);
            require_sound();
            _exit(0);
        }
        require(waitpid(child, &status, 0) == child && status == 0, "call %d: status %x", i, status);
    }
}

static void a_front_without_a_heap_hits_nothing(void)
{
    for (unsigned i = 0; i < 2; i++) {
        struct heap_front *front = i ? &heap_exited : &heap_none;
        for (unsigned c = 0; c < CLASS_COUNT; c++) require(!front->bin[c].head && front->bin[c].budget == 0);
        for (size_t n = 0; n <= TABLE_SIZE_MAX; n++)
            require(front->bin_of_size[(n + 7) / 8] >= BIN_OFFSET && front->id == 0);
        require(front->owner == OWNER_NEVER);
    }
}

/* ---- parked ---- */

static void *allocate_and_free(void *argument)
{
    void **p = argument;
    for (unsigned i = 0; i < 100; i++) p[i] = do_malloc(64);
    for (unsigned i = 0; i < 100; i++) do_free(p[i]);
    return my_heap();
}

static void *result_of(void *(*function)(void *), void *argument)
{
    pthread_t thread;
    void *result = NULL;
    require(pthread_create(&thread, NULL, function, argument) == 0);
    require(pthread_join(thread, &result) == 0);
    return result;
}

static void *take_one(void *argument)
{
    *(void **)argument = do_malloc(64);
    return my_heap();
}

static void a_parked_heap_is_used_again_with_its_bins(void)
{
    static void *p[100];
    do_free(do_malloc(1));
    struct heap *heap = result_of(allocate_and_free, p);
    require(heap->state == HEAP_PARKED && parked_heaps == heap);
    struct bin *bin = &heap->front.bin[class_of(64)];
    uint32_t left = bin_left(bin);
    void *warm = bin->head;
    require(left > 0 && warm);
    void *got = NULL;
    uint64_t commits = fake.calls[FAKE_ANY];
    require(result_of(take_one, &got) == heap);
    require(got == warm && bin_left(bin) == left - 1);
    require(fake.calls[FAKE_ANY] == commits, "a system call for a parked heap");
    (void)require_states();
    do_free(got);
    require_sound();
}

static void the_latest_parked_heap_comes_first(void)
{
    static pthread_t thread[3];
    static void *p[3][100];
    do_free(do_malloc(1));
    for (unsigned i = 0; i < 3; i++) require(pthread_create(&thread[i], NULL, allocate_and_free, p[i]) == 0);
    for (unsigned i = 0; i < 3; i++) require(pthread_join(thread[i], NULL) == 0);
    struct heap *latest = parked_heaps;
    void *q = NULL;
    require(result_of(take_one, &q) == latest);
}

static sem_t all_here, may_go;

static void *wait_with_a_heap(void *argument)
{
    void *p = do_malloc(100);
    sem_post(&all_here);
    sem_wait(&may_go);
    do_free(p);
    return argument;
}

static void run_many(unsigned count)
{
    pthread_t thread[MANY];
    sem_init(&all_here, 0, 0);
    sem_init(&may_go, 0, 0);
    for (unsigned i = 0; i < count; i++) require(pthread_create(&thread[i], NULL, wait_with_a_heap, NULL) == 0);
    for (unsigned i = 0; i < count; i++) sem_wait(&all_here);
    struct census census = require_states();
    require(census.live == count + 1, "%u live", census.live);
    for (unsigned i = 0; i < count; i++) sem_post(&may_go);
    for (unsigned i = 0; i < count; i++) require(pthread_join(thread[i], NULL) == 0);
}

static void no_more_than_parked_max_are_parked(void)
{
    do_free(do_malloc(1));
    for (unsigned round = 0; round < 4; round++) {
        run_many(MANY);
        struct census census = require_states();
        require(census.parked == PARKED_MAX && census.free == MANY - PARKED_MAX, "%u parked, %u free", census.parked,
                census.free);
        require(heap_count == MANY + 2, "heaps are used again: %u", heap_count);
        require_sound();
    }
}

static void *allocate_and_tell_owner(void *argument)
{
    void *p = do_malloc(64);
    *(uint32_t *)argument = tag_owner(tagmap_get(p));
    do_free(p);
    return NULL;
}

/* As if all the threads before were still there. */
static void who_comes_after_the_last_heap_shares_the_common_one(void)
{
    uint32_t last, beyond;
    do_free(do_malloc(1));
    uint32_t count = heap_count;
    heap_count = OWNER_MAX - 1;
    bury_next = UINT32_MAX; /* who would walk heaps finds none there */
    in_thread(allocate_and_tell_owner, &last);
    require(last == OWNER_MAX && heap_count == OWNER_MAX);
    parked_heaps = NULL;
    in_thread(allocate_and_tell_owner, &beyond);
    require(beyond == HEAP_COMMON && heap_count == OWNER_MAX, "heap %u", beyond);
    heap_count = count;
}

/* ---- dissolved ---- */

static void require_nothing_in(struct heap *heap)
{
    require(heap->state == HEAP_FREE && heap->inbox == INBOX_CLOSED && heap->reserve_count == 0);
    for (unsigned c = 0; c < CLASS_COUNT; c++) {
        require(!heap->front.bin[c].head && bin_left(&heap->front.bin[c]) == 0, "class %u", c);
        require(heap->class[c].empty == 0, "class %u", c);
        for (unsigned place = 0; place < SLAB_PLACES; place++)
            require(list_is_empty(&heap->class[c].slabs[place]), "class %u", c);
    }
    for (unsigned i = 0; i < LETTERS; i++) require(heap->letter[i].owner == 0);
    for (unsigned i = 0; i < OUTBOX_SLOTS; i++) require(heap->outbox[i].tag == 0);
}

static void *mine[200];

static void *leave_all_kinds(void *argument)
{
    void **out = argument;
    for (unsigned i = 0; i < 100; i++) out[i] = do_malloc(i * 100);     /* stay */
    for (unsigned i = 0; i < 300; i++) do_free(do_malloc(i * 200));     /* bins, spares, the reserve */
    for (unsigned i = 0; i < 200; i += 3) do_free(mine[i]), mine[i] = NULL; /* outbox */
    return my_heap();
}

static void dissolving_leaves_nothing_behind(void)
{
    void *out[100];
    for (unsigned i = 0; i < 200; i++) mine[i] = do_malloc(i * 50);
    struct heap *heap = result_of(leave_all_kinds, out);
    require(heap->state == HEAP_PARKED);
    require_sound();
    heap_dissolve_parked();
    require_nothing_in(heap);
    (void)require_states();
    for (unsigned i = 0; i < 100; i++) {
        require(hak_owns(out[i]) && hak_usable_size(out[i]) >= i * 100);
        require(tag_owner(tagmap_get(out[i])) == HEAP_COMMON || i * 100 > SMALL_SIZE_MAX, "block %u", i);
        do_free(out[i]);
    }
    for (unsigned i = 0; i < 200; i++) do_free(mine[i]);
    require_sound();
    (void)hak_purge();
    struct hak_stats stats;
    require(hak_stats(&stats) == 0 && stats.live == 0 && stats.cached == 0 && stats.dirty == 0);
}

static void what_waits_for_others_is_posted_at_the_end_of_a_thread(void)
{
    static void *p[300];
    for (unsigned i = 0; i < 200; i++) mine[i] = do_malloc(72);
    struct heap *heap = result_of(leave_all_kinds, p);
    for (unsigned i = 0; i < LETTERS; i++) require(heap->letter[i].owner == 0);
    for (unsigned i = 0; i < OUTBOX_SLOTS; i++) require(heap->outbox[i].tag == 0);
    require(inbox_has_mail(my_heap()));
}

static void blocks_of_a_parked_heap_can_be_freed(void)
{
    void *out[100];
    do_free(do_malloc(1)); /* or the parked heap would be this thread's */
    struct heap *heap = result_of(leave_all_kinds, out);
    for (unsigned i = 0; i < 100; i++) do_free(out[i]);
    require(heap->state == HEAP_PARKED);
    outbox_post_all(my_heap());
    require(inbox_has_mail(heap));
    require_sound();
    heap_dissolve_parked();
    require_nothing_in(heap);
    require_sound();
}

static void a_free_can_bring_the_heap_that_owns_the_block(void)
{
    void *out[100];
    struct heap *heap = result_of(leave_all_kinds, out);
    require(heap->state == HEAP_PARKED && heap_self == &heap_none);
    for (unsigned i = 99; i > 0; i--) do_free(out[i]);
    require(my_heap() == heap && !inbox_has_mail(heap));
    for (unsigned c = 0; c < CLASS_COUNT; c++) require(heap->class[c].remote_frees == 0, "class %u", c);
    do_free(out[0]);
    require_sound();
}

static void threads_born_and_gone_do_not_grow_the_process(void)
{
    void *out[100];
    do_free(do_malloc(1));
    size_t after_first = 0;
    for (unsigned i = 0; i < 300; i++) {
        (void)result_of(leave_all_kinds, out);
        for (unsigned k = 0; k < 100; k++) do_free(out[k]);
        if (i == 20) after_first = fake.address_bytes;
    }
    require(fake.address_bytes == after_first, "%zu bytes more", fake.address_bytes - after_first);
    require(heap_count <= 3, "%u heaps", heap_count);
    require_sound();
}

/* ---- after the end, and without a heap ---- */

static pthread_key_t late_key;
static unsigned late_calls;

/* In the second round of destructors: in the first the thread still has its heap. */
static void late_destructor(void *value)
{
    if (heap_self != &heap_exited) {
        require(late_calls == 0 && pthread_setspecific(late_key, value) == 0);
        return;
    }
    late_calls++;
    char *p = do_malloc(100), *q = do_calloc(1000, 100);
    require(p && q && tag_owner(tagmap_get(p)) == HEAP_COMMON);
    memset(p, 1, 100);
    p = do_realloc(p, 5000);
    require(p && p[99] == 1);
    do_free(p);
    do_free(q);
    do_free(value);
}

static void *use_late(void *argument)
{
    require(pthread_setspecific(late_key, do_malloc(64)) == 0);
    return argument;
}

static void calls_after_the_exit_handler_use_the_common_heap(void)
{
    do_free(do_malloc(1));
    require(pthread_key_create(&late_key, late_destructor) == 0);
    in_thread(use_late, NULL);
    require(late_calls == 1);
    require_sound();
    (void)require_states();
}

static void without_a_key_threads_use_the_common_heap(void)
{
    pthread_key_t key;
    while (pthread_key_create(&key, NULL) == 0) continue;
    void *p = do_malloc(100), *q = do_malloc(1000000);
    require(p && q && !has_exit_key && heap_self->id == 0);
    require(tag_owner(tagmap_get(p)) == HEAP_COMMON);
    p = do_realloc(p, 3000);
    require(p != NULL);
    do_free(p);
    do_free(q);
    require_sound();
    require(pthread_key_delete(key) == 0); /* one is free again: the thread gets a heap */
    p = do_malloc(100);
    require(p && heap_self->id != 0);
    do_free(p);
    require_sound();
}

static void a_refused_heap_is_no_memory_and_no_harm(void)
{
    for (volatile unsigned from = 1; from <= 3; from++) {
        int status = 0;
        pid_t child = fork();
        if (child == 0) {
            fake_fail(FAKE_MAP, from, FAKE_FOR_GOOD);
            errno = 0;
            void *p = do_malloc(10);
            require(p || errno == ENOMEM, "map %u refused: errno %d", from, errno);
            do_free(p);
            fake_fail_nothing();
            p = do_malloc(10);
            require(p && heap_self->id != 0, "map %u refused", from);
            do_free(p);
            require_sound();
            (void)require_states();
            _exit(0);
        }
        require(waitpid(child, &status, 0) == child && status == 0, "map %u: status %x", from, status);
    }
}

static void more_threads_than_a_block_of_heaps_are_served(void)
{
    enum { COUNT = HEAPS_PER_BLOCK + 5 };
    _Static_assert((int)COUNT <= (int)MANY, "room in run_many()");
    do_free(do_malloc(1));
    run_many(COUNT);
    require(heap_count == COUNT + 2 && heap_at(heap_count)->front.id == heap_count);
    require_sound();
}

static void a_childs_other_heaps_are_gone(void)
{
    pthread_t thread;
    do_free(do_malloc(1));
    sem_init(&all_here, 0, 0);
    sem_init(&may_go, 0, 0);
    require(pthread_create(&thread, NULL, wait_with_a_heap, NULL) == 0);
    sem_wait(&all_here);
    pid_t child = fork();
    if (child == 0) {
        struct census census = require_states();
        require(census.gone == 1 && census.live == 1, "%u gone, %u live", census.gone, census.live);
        for (unsigned i = 0; i < 1000; i++) require(do_malloc(i) != NULL);
        bool sound = hak_check();
        require(sound, "%s", fake_take_printed());
        _exit(0);
    }
    int status = 0;
    require(waitpid(child, &status, 0) == child && status == 0, "status %x", status);
    sem_post(&may_go);
    require(pthread_join(thread, NULL) == 0);
    require_sound();
}

/* A fork handler of somebody else allocates, and its thread has no heap yet: others find it at once, by its number. */
static void a_heap_made_while_all_is_locked_is_locked(void)
{
    do_free(do_malloc(1));
    fork_prepare();
    struct heap *made = new_heap();
    require(made && heap_last_id() == made->front.id);
    require(!lock_try_peer(&made->lock), "others get at it");
    made->next = free_heaps;
    free_heaps = made;
    fork_parent();
    require(made->lock.word == 0);
    in_thread((void *(*)(void *))(void *)do_malloc, (void *)100);
    require_states();
    require_sound();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_call_makes_a_heap),
        TEST(free_may_be_the_first_call),
        TEST(every_call_may_be_the_first),
        TEST(a_front_without_a_heap_hits_nothing),
        TEST(a_parked_heap_is_used_again_with_its_bins),
        TEST(the_latest_parked_heap_comes_first),
        TEST(no_more_than_parked_max_are_parked),
        TEST(who_comes_after_the_last_heap_shares_the_common_one),
        TEST(dissolving_leaves_nothing_behind),
        TEST(what_waits_for_others_is_posted_at_the_end_of_a_thread),
        TEST(blocks_of_a_parked_heap_can_be_freed),
        TEST(a_free_can_bring_the_heap_that_owns_the_block),
        TEST(threads_born_and_gone_do_not_grow_the_process),
        TEST(calls_after_the_exit_handler_use_the_common_heap),
        TEST(without_a_key_threads_use_the_common_heap),
        TEST(a_refused_heap_is_no_memory_and_no_harm),
        TEST(more_threads_than_a_block_of_heaps_are_served),
        TEST(a_childs_other_heaps_are_gone),
        TEST(a_heap_made_while_all_is_locked_is_locked),
    };
    return run_unit_tests(tests);
}
