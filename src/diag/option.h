/* option.h - the options in force.
 *
 * Uses: message, os. Readable from any thread at any time; before option_read_environment() the
 * defaults hold.
 */
#ifndef HAK_DIAG_OPTION_H
#define HAK_DIAG_OPTION_H

#include "../base/atomics.h"

enum option {
#define OPTION(name, value, minimum, maximum, unit, when, help) OPTION_##name,
#include "option.def"
#undef OPTION
    OPTION_COUNT
};

enum { ON_ERROR_ABORT = 0, ON_ERROR_REPORT = 1 };
enum { BACKGROUND_AUTO = 0, BACKGROUND_OFF = 1, BACKGROUND_ON = 2 };
enum { THP_AUTO = 0, THP_ALWAYS = 1, THP_NEVER = 2 };

extern long option_value[OPTION_COUNT] LINKED_AS("hak_option_value");

ALWAYS_INLINE long option_get(enum option option)
{
    return load_relaxed(&option_value[option]);
}

/* The option of that name ("purge_delay"), or -1. */
INTERNAL int option_find(const char *name);

/* true = set; false = out of range, nothing changed. */
INTERNAL bool option_set(enum option option, long value);

/* false = may only be given at start. */
INTERNAL bool option_is_settable(enum option option);

/* Takes the HAKMEM_* variables over; each bad value costs one line on standard error. */
INTERNAL void option_read_environment(void);

/* Prints every option with its value. */
INTERNAL void option_print_all(void);

#endif
