/* arrivals.h - blocks sent to the inbox of `owner`, for tests of what it does with them.
 *
 * Uses: mail.h. Callers: arrival_test.c, arrival_corruption_test.c.
 */
#ifndef HAKMEM_TESTS_UNIT_ARRIVALS_H
#define HAKMEM_TESTS_UNIT_ARRIVALS_H

#include "mail.h"

enum { BLOCKS = 30000 };

static void *held[BLOCKS];

static void take_many(unsigned class, unsigned count)
{
    for (unsigned i = 0; i < count; i++) held[i] = take(owner, class);
}

/* The first `count` of them arrive in the owner's inbox. */
static void send(unsigned count)
{
    for (unsigned i = 0; i < count; i++) outbox(held[i]);
    outbox_post_all(me);
}

static void start_with_capacity(unsigned class, unsigned capacity)
{
    start();
    owner->class[class].capacity = (uint16_t)capacity;
    owner->class[class].examined = EXAMINE_VISITS;
}

#endif
