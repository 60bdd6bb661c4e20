/* doctor.h - what the parts of hakmem doctor share. */
#ifndef HAK_CLI_DOCTOR_H
#define HAK_CLI_DOCTOR_H

#include "cli.h"

enum weight { FINE, NOTE, PROBLEM };

/* Prints a line. */
void found(enum weight weight, const char *format, ...) PRINTF_FORMAT(2, 3);

/* Which allocators are in the process, and which malloc its files call. Ends when the process cannot be looked at. */
void examine_process(pid_t pid);

/* Limits on its memory, and how the system hands memory out. */
void examine_limits(pid_t pid);
void examine_system(pid_t pid);

#endif
