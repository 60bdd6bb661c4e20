/* settings.c - all calls that are not about one block: options, limits, statistics, giving back; and the system, which
 * refuses and lets time pass. See world.h. */
#include "world.h"

#include <stdlib.h>

/* ---- agreement ---- */

static void demand_sums(const struct hak_stats *s)
{
    size_t parts = s->live + s->cached + s->free_in_slabs + s->dirty + s->purged;
    demand(s->mapped == parts, "mapped %zu, its parts %zu", s->mapped, parts);
    struct mallinfo2 m = libc_mallinfo2();
    demand(m.uordblks + m.hblkhd == s->live, "mallinfo2: %zu and %zu, live %zu", m.uordblks, m.hblkhd, s->live);
    demand(m.arena == m.uordblks + m.fordblks, "mallinfo2: %zu, %zu, %zu", m.arena, m.uordblks, m.fordblks);
}

void demand_agreement(void)
{
    struct hak_stats s;
    size_t live = 0, blocks = 0;
    for (unsigned a = 0; a < FUZZ_ACTORS; a++) {
        blocks += world.actor[a].live;
        for (unsigned i = 0; i < world.actor[a].live; i++) live += world.actor[a].block[i].usable;
    }
    demand(hak_stats(&s) == 0 && hak_stats(NULL) == EINVAL, "hak_stats");
    demand(s.live == live, "%zu bytes by hak_stats, %zu by the shadow", s.live, live);
    demand(s.mallocs - s.frees == blocks, "%zu mallocs, %zu frees, %zu blocks", s.mallocs, s.frees, blocks);
    demand_sums(&s);
    (void)fake_take_printed();
    demand(library_counters_agree(), "%s", fake_take_printed());
}

void ask_check(struct actor *a, struct input *in)
{
    (void)a;
    (void)in;
    if (!world.racing) (void)fake_take_printed();
    demand(hak_check(), "%s", world.racing ? "in a race" : fake_take_printed());
}

void ask_stats(struct actor *a, struct input *in)
{
    struct hak_stats s;
    (void)a;
    (void)in;
    if (!world.racing)
        demand_agreement();
    else
        demand(hak_stats(&s) == 0, "hak_stats");
}

/* ---- texts ---- */

static void demand_malloc_info(void)
{
    char text[16384] = "";
    FILE *stream = fmemopen(text, sizeof(text) - 1, "w");
    demand(stream && libc_malloc_info(0, stream) == 0 && libc_malloc_info(1, stream) == EINVAL, "malloc_info");
    demand(fclose(stream) == 0, "longer than %zu", sizeof(text));
    unsigned open = 0, closed = 0;
    for (const char *c = text; *c; c++) {
        open += *c == '<';
        closed += *c == '>';
    }
    size_t length = strlen(text);
    demand(length > 30 && open == closed && strncmp(text, "<malloc version=\"1\">", 20) == 0 &&
           strcmp(text + length - 10, "</malloc>\n") == 0, "malloc_info: %s", text);
}

void ask_texts(struct actor *a, struct input *in)
{
    unsigned how = input_byte(in);
    (void)a;
    if (world.racing) return;
    (void)fake_take_printed();
    switch (how % 8) {
    case 0: case 1: demand_malloc_info(); return;
    case 2:
        libc_malloc_stats();
        demand(strncmp(fake_take_printed(), "Arena 0:\n", 9) == 0, "malloc_stats");
        return;
    case 3: demand((int)libc_mallinfo2().arena == libc_mallinfo().arena, "mallinfo"); return;
    case 4: demand(libc_mallopt((int)input_word(in) - 100, (int)input_word(in)) <= 1, "mallopt"); return;
    default: demand(hak_version()[0] == '0' && hak_build_id()[0] != 0, "%s", hak_version());
    }
}

/* ---- giving back ---- */

void ask_purge(struct actor *a, struct input *in)
{
    unsigned how = input_byte(in);
    (void)a;
    if (how & 1)
        (void)hak_purge();
    else
        demand(libc_malloc_trim(how) <= 1, "malloc_trim");
}

static void *run_background(void *rounds)
{
    library_run_background((unsigned)(uintptr_t)rounds);
    return NULL;
}

void ask_background(struct actor *a, struct input *in)
{
    pthread_t thread;
    unsigned rounds = 1 + input_byte(in) % 8;
    (void)a;
    if (world.racing || !fake.thread_main) return;
    demand(pthread_create(&thread, NULL, run_background, (void *)(uintptr_t)rounds) == 0, "pthread_create");
    pthread_join(thread, NULL);
}

/* ---- options ---- */

static long input_value(struct input *in, long minimum, long maximum)
{
    unsigned kind = input_byte(in);
    switch (kind % 8) {
    case 0: return minimum;
    case 1: return maximum;
    case 2: return maximum + 1;
    case 3: return minimum - 1;
    case 4: return (long)input_long(in);
    default: return minimum + (long)(kind / 8);
    }
}

static void set_raw_option(struct input *in)
{
    char name[16] = "";
    long value = 0;
    for (unsigned i = 0; i + 1 < sizeof(name); i++) name[i] = (char)input_byte(in);
    int status = hak_option_get(name, &value);
    demand(status == 0 || status == ENOENT, "%d for option '%s'", status, name);
    demand((hak_option_set(name, value) == ENOENT) == (status == ENOENT), "option '%s'", name);
    demand(hak_option_get(NULL, &value) == EINVAL && hak_option_get(name, NULL) == EINVAL, "NULL");
    demand(hak_option_set(NULL, 0) == EINVAL, "NULL");
}

void set_option(struct actor *a, struct input *in)
{
    long minimum, maximum, before = 0, after = 0;
    unsigned option = input_byte(in) % 16;
    const char *name = library_option_name(option);
    (void)a;
    if (!name) {
        set_raw_option(in);
        return;
    }
    library_option_range(option, &minimum, &maximum);
    long value = input_value(in, minimum, maximum);
    demand(hak_option_get(name, &before) == 0, "%s", name);
    int status = hak_option_set(name, value);
    demand(hak_option_get(name, &after) == 0, "%s", name);
    bool fits = value >= minimum && value <= maximum;
    demand(status == (fits ? 0 : ERANGE) || status == EPERM, "%s=%ld: %d", name, value, status);
    demand(world.racing || after == (status == 0 ? value : before), "%s=%ld: %d, is %ld", name, value, status, after);
}

/* ---- limits ---- */

static size_t input_limit(struct input *in, size_t held)
{
    unsigned kind = input_byte(in);
    if (kind < 64) return 0;
    if (kind < 128) return held + (kind - 64) * (size_t)32768;
    if (kind < 192) return held / 64 * (kind - 127);
    return (kind - 191) * ((size_t)1 << 20);
}

void keep_limit(size_t hard)
{
    size_t by_blocks = library_held_by_blocks();
    world.hard = hard;
    world.bounded |= hard > 0;
    world.most_by_blocks = by_blocks > hard ? by_blocks : hard;
}

void set_limit(struct actor *a, struct input *in)
{
    struct hak_stats s;
    (void)a;
    (void)hak_stats(&s);
    size_t now = library_held_by_blocks() + s.records;
    size_t soft = input_limit(in, now), hard = input_limit(in, now);
    if (world.racing) return;
    int status = hak_limit_set(soft, hard);
    demand(status == (hard > 0 && soft > hard ? EINVAL : 0), "limits %zu, %zu: %d", soft, hard, status);
    if (status != 0) return;
    world.soft = soft;
    keep_limit(hard);
    hak_limit_callback(input_byte(in) & 1 ? call_back : NULL, &world);
}

/* ---- the system ---- */

void set_clock(struct actor *a, struct input *in)
{
    unsigned byte = input_byte(in);
    (void)a;
    if (!world.racing) fake.now_ms += byte * (uint64_t)byte;
}

static void set_one_failure(struct input *in)
{
    unsigned kind = input_byte(in), from = 1 + input_byte(in), count = input_byte(in);
    enum fake_call call = kind % FAKE_CALLS;
    if (kind >= 0xc0)
        fake_fail_every(call, 1 + from % 16);
    else
        fake_fail(call, kind & 32 ? from * 4 : from, count >= 0xf0 ? FAKE_FOR_GOOD : 1 + count % 8);
}

void set_failures(struct actor *a, struct input *in)
{
    unsigned byte = input_byte(in);
    (void)a;
    if (world.racing) return;
    if (byte < 0x50)
        fake_fail_nothing();
    else
        set_one_failure(in);
}

/* The texts are fuzzed by themselves; here they have a meaning. */
void set_group(struct actor *a, struct input *in)
{
    static char most[32], current[32];
    (void)a;
    unsigned limit = input_byte(in), used = input_byte(in);
    if (world.racing) return;
    snprintf(most, sizeof(most), limit == 0 ? "max\n" : "%u\n", limit << 20);
    snprintf(current, sizeof(current), "%u\n", (limit << 12) * used);
    fake_set_file("/proc/self/cgroup", "0::/\n");
    fake_set_file("/sys/fs/cgroup/memory.max", most);
    fake_set_file("/sys/fs/cgroup/memory.current", current);
    library_look_at_group();
}

/* ---- the beginning ---- */

static void take_word(char *out, size_t size, const char *words, unsigned index)
{
    for (; index > 0 && strchr(words, '|'); index--) words = strchr(words, '|') + 1;
    snprintf(out, size, "%.*s", (int)strcspn(words, "|"), words);
}

static void set_environment(struct input *in, unsigned index)
{
    static char names[4][32], values[4][32];
    long minimum, maximum;
    unsigned option = input_byte(in) % 16;
    const char *name = library_option_name(option);
    if (!name) return;
    snprintf(names[index], sizeof(names[0]), "HAKMEM_%s", name);
    for (char *c = names[index]; *c; c++) *c = *c >= 'a' && *c <= 'z' ? (char)(*c - 32) : *c;
    library_option_range(option, &minimum, &maximum);
    if (strchr(library_option_unit(option), '|'))
        take_word(values[index], sizeof(values[0]), library_option_unit(option), input_byte(in) % 4);
    else
        snprintf(values[index], sizeof(values[0]), "%ld", input_value(in, minimum, maximum));
    fake_set_environment(names[index], values[index]);
    world.bounded |= strncmp(name, "limit", 5) == 0;
}

static void bound_addresses(unsigned kind)
{
    if (kind == 0) return;
    world.bounded = true;
    if (kind & 1) fake.address_limit = (size_t)1 << (26 + kind % 8);
    if (kind & 8) fake.address_bytes_max = ((size_t)16 << 30) + ((size_t)1 << (22 + kind % 8));
    if (kind & 1 && kind & 8) fake.address_bytes_max = fake.address_limit;
}

void set_world_up(struct input *in)
{
    unsigned flags = input_byte(in), more = input_byte(in), environment = input_byte(in);
    fake.memory_is_charged = flags & 1;
    fake.place_gap = flags & 2 ? 65536 : 0;
    fake.remap_is_final = flags & 4;
    fake.threads_refused = !(flags & 8);
    fake.collapse_refused = flags & 16;
    fake.threads_sleep = flags & 32;
    world.ends_by_abort = FUZZ_ACTORS == 1 && (flags & 64);
    world.calls_at_exit = flags & 128;
    world.check_every = 1u << more % 8;
    bound_addresses(environment >> 4);
    for (unsigned i = 0; i < (environment & 3); i++) set_environment(in, i);
    if (environment & 4) set_one_failure(in);
}
