/* block_check_is_slab_relative - whether a block starts somewhere is asked from the start of its slab.
 *
 * What went wrong once: a guard tested address % stride in place of (address - base of the slab) % stride.
 * For strides that are no power of two it aborted on good blocks.
 *
 * Shown: for every class and slabs at 100,000 addresses, all blocks pass, and no other address does: one
 * byte off, in the middle, behind what is carved, outside. And a program that frees a block one
 * byte off is stopped with a message.
 */
#include <signal.h>
#include <sys/wait.h>

#include "whitebox.h"

enum { SLABS = 100000, SAMPLES = 4 };

/* slab_is_block() reads no memory of the slab, so slabs can be claimed to be anywhere. */
static struct slab slab_somewhere(unsigned class, uintptr_t base, uint32_t carved)
{
    return (struct slab){
        .base = base,
        .capacity = class_capacity(class),
        .stride = class_stride(class),
        .carved = carved,
        .used = carved,
        .class = (uint8_t)class,
        .units = (uint8_t)class_units(class),
    };
}

static void check_block(const struct slab *s, uint32_t index)
{
    const char *block = slab_block(s, index);
    expect(slab_is_block(s, block), "class %u, slab at %#lx: false alarm for block %u", s->class, s->base, index);
    expect(!slab_is_block(s, block + 1), "class %u, slab at %#lx: block %u + 1 passes", s->class, s->base, index);
    expect(!slab_is_block(s, block - 1), "class %u, slab at %#lx: block %u - 1 passes", s->class, s->base, index);
    expect(!slab_is_block(s, block + s->stride / 2), "class %u, slab at %#lx: the middle of block %u passes", s->class,
           s->base, index);
}

static void check_ends(const struct slab *s)
{
    const char *base = (const char *)s->base;
    size_t carved_bytes = s->carved * (size_t)s->stride;
    expect(!slab_is_block(s, base + carved_bytes), "class %u: a block that is not carved passes", s->class);
    expect(!slab_is_block(s, base - s->stride), "class %u: a block before the slab passes", s->class);
    expect(!slab_is_block(s, base + s->capacity * (size_t)s->stride), "class %u: a block behind the slab passes",
           s->class);
    expect(!slab_is_block(s, NULL), "class %u: NULL passes", s->class);
}

static void every_block(unsigned class)
{
    struct slab s = slab_somewhere(class, UINT64_C(0x7f1234560000), class_capacity(class));
    for (uint32_t i = 0; i < s.capacity; i++) check_block(&s, i);
    check_ends(&s);
}

static uintptr_t random_unit(struct random *random)
{
    uint64_t units = (UINT64_C(1) << (ADDRESS_BITS - UNIT_SHIFT)) - POOL_UNITS - 2;
    return (1 + random_next(random) % units) * UNIT_SIZE;
}

static void many_slabs(unsigned class, struct random *random)
{
    for (uint32_t n = 0; n < SLABS / CLASS_COUNT; n++) {
        uint32_t carved = 1 + random_below(random, class_capacity(class));
        struct slab s = slab_somewhere(class, random_unit(random), carved);
        for (int i = 0; i < SAMPLES; i++) check_block(&s, random_below(random, carved));
        check_ends(&s);
    }
}

/* ---- through free ---- */

/* true = the child was stopped by abort, with a line of ours. */
static bool is_stopped(uint32_t size, ptrdiff_t off)
{
    int pipe_ends[2];
    char text[4096] = "\n"; /* lines of ours are looked for behind a line's end: UBSan may speak first */
    size_t length = 1;
    int status = 0;
    if (pipe(pipe_ends) != 0) bail_out("no pipe");
    pid_t child = fork();
    if (child == 0) {
        dup2(pipe_ends[1], STDERR_FILENO);
        char *p = call_malloc(size), *q = call_malloc(size);
        call_free(q);
        call_free(p + off);
        (void)hak_purge(); /* the bins go home: here at the latest */
        _exit(0);
    }
    close(pipe_ends[1]);
    for (ssize_t n = 1; n > 0 && length < sizeof text - 1; length += n > 0 ? (size_t)n : 0)
        n = read(pipe_ends[0], text + length, sizeof text - 1 - length);
    close(pipe_ends[0]);
    waitpid(child, &status, 0);
    return strstr(text, "\nhakmem: ") && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void good_blocks_pass(uint32_t size)
{
    void *p[64];
    for (int i = 0; i < 64; i++) p[i] = call_malloc(size);
    for (int i = 0; i < 64; i++) call_free(p[i]);
    (void)hak_purge(); /* checks each */
}

int main(void)
{
    struct random random = random_stream(random_seed(), 0);
    be(heap_enter());
    for (unsigned class = 0; class < CLASS_COUNT; class++) {
        every_block(class);
        many_slabs(class, &random);
    }
    claim("blocks_pass_and_nothing_else_does_at_every_slab_address");
    for (unsigned class = 0; class < SIZE_CLASS_COUNT; class++) good_blocks_pass(class_size(class));
    ok(hak_check(), "freeing_good_blocks_raises_no_alarm");
    for (unsigned class = 1; class < SIZE_CLASS_COUNT; class += 4) {
        expect(is_stopped(class_size(class), 1), "one byte into a block of %u", class_size(class));
        expect(is_stopped(class_size(class), 8), "8 bytes into a block of %u", class_size(class));
    }
    claim("a_free_that_is_off_is_stopped_with_a_message");
    return done_testing();
}
