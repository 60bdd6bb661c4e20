/* options.h - the library's options, from the library's own table. */
#ifndef HAK_CLI_OPTIONS_H
#define HAK_CLI_OPTIONS_H

#include "cli.h"

struct option_row {
    const char *name;
    long value;        /* default */
    long minimum, maximum;
    const char *unit;  /* "ms", or the words for 0, 1, ... separated by | */
    bool settable;     /* while the program runs */
    const char *help;
};

extern const struct option_row option_rows[];
extern const int option_row_count;

/* Takes "NAME=VALUE" apart and checks it; ends with a message when it is wrong. Returns the index of the option. */
int option_parse(const char *text, long *value);

/* "report", "1000 ms" */
const char *option_text(int index, long value);

#endif
