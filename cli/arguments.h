/* arguments.h - argp, whose header has a `struct option`: the library has an enum of that name; and the argument that
 * most commands take. */
#ifndef HAK_CLI_ARGUMENTS_H
#define HAK_CLI_ARGUMENTS_H

#define option libc_option
#include <argp.h>
#undef option

#include <sys/types.h>

/* What a command that takes one PID does with the keys that are not its own: *pid, 0 at first, becomes it. */
error_t parse_pid(int key, const char *arg, struct argp_state *state, pid_t *pid);

#endif
