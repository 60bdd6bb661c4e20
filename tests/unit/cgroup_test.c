/* cgroup_test.c - what control groups say is understood, and nothing else is taken for it; caches follow. */
#include "unit.h"

#define MOUNT "/sys/fs/cgroup"

static const size_t MIB = (size_t)1 << 20;

static struct os_pressure look(void)
{
    struct os_pressure seen;
    os_pressure(&seen);
    require(os_memory_limit() == seen.limit);
    return seen;
}

#define require_nothing(seen) \
    require((seen).limit == SIZE_MAX && (seen).percent == 0 && (seen).stall == 0 && (seen).processors == 0, \
            "limit %zu, %u %%, stall %u, processors %u", (seen).limit, (seen).percent, (seen).stall, (seen).processors)

/* ---- the group's place ---- */

static void without_control_groups_there_is_no_limit(void)
{
    struct os_pressure seen = look();
    require_nothing(seen);
}

static void the_own_group_is_read(void)
{
    fake_set_file("/proc/self/cgroup", "0::/app\n");
    fake_set_file(MOUNT "/app/memory.max", "104857600\n");
    fake_set_file(MOUNT "/app/memory.current", "52428800\n");
    fake_set_file(MOUNT "/app/cpu.max", "150000 100000\n");
    fake_set_file(MOUNT "/app/memory.pressure", "some avg10=1.25 avg60=0.00 avg300=0.00 total=5\nfull avg10=9.00\n");
    struct os_pressure seen = look();
    require(seen.limit == 104857600 && seen.percent == 49, "%zu, %u", seen.limit, seen.percent);
    require(seen.stall == 125 && seen.processors == 2, "%u, %u", seen.stall, seen.processors);
}

static void groups_around_it_count_too(void)
{
    fake_set_file("/proc/self/cgroup", "0::/pods/pod7/app\n");
    fake_set_file(MOUNT "/pods/pod7/app/memory.max", "max\n");
    fake_set_file(MOUNT "/pods/pod7/app/memory.current", "1000000\n");
    fake_set_file(MOUNT "/pods/pod7/app/cpu.max", "400000 100000\n");
    fake_set_file(MOUNT "/pods/pod7/memory.max", "200000000\n");
    fake_set_file(MOUNT "/pods/pod7/memory.current", "190000000\n");
    fake_set_file(MOUNT "/pods/memory.max", "1000000000\n");
    fake_set_file(MOUNT "/pods/memory.current", "500000000\n");
    fake_set_file(MOUNT "/pods/cpu.max", "100000 100000\n");
    struct os_pressure seen = look();
    require(seen.limit == 200000000 && seen.percent == 94, "%zu, %u", seen.limit, seen.percent);
    require(seen.processors == 1);
    fake_set_file(MOUNT "/pods/memory.current", "990000000\n"); /* the nearest to its limit, not the least */
    require((seen = look()).limit == 200000000 && seen.percent == 98, "%u", seen.percent);
}

static void memory_high_is_a_limit(void)
{
    fake_set_file("/proc/self/cgroup", "0::/app\n");
    fake_set_file(MOUNT "/app/memory.max", "100000000");
    fake_set_file(MOUNT "/app/memory.high", "50000000");
    fake_set_file(MOUNT "/app/memory.current", "45000000");
    require(look().limit == 50000000 && look().percent == 89, "%u", look().percent);
    fake_set_file(MOUNT "/app/memory.max", "max\n");
    require(look().limit == 50000000);
    fake_set_file(MOUNT "/app/memory.max", "garbage");
    require(look().limit == SIZE_MAX);
    fake_set_file(MOUNT "/app/memory.max", "max\n");
    fake_set_file(MOUNT "/app/memory.high", "max\n");
    require(look().limit == SIZE_MAX && look().percent == 0);
}

/* Whatever reads large files fills its group with their pages. */
static void idle_pages_of_files_are_no_pressure(void)
{
    static const struct {
        const char *stat;
        uint32_t percent;
    } values[] = {
        {"anon 1\ninactive_file 40000000\nactive_file 9\n", 49}, {"anon 1\ninactive_file 99999999\n", 0},
        {"anon 1\nfile 40000000\n", 89}, {"anon 1\ninactive_file x\n", 89}, {"anon 1\ninactive_file ", 89},
        {"anon 1\ninactive_file 99999999999999999999999\n", 89}, {"", 89},
    };
    fake_set_file("/proc/self/cgroup", "0::/app\n");
    fake_set_file(MOUNT "/app/memory.max", "100000000\n");
    fake_set_file(MOUNT "/app/memory.current", "90000000\n");
    for (unsigned i = 0; i < array_length(values); i++) {
        fake_set_file(MOUNT "/app/memory.stat", values[i].stat);
        require(look().percent == values[i].percent, "%s: %u", values[i].stat, look().percent);
    }
}

/* In a container the mount's root is the group; the path may be the host's. */
static void the_root_of_a_container_is_a_group(void)
{
    static const char *const lists[] = {"0::/\n", "0::/../other\n", "0::/system.slice/docker-abc.scope\n"};
    fake_set_file(MOUNT "/memory.max", "67108864\n");
    for (unsigned i = 0; i < array_length(lists); i++) {
        fake_set_file("/proc/self/cgroup", lists[i]);
        require(look().limit == 67108864, "%s", lists[i]);
    }
}

static void version_1_is_not_read(void)
{
    fake_set_file("/proc/self/cgroup", "12:memory:/app\n11:cpu,cpuacct:/\n1:name=systemd:/\n");
    fake_set_file(MOUNT "/memory.max", "1000");
    fake_set_file(MOUNT "/app/memory.max", "1000");
    struct os_pressure seen = look();
    require_nothing(seen);
    fake_set_file("/proc/self/cgroup", "12:memory:/\n1:name=systemd:/\n0::/app\n"); /* both versions */
    require(look().limit == 1000);
}

static void paths_too_long_leave_the_root(void)
{
    static char list[5000], path[5100];
    memset(list, 'x', sizeof(list) - 1);
    memcpy(list, "0::/", 4);
    fake_set_file("/proc/self/cgroup", list);
    fake_set_file(MOUNT "/memory.max", "67108864\n");
    require(look().limit == 67108864);
    for (size_t length = GROUP_MAX - 3; length < GROUP_MAX + 3; length++) {
        list[length + 3] = '\n';
        snprintf(path, sizeof(path), MOUNT "%.*s/memory.max", (int)length, list + 3);
        fake_set_file(path, "1000");
        require(look().limit == (length < GROUP_MAX ? 1000 : 67108864), "length %zu", length);
        fake_set_file(path, NULL);
        list[length + 3] = 'x';
    }
}

/* ---- values ---- */

static void only_numbers_are_limits(void)
{
    static const struct {
        const char *text;
        size_t limit;
    } values[] = {
        {"max\n", SIZE_MAX}, {"max", SIZE_MAX}, {"0\n", 0}, {"1", 1}, {"4096\n", 4096}, {"", SIZE_MAX}, {"\n", SIZE_MAX},
        {"-1\n", SIZE_MAX}, {"12x\n", SIZE_MAX}, {"x12\n", SIZE_MAX}, {" 12\n", SIZE_MAX}, {"0x10\n", SIZE_MAX},
        {"9223372036854771712\n", 9223372036854771712u}, {"18446744073709551615\n", SIZE_MAX},
        {"18446744073709551616\n", SIZE_MAX}, {"99999999999999999999999999999\n", SIZE_MAX},
        {"\xff\xfe\x80", SIZE_MAX},
    };
    fake_set_file("/proc/self/cgroup", "0::/app\n");
    for (unsigned i = 0; i < array_length(values); i++) {
        fake_set_file(MOUNT "/app/memory.max", values[i].text);
        require(look().limit == values[i].limit, "\"%s\": %zu", values[i].text, look().limit);
    }
}

static void shares_are_right_at_the_edges(void)
{
    static const struct {
        const char *limit, *current;
        uint32_t percent;
    } values[] = {
        {"0", "0", 100}, {"1000", "999", 90}, {"1000", "1000", 100}, {"100000000", "99999999", 99},
        {"100000000", "200000000", 100}, {"9223372036854771712", "1", 0}, {"100000000", "garbage", 0},
        {"100000000", "99999999999999999999999", 100}, {"100000000", NULL, 0},
    };
    fake_set_file("/proc/self/cgroup", "0::/app\n");
    for (unsigned i = 0; i < array_length(values); i++) {
        fake_set_file(MOUNT "/app/memory.max", values[i].limit);
        fake_set_file(MOUNT "/app/memory.current", values[i].current);
        require(look().percent == values[i].percent, "%s of %s: %u", values[i].current, values[i].limit, look().percent);
    }
}

static void stalls_are_read_from_the_group_or_the_system(void)
{
    static const struct {
        const char *text;
        uint32_t stall;
    } values[] = {
        {"some avg10=0.00 avg60=1.00\n", 0}, {"some avg10=12.34 avg60=0.00", 1234}, {"some avg10=100.00", 10000},
        {"some avg10=7", 700}, {"some avg10=7.5", 700}, {"some avg10=99999999999999999999.00", 10000},
        {"some avg10=", 0}, {"full avg10=5.00", 0}, {"some avg10=-1.00", 0}, {"garbage", 0}, {"some avg10", 0},
    };
    for (unsigned i = 0; i < array_length(values); i++) {
        fake_set_file("/proc/pressure/memory", values[i].text);
        require(look().stall == values[i].stall, "%s: %u", values[i].text, look().stall);
    }
    fake_set_file("/proc/self/cgroup", "0::/app\n");
    fake_set_file("/proc/pressure/memory", "some avg10=3.00");
    require(look().stall == 300);
    fake_set_file(MOUNT "/app/memory.pressure", "some avg10=2.00");
    require(look().stall == 200);
}

static void shares_of_processors_are_rounded_up(void)
{
    static const struct {
        const char *text;
        uint32_t processors;
    } values[] = {
        {"max 100000\n", 0}, {"100000 100000\n", 1}, {"100001 100000\n", 2}, {"50000 100000", 1}, {"800000 100000", 8},
        {"100000 0\n", 0}, {"100000\n", 0}, {"100000 max\n", 0}, {"100000 x\n", 0}, {"garbage", 0}, {"0 100000", 0},
        {"99999999999999999999999 1", 0}, {"9223372036854775807 1", 0},
    };
    fake_set_file("/proc/self/cgroup", "0::/app\n");
    for (unsigned i = 0; i < array_length(values); i++) {
        fake_set_file(MOUNT "/app/cpu.max", values[i].text);
        require(look().processors == values[i].processors, "%s: %u", values[i].text, look().processors);
    }
}

/* ---- what follows from it ---- */

static void set_group(const char *limit, const char *current)
{
    fake_set_file("/proc/self/cgroup", "0::/app\n");
    fake_set_file(MOUNT "/app/memory.max", limit);
    fake_set_file(MOUNT "/app/memory.current", current);
}

static void caches_are_sized_by_the_limit(void)
{
    static const struct {
        const char *limit;
        size_t kept, bin;
    } values[] = {
        {NULL, KEPT_BYTES_MAX, GROWN_BYTES}, {"max", KEPT_BYTES_MAX, GROWN_BYTES},
        {"17179869184", KEPT_BYTES_MAX, GROWN_BYTES}, {"4294967296", KEPT_BYTES_MAX, GROWN_BYTES},
        {"1073741824", (size_t)16 << 20, GROWN_BYTES}, {"268435456", (size_t)4 << 20, 512 << 10},
        {"67108864", (size_t)1 << 20, 128 << 10}, {"16777216", (size_t)256 << 10, CAPACITY_BYTES}, {"0", 0, CAPACITY_BYTES},
    };
    for (unsigned i = 0; i < array_length(values); i++) {
        set_group(values[i].limit, "0");
        pressure_start();
        require(kept_bytes_max == values[i].kept, "%s: %zu", values[i].limit, kept_bytes_max);
        require(grown_bytes == values[i].bin, "%s: %u", values[i].limit, grown_bytes);
    }
}

static void the_hard_limit_sizes_caches_too(void)
{
    require(option_set(OPTION_limit_hard, 256));
    set_group("1073741824", "0");
    pressure_start();
    require(grown_bytes == 512 << 10 && kept_bytes_max == 4 * MIB);
}

/* Most that the bin of a class comes to hold in a thread that takes and frees many. */
static uint16_t grown_capacity(unsigned class)
{
    static void *p[20000];
    for (unsigned turn = 0; turn < 30; turn++) {
        for (unsigned i = 0; i < array_length(p); i++) p[i] = do_malloc(class_stride(class));
        for (unsigned i = 0; i < array_length(p); i++) do_free(p[i]);
        for (unsigned i = 0; i < 2000; i++) p[i] = do_malloc(class_stride(class));
        for (unsigned i = 0; i < 2000; i++) do_free(p[i]);
    }
    return my_heap()->class[class].capacity;
}

static void bins_grow_no_further_than_their_bound(void)
{
    unsigned class = class_of(1024);
    set_group("67108864", "0");
    pressure_start();
    require(grown_capacity(class) <= (128 << 10) / 1024, "%u", grown_capacity(class));
    require_sound();
}

static void mappings_are_kept_up_to_their_bound(void)
{
    set_group("268435456", "0");
    pressure_start();
    do_free(do_malloc(1));
    do_free(malloc_mapping(5 * MIB));
    require(!large_has_kept(), "more than 4 MiB");
    do_free(malloc_mapping(3 * MIB));
    require(large_has_kept());
    require_sound();
}

static void start_reads_files_and_visits_do_not(void)
{
    set_group("67108864", "67000000");
    pressure_start();
    uint64_t files = fake.files_read;
    require(files > 0);
    for (unsigned i = 0; i < 3000; i++) {
        fake.now_ms += 100;
        do_free(do_malloc(300000));
        void *p = do_malloc(20000);
        do_free(do_malloc(i));
        do_free(p);
    }
    (void)hak_purge();
    require(fake.files_read == files, "%lu", fake.files_read - files);
    pressure_look();
    require(fake.files_read > files);
}

static void verbose_tells_of_the_group(void)
{
    require(option_set(OPTION_verbose, 1));
    pressure_start();
    require_only_text("");
    fake_set_file("/proc/self/cgroup", "0::/app\n");
    fake_set_file(MOUNT "/app/cpu.max", "150000 100000\n");
    pressure_start();
    require_only_text("hakmem: control group: memory 0 MiB, 0 % used; processors 2 (0 = no limit)\n");
    set_group("104857600", "52428800");
    pressure_start();
    require_only_text("hakmem: control group: memory 100 MiB, 49 % used; processors 2 (0 = no limit)\n");
}

static void purging_hastens_as_the_group_fills(void)
{
    static const struct {
        const char *current;
        uint64_t delay;
    } values[] = {{"0", 1000}, {"80000000", 1000}, {"82000000", 100}, {"94000000", 100}, {"97000000", 0}, {"1", 1000}};
    require(pressure_delay(1000) == 1000);
    for (unsigned i = 0; i < array_length(values); i++) {
        set_group("100000000", values[i].current);
        pressure_look();
        require(pressure_delay(1000) == values[i].delay, "%s: %lu", values[i].current, pressure_delay(1000));
    }
    fake_set_file("/proc/pressure/memory", "some avg10=5.00");
    pressure_look();
    require(pressure_delay(1000) == 1000);
    fake_set_file("/proc/pressure/memory", "some avg10=5.01");
    pressure_look();
    require(pressure_delay(1000) == 100 && pressure_delay(0) == 0);
}

/* Without anybody who reads the files again. */
static void purging_hastens_as_the_process_fills_its_group(void)
{
    do_free(do_malloc(1));
    void *p = do_malloc(60 * MIB);
    set_group("100000000", "0");
    pressure_start();
    require(pressure_delay(1000) == 1000);
    void *q = do_malloc(30 * MIB);
    require(pressure_delay(1000) == 100);
    void *r = do_malloc(60 * MIB); /* more than there is: it cannot all be touched */
    require(pressure_delay(1000) == 100);
    do_free(q);
    do_free(r);
    (void)hak_purge();
    require(pressure_delay(1000) == 1000);
    do_free(p);
}

static void a_full_group_gets_memory_back_at_once(void)
{
    do_free(do_malloc(1));
    do_free(do_malloc(20 * MIB));
    (void)reclaim_poll();
    require(arena_has_dirty());
    set_group("100000000", "99000000");
    pressure_look();
    for (unsigned i = 0; i < 3; i++) {
        (void)reclaim_poll();
        fake.now_ms += 1;
    }
    require(!arena_has_dirty());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_control_groups_there_is_no_limit),
        TEST(the_own_group_is_read),
        TEST(groups_around_it_count_too),
        TEST(memory_high_is_a_limit),
        TEST(idle_pages_of_files_are_no_pressure),
        TEST(the_root_of_a_container_is_a_group),
        TEST(version_1_is_not_read),
        TEST(paths_too_long_leave_the_root),
        TEST(only_numbers_are_limits),
        TEST(shares_are_right_at_the_edges),
        TEST(stalls_are_read_from_the_group_or_the_system),
        TEST(shares_of_processors_are_rounded_up),
        TEST(caches_are_sized_by_the_limit),
        TEST(the_hard_limit_sizes_caches_too),
        TEST(bins_grow_no_further_than_their_bound),
        TEST(mappings_are_kept_up_to_their_bound),
        TEST(start_reads_files_and_visits_do_not),
        TEST(verbose_tells_of_the_group),
        TEST(purging_hastens_as_the_group_fills),
        TEST(purging_hastens_as_the_process_fills_its_group),
        TEST(a_full_group_gets_memory_back_at_once),
    };
    return run_unit_tests(tests);
}
