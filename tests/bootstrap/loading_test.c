/* loading_test.c - a thread gives blocks of libc's to hakmem for the first time, while another loads a library whose
 * constructor waits for it.
 */
#include "bootstrap/loading.h"

enum { SIZE = 2000 };

static void *block[3];

static void hand_over(void)
{
    expect(malloc_usable_size(block[0]) >= SIZE, "malloc_usable_size");
    block[1] = resize(block[1], 2 * SIZE);
    expect(block[1] && !hak_owns(block[1]), "realloc");
    give(block[2]);
}

int main(void)
{
    alarm(HANG_SECONDS);
    if (!runs_on_hakmem()) return done_testing();
    void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    void *(*libc_malloc)(size_t) = libc ? (void *(*)(size_t))dlsym(libc, "malloc") : NULL;
    if (!libc_malloc) bail_out("no libc.so.6");
    for (int i = 0; i < 3; i++) block[i] = libc_malloc(SIZE);
    expect(can_be_done_while_loading(hand_over), "the thread was stopped");
    claim("blocks_of_libc_find_their_way_while_another_thread_is_in_dlopen");
    return done_testing();
}
