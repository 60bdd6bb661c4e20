/* reader.c - fuzz target: the command-line tool looks at a process whose memory says anything.
 *
 *   input: flags, number of damages, damages (place, word, kind, value each), text
 *
 * Uses:  cli/, all but its main.c; library.h. The process that is looked at is this one, with a heap that is made
 *        once. What the tool reads of it is damaged on the way, by the input: words of the ELF file's head, of the
 *        note, of the block and of the tables that it points to become others; reads fail. Among the values are
 *        pointers into a realm where every address can be read and holds the input's own text: so a hostile process
 *        can hold whole tables of its own making.
 *
 * What is demanded: the tool ends by itself, with a figure or with a message and a status of cli.h.
 */
#include "fuzz.h"
#include "library.h"

#include "../../cli/arguments.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static ssize_t damaged_read(pid_t pid, const struct iovec *here, unsigned long n, const struct iovec *there,
                            unsigned long m, unsigned long flags);
static FILE *open_text(const char *path, const char *mode);
static int open_nothing(const char *path, int flags);
static int wait_for_nothing(const struct timespec *time, struct timespec *left);

#define process_vm_readv damaged_read
#define fopen open_text
#define open open_nothing
#define nanosleep wait_for_nothing
#include "../../cli/process.c"
#include "../../cli/target.c"
#undef process_vm_readv
#undef fopen
#undef open
#undef nanosleep

#include "../../src/space/chunk.h"

enum { DAMAGES_MAX = 24, TEXT_MAX = 4096, TAKEN_MAX = 1 << 16, READS_MAX = 20000000, ELF_BASE = 0x400000 };
#define REALM (UINT64_C(1) << 40)     /* its first address, and its size */
#define MEMORY_MAX (UINT64_C(2) << 30)

static struct {
    struct damage {
        uintptr_t at;   /* a word of the process */
        uint64_t value; /* what is read there */
    } damage[DAMAGES_MAX];
    unsigned damages;
    char text[TEXT_MAX + 1];
    size_t text_length;
    bool has_own_maps;      /* the list of mappings is the text */
    uint64_t reads, fails_at;
    jmp_buf ended;
    char message[1024];
    void *taken[TAKEN_MAX]; /* by the tool, and not given back yet */
    unsigned taken_count;
    FILE *sink;
} reader;

/* ---- what the tool asks for ---- */

void fail(enum status status, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    vsnprintf(reader.message, sizeof(reader.message), format, list);
    va_end(list);
    demand(status > STATUS_DONE && status <= STATUS_CANNOT_TAKE && reader.message[0], "status %d", (int)status);
    longjmp(reader.ended, 1);
}

static void remember(void *p)
{
    demand(reader.taken_count < TAKEN_MAX, "%u pieces of memory", reader.taken_count);
    reader.taken[reader.taken_count++] = p;
}

static void forget(const void *p)
{
    for (unsigned i = reader.taken_count; i > 0; i--) {
        if (reader.taken[i - 1] != p) continue;
        reader.taken[i - 1] = reader.taken[--reader.taken_count];
        return;
    }
    demand(!p, "%p was not taken", p);
}

void *take_memory(size_t size)
{
    void *p = size > MEMORY_MAX ? NULL : calloc(1, size ? size : 1);
    if (!p) fail(STATUS_FAILED, "out of memory");
    remember(p);
    return p;
}

void *grow_memory(void *p, size_t size)
{
    if (size > MEMORY_MAX) fail(STATUS_FAILED, "out of memory");
    forget(p);
    p = realloc(p, size ? size : 1);
    demand(p, "no memory for %zu bytes", size);
    remember(p);
    return p;
}

/* The tool's free(), by the name that fuzz.mk gives it. */
void reader_free(void *p);
void reader_free(void *p)
{
    forget(p);
    free(p);
}

const char *human(uint64_t bytes)
{
    static char text[8][32];
    static unsigned turn;
    char *out = text[turn++ % 8];
    snprintf(out, sizeof(text[0]), "%lu B", bytes);
    return out;
}

error_t parse_pid(int key, const char *arg, struct argp_state *state, pid_t *pid)
{
    (void)state;
    if (key != ARGP_KEY_ARG) return key == ARGP_KEY_END ? 0 : ARGP_ERR_UNKNOWN;
    *pid = atoi(arg);
    return 0;
}

/* ---- the process ---- */

static void read_realm(uintptr_t from, char *to, size_t size)
{
    size_t length = reader.text_length ? reader.text_length : 1;
    for (size_t i = 0; i < size; i++) to[i] = reader.text[(from - REALM + i) % length];
}

static void apply_damage(const struct damage *d, uintptr_t from, char *to, size_t size)
{
    for (size_t i = 0; i < 8; i++)
        if (d->at + i - from < size) to[d->at + i - from] = (char)(d->value >> i * 8);
}

static ssize_t damaged_read(pid_t pid, const struct iovec *here, unsigned long n, const struct iovec *there,
                            unsigned long m, unsigned long flags)
{
    uintptr_t from = (uintptr_t)there->iov_base;
    size_t size = here->iov_len;
    demand(++reader.reads < READS_MAX, "%lu reads", reader.reads);
    if (reader.reads == reader.fails_at) return -1;
    if (from - REALM < REALM && size < REALM)
        read_realm(from, here->iov_base, size);
    else if (process_vm_readv(pid, here, n, there, m, flags) != (ssize_t)size)
        return -1;
    for (unsigned i = 0; i < reader.damages; i++) apply_damage(&reader.damage[i], from, here->iov_base, size);
    return (ssize_t)size;
}

/* The areas that hold the heap and its books, or some of them. */
static void make_smaps(char *out, size_t size)
{
    static const unsigned long starts[] = {0x200400000000, 0x200400100000, 0x200400200000, 0x200440200000};
    size_t length = 0;
    for (unsigned i = 0; i < sizeof(starts) / sizeof(starts[0]); i++)
        length += (size_t)snprintf(out + length, size - length,
                                   "%lx-%lx rw-p 00000000 00:00 0\nRss: %u kB\nAnonHugePages: 0 kB\n", starts[i],
                                   starts[i] + 0x40000, 16u << i);
}

static FILE *open_text(const char *path, const char *mode)
{
    static char texts[4][2048]; /* some are open at the same time */
    static unsigned turn;
    char *text = texts[turn++ % 4];
    const size_t room = sizeof(texts[0]);
    (void)mode;
    const char *name = strrchr(path, '/') + 1;
    if (strcmp(name, "maps") == 0 && reader.has_own_maps)
        return reader.text_length ? fmemopen(reader.text, reader.text_length, "r") : NULL;
    if (strcmp(name, "maps") == 0)
        snprintf(text, room, "%x-%x r--p 00000000 08:01 1 /bin/x\n", ELF_BASE, ELF_BASE + 4096);
    else if (strcmp(name, "smaps") == 0)
        make_smaps(text, room);
    else if (strcmp(name, "stat") == 0)
        snprintf(text, room, "%s", "1 (x) S 1 1 1\n");
    else if (strcmp(name, "statm") == 0)
        snprintf(text, room, "%s", "1000 500 1 1 0 1 0\n");
    else
        snprintf(text, room, "%s", "x<&\"\\\n");
    return fmemopen(text, strlen(text), "r");
}

static int open_nothing(const char *path, int flags)
{
    (void)path;
    (void)flags;
    return -1;
}

static int wait_for_nothing(const struct timespec *time, struct timespec *left)
{
    (void)time;
    (void)left;
    return 0;
}

/* A heap with some of everything, of a thread that lives and one that has ended. */
static void *make_blocks(void *unused)
{
    static void *kept[4000];
    for (unsigned i = 0; i < 4000; i++) kept[i] = hak_malloc(i * 7 % 5000 + 1);
    for (unsigned i = 0; i < 4000; i++)
        if (i % 5 != 0) hak_free(kept[i]);
    memset(hak_malloc(300000), 1, 300000);
    hak_free(hak_malloc(1 << 20));
    (void)hak_malloc(100 << 20);
    hak_free(hak_malloc(90 << 20));
    return unused;
}

static void make_heap(void)
{
    pthread_t thread;
    static bool is_made;
    if (is_made) return;
    is_made = true;
    reader.sink = fopen(SINK, "w");
    library_forget();
    library_load();
    demand(pthread_create(&thread, NULL, make_blocks, NULL) == 0, "pthread_create");
    pthread_join(thread, NULL);
    (void)make_blocks(NULL);
}

/* ---- damages ---- */

struct place {
    const void *at;
    size_t size;
};

static struct place input_place(struct input *in)
{
    const struct block *b = &hakmem_block;
    const struct chunk *c = NULL;
    uint32_t large_block = 1;
    for (uint32_t i = 1; i <= b->records->blocks; i++) {
        if (b->chunk_of_block[i]) c = b->chunk_of_block[i];
        else large_block = i;
    }
    const void *headers = (const char *)ELF_BASE + ((const Elf64_Ehdr *)ELF_BASE)->e_phoff;
    const struct place places[] = {
        {(void *)ELF_BASE, sizeof(Elf64_Ehdr)},
        {headers, 12 * sizeof(Elf64_Phdr)},
        {b, sizeof(*b)},
        {b, sizeof(*b)},
        {b->heap_count, 8},
        {b->heap_block, 16},
        {b->heap_block[0] + 1, 2 * sizeof(struct heap)},
        {b->tagmap, sizeof(struct tagmap)},
        {b->records, sizeof(struct records)},
        {b->record_block, 32},
        {b->chunk_of_block, 32},
        {b->arena, sizeof(struct arena)},
        {b->mapped, sizeof(struct mapped)},
        {c, sizeof(*c)},
        {c->superslabs, c->used * sizeof(*c->superslabs)},
        {b->record_block[c->record >> RECORD_INDEX_BITS], c->used * SUPERSLAB_UNITS * sizeof(struct record)},
        {b->record_block[large_block], 1024},
        {&b->tagmap->entries[tagmap_index(b->tagmap, c->base)], c->used * SUPERSLAB_UNITS * 8},
        {b->option_value, 64},
    };
    return places[input_byte(in) % (sizeof(places) / sizeof(places[0]))];
}

static uint64_t input_value(struct input *in, uint64_t before)
{
    unsigned kind = input_byte(in);
    switch (kind % 8) {
    case 0: return kind / 8;
    case 1: return UINT64_MAX - kind / 8;
    case 2: return before ^ UINT64_C(1) << input_byte(in) % 64;
    case 3: return before + input_word(in);
    case 4: return REALM + input_word(in);
    case 5: return before | (uint64_t)input_word(in) << 32;
    case 6: return (before & ~UINT64_C(0xffff)) | input_word(in);
    default: return input_long(in);
    }
}

static void add_damage(struct input *in)
{
    struct place p = input_place(in);
    uint64_t before = 0;
    size_t word = input_word(in) % ((p.size + 7) / 8);
    struct iovec here = {&before, sizeof(before)}, there = {(char *)(uintptr_t)p.at + word * 8, sizeof(before)};
    (void)process_vm_readv(getpid(), &here, 1, &there, 1, 0);
    reader.damage[reader.damages++] = (struct damage){(uintptr_t)p.at + word * 8, input_value(in, before)};
}

/* ---- the tool ---- */

static void run_tool(unsigned how)
{
    char pid[16], *none = NULL;
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    char *plain[] = {"hakmem", pid, none}, *json[] = {"hakmem", pid, "--json", none};
    char *metrics[] = {"hakmem", pid, "--prometheus", none}, *svg[] = {"hakmem", pid, "--svg", "-", none};
    char *colours[] = {"hakmem", pid, "--colour", "always", none};
    switch (how % 6) {
    case 0: (void)stat_main(2, plain); return;
    case 1: (void)stat_main(3, json); return;
    case 2: (void)stat_main(3, metrics); return;
    case 3: (void)map_main(4, svg); return;
    case 4: (void)map_main(4, colours); return;
    default: (void)explain_main(2, plain);
    }
}

static void free_all(void)
{
    while (reader.taken_count > 0) free(reader.taken[--reader.taken_count]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = input_of(data, size);
    FILE *out = stdout;
    make_heap();
    unsigned how = input_byte(&in), count = input_byte(&in) % DAMAGES_MAX, fails = input_byte(&in);
    reader.damages = 0;
    for (unsigned i = 0; i < count; i++) add_damage(&in);
    reader.text_length = (size_t)(in.end - in.at) < TEXT_MAX ? (size_t)(in.end - in.at) : TEXT_MAX;
    if (reader.text_length > 0) memcpy(reader.text, in.at, reader.text_length);
    reader.text[reader.text_length] = 0;
    reader.has_own_maps = how >= 0xf0;
    reader.reads = 0;
    reader.fails_at = fails < 0x80 ? 0 : fails - 0x7f;
    stdout = reader.sink;
    if (setjmp(reader.ended) == 0) run_tool(how);
    stdout = out;
    free_all();
    fuzz_count(reader.reads, reader.message[0] != 0, 0, 0);
    reader.message[0] = 0;
    return 0;
}
