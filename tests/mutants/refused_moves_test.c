/* refused_moves_test - a place that a mapping could not be moved to goes back, unless it is another thread's by then;
 * what can grow at no other place gets none. Pages that were to become a reservation do not become a hole. */
#define HAK_FAKE_OS "../tests/mutants/refusing_os.c"
#include "../regress/whitebox.h"

enum { SIZE = 1 << 20 };

static char *place;

/* By somebody, readable or not. */
static bool is_mapped(const char *p)
{
    unsigned char present;
    return !system_call_failed(kernel_call(SYS_mincore, (long)p, 1, (long)&present, 0, 0, 0));
}

/* The place, when a move there was refused so. */
static bool stays_mapped(enum move move)
{
    char *p = memset(os_map(SIZE), 7, SIZE);
    place = os_reserve(2 * SIZE);
    refused.move = move;
    expect(!os_remap_to(p, SIZE, 2 * SIZE, place), "the move is refused");
    refused.move = MOVE_DONE;
    expect(p[0] == 7 && p[SIZE - 1] == 7, "the mapping is as it was");
    bool still = is_mapped(place);
    expect(still == is_mapped(place + 2 * SIZE - os_page_size()), "all of the place, or nothing");
    expect(os_unmap(p, SIZE), "the mapping");
    return still;
}

/* What lies before a page that stays where it is cannot grow there, and what is two mappings nowhere. */
static void growths(void)
{
    char *p = os_map(2 * SIZE);
    char *middle = p + SIZE / 2;
    expect(os_remap(p, SIZE, 2 * SIZE) == REMAP_NO_ROOM, "a page of the mapping's is in the way");
    expect(os_unmap(p + SIZE, SIZE) && os_remap(p, SIZE, SIZE + os_page_size()) == REMAP_DONE, "there is room");
    (void)kernel_call(SYS_madvise, (long)middle, (long)os_page_size(), MADV_DONTDUMP, 0, 0, 0);
    expect(os_remap(p, SIZE + os_page_size(), 2 * SIZE) == REMAP_REFUSED, "it is three mappings");
    claim("what_cannot_grow_here_is_told_from_what_cannot_grow");
}

static bool uncommit(char *p, enum move move)
{
    refused.move = move;
    bool done = os_uncommit(p, SIZE);
    refused.move = MOVE_DONE;
    return done;
}

static void reservations(void)
{
    char text[1];
    char *p = memset(os_map(SIZE), 7, SIZE);
    expect(!uncommit(p, MOVE_REFUSED_AT_ONCE) && p[0] == 7 && p[SIZE - 1] == 7, "nothing has changed");
    expect(uncommit(p, MOVE_REFUSED_LATE) && is_mapped(p) && !os_peek(p, text, 1), "the addresses stay");
    expect(os_commit(p, SIZE) && p[0] == 0, "and can be used again");
    expect(!uncommit(p, MOVE_REFUSED_WHEN_TAKEN) && os_peek(p, text, 1), "what is another thread's");
    claim("pages_that_the_kernel_took_stay_reserved");
}

int main(void)
{
    be(heap_enter());
    expect(!stays_mapped(MOVE_REFUSED_AT_ONCE), "the reservation is there");
    claim("a_place_that_the_kernel_left_goes_back");
    expect(!stays_mapped(MOVE_REFUSED_LATE), "something is there");
    claim("a_place_that_the_kernel_took_is_nobody_s");
    expect(stays_mapped(MOVE_REFUSED_WHEN_TAKEN), "another thread's mapping is gone");
    claim("a_place_that_another_thread_has_by_then_is_left_alone");
    char *p = memset(os_map(SIZE), 7, SIZE);
    place = os_reserve(2 * SIZE);
    expect(os_remap_to(p, SIZE, 2 * SIZE, place), "a move that nobody refuses");
    expect(place[0] == 7 && place[SIZE - 1] == 7 && place[SIZE] == 0 && place[2 * SIZE - 1] == 0, "the contents");
    claim("a_place_that_was_moved_to_has_the_mapping_and_no_more");
    growths();
    reservations();
    return done_testing();
}
