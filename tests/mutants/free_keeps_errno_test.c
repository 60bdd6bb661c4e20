/* free_keeps_errno_test - free leaves errno alone, wherever the block goes and whatever the system refuses. */
#define HAK_FAKE_OS "../tests/mutants/refusing_os.c"
#include "../regress/whitebox.h"

enum { MARK = 12345, BLOCKS = 3000 };

static void *block[BLOCKS];
static unsigned changed;

static void give(void *p)
{
    errno = MARK;
    call_free(p);
    changed += errno != MARK;
}

static void free_many(void *(*take)(size_t), size_t size, unsigned count, struct heap *owner, struct heap *other)
{
    be(owner);
    for (unsigned i = 0; i < count; i++) block[i] = take(size);
    be(other);
    changed = 0;
    for (unsigned i = 0; i < count; i++) give(block[i]);
    expect(changed == 0, "%u of %u frees of %zu bytes%s changed errno", changed, count, size,
           owner == other ? "" : " of another heap");
}

static void free_all_kinds(struct heap *heap, struct heap *other)
{
    give(NULL);
    free_many(call_malloc, 40, BLOCKS, heap, heap);
    free_many(call_malloc, 40, BLOCKS, heap, other);
    free_many(call_malloc, 20000, 200, heap, heap);
    free_many(call_malloc, 20000, 200, heap, other);
    free_many(call_malloc, 200000, 50, heap, heap);
    free_many(call_malloc, 3 << 20, 50, heap, heap);
    free_many(malloc_mapping, 3 << 20, 50, heap, heap); /* more than are kept */
}

int main(void)
{
    struct heap *heap = heap_enter(), *other = heap_enter();
    free_all_kinds(heap, other);
    claim("free_keeps_errno");
    option_set(OPTION_purge_delay, 0); /* each visit gives memory back */
    refused.purge = refused.unmap = true;
    free_all_kinds(heap, other);
    claim("free_keeps_errno_when_the_system_refuses");
    return done_testing();
}
