/* library.c - see library.h. Checked build on the tests' fake system, as one include.
 *
 * Uses:  the library; fake_os.c. fuzz.mk renames the sections of its variables, so that the linker says where
 *        they begin and end.
 *
 * I1  after library_forget() every variable of the library has the value that it has in a fresh process, and no
 *     mapping that it made is left; but for KEPT
 */
#include "../../src/hakmem.c"

#include "library.h"

#define KEPT __attribute__((section("library_kept")))

/* The addresses are the same in every run, and free under AddressSanitizer, too. The map of all tags is 16 GiB. */
#define PLACE_FIRST (UINT64_C(1) << 45)
#define MAP_BYTES_MAX (UINT64_C(32) << 30)
enum { BLOCK_PAGE = 4096 };

extern char __start_library_data[], __stop_library_data[], __start_library_bss[], __stop_library_bss[];

static KEPT char *data_at_start; /* NULL = nothing was called yet */

/* Unseen by sanitizers: between variables lies what they must not touch. from NULL = zeros. */
__attribute__((no_sanitize("address"))) static void set_bytes(char *to, const char *from, size_t size)
{
    size_t i = 0;
    for (; i + 8 <= size; i += 8)
        *(volatile uint64_t *)(void *)(to + i) = from ? *(const uint64_t *)(const void *)(from + i) : 0;
    for (; i < size; i++) ((volatile char *)to)[i] = from ? from[i] : 0;
}

/* Whole pages fall back to zeros by themselves: few of them were touched. */
static void clear_variables(char *from, char *to)
{
    char *first = (char *)align_up((uintptr_t)from, BLOCK_PAGE);
    char *last = (char *)align_down((uintptr_t)to, BLOCK_PAGE);
    if (first >= last || syscall(SYS_madvise, first, last - first, MADV_DONTNEED) != 0) {
        set_bytes(from, NULL, (size_t)(to - from));
        return;
    }
    set_bytes(from, NULL, (size_t)(first - from));
    set_bytes(last, NULL, (size_t)(to - last));
}

static void clear_thread(void)
{
    heap_self = &heap_none;
    heap_mine = NULL;
    ranks_held = 0;
    may_open_files = false;
}

void library_forget(void)
{
    size_t size = (size_t)(__stop_library_data - __start_library_data);
    if (!data_at_start) {
        data_at_start = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (data_at_start == MAP_FAILED) abort();
        set_bytes(data_at_start, __start_library_data, size);
    } else {
        if (has_exit_key) (void)pthread_key_delete(exit_key);
        uintptr_t most = fake.place_most;
        if (most > PLACE_FIRST) (void)syscall(SYS_munmap, PLACE_FIRST, most - PLACE_FIRST);
        set_bytes(__start_library_data, data_at_start, size);
        clear_variables(__start_library_bss, __stop_library_bss);
        clear_thread();
    }
    fake.place = PLACE_FIRST;
    fake.map_bytes_max = MAP_BYTES_MAX;
}

void library_load(void)
{
    start_parts(NULL); /* the fake system has an environment of its own */
}

void library_unload(void)
{
    library_end();
}

bool library_counters_agree(void)
{
    return stats_verify_counters();
}

size_t library_held_by_blocks(void)
{
    size_t held = limit_held(), books = record_bytes();
    return held > books ? held - books : 0;
}

static unsigned rounds_left;

static void count_round(void)
{
    if (rounds_left > 0) rounds_left--;
    if (rounds_left == 0) store_release(&background_stop, 1);
}

void library_run_background(unsigned rounds)
{
    if (load_acquire(&background.id) == 0 || !fake.thread_main) return;
    rounds_left = rounds;
    fake.while_sleeping = count_round;
    (void)fake.thread_main(true);
    fake.while_sleeping = NULL;
    store_release(&background.id, 0); /* as the system does */
}

void library_look_at_group(void)
{
    pressure_look();
}

size_t library_class_size(unsigned class)
{
    return class_size(class % CLASS_COUNT);
}

const char *library_option_name(unsigned option)
{
    return option < OPTION_COUNT ? option_info[option].name : NULL;
}

const char *library_option_unit(unsigned option)
{
    return option_info[option].unit;
}

void library_option_range(unsigned option, long *minimum, long *maximum)
{
    *minimum = option_info[option].minimum;
    *maximum = option_info[option].maximum;
}
