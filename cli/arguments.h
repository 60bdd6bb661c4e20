/* arguments.h - argp, whose header has a `struct option`: the library has an enum of that name. */
#ifndef HAK_CLI_ARGUMENTS_H
#define HAK_CLI_ARGUMENTS_H

#define option libc_option
#include <argp.h>
#undef option

#endif
