/* top.h - what the table and the screen of hakmem top share. */
#ifndef HAK_CLI_TOP_H
#define HAK_CLI_TOP_H

#include <time.h>

#include "walk.h"

enum { ROWS_MAX = 1024, WANTED_MAX = 256 };

/* One process. */
struct row {
    pid_t pid;
    char name[32];
    uint64_t rss, live, cached;
    size_t threads;
    uint64_t mallocs, frees;
    double rate;          /* mallocs each second since the look before */
    struct timespec time;
};

struct top {
    struct row row[ROWS_MAX];
    size_t count;
    pid_t wanted[WANTED_MAX];
    int wanted_count;     /* 0 = all */
    double delay;         /* seconds */
    char sort;            /* a column_of() key */
    bool once;
};

void top_look(struct top *t);
void top_sort(struct top *t);
bool column_of(char key);
const char *top_title(void);
void top_line(const struct row *r, char *out, size_t size);

/* Until q is pressed. */
void top_screen(struct top *t);

#endif
