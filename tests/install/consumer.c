/* consumer.c - a program that uses an installed hakmem: its own blocks, libc's blocks and the hak_*
 * calls must all be hakmem's. Prints the version; exits with 1 when something is not so. */
#include <hakmem/hakmem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Compilers remove pairs of malloc and free that they can see through. */
static void *(*volatile allocate)(size_t) = malloc;
static char *(*volatile duplicate)(const char *) = strdup;
static void (*volatile release)(void *) = free;

static int expect(bool holds, const char *fact)
{
    if (!holds)
        fprintf(stderr, "consumer: not so: %s\n", fact);
    return !holds;
}

int main(void)
{
    int wrong = 0;
    int local = 0;
    void *own = allocate(1000);
    char *libcs = duplicate("made inside libc");
    struct hak_stats stats;

    wrong += expect(hak_owns(own), "malloc is hakmem's");
    wrong += expect(hak_owns(libcs), "strdup's malloc is hakmem's");
    wrong += expect(!hak_owns(&local), "the stack is nobody's");
    wrong += expect(hak_usable_size(own) >= 1000, "the usable size is known");
    wrong += expect(hak_stats(&stats) == 0 && stats.live >= 1000, "live bytes are counted");
    release(own);
    release(libcs);
    printf("%s\n", hak_version());
    return wrong != 0;
}
