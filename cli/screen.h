/* screen.h - a snapshot as text, JSON and metrics.
 *
 * Uses: divide.
 */
#ifndef HAK_CLI_SCREEN_H
#define HAK_CLI_SCREEN_H

#include "divide.h"

void print_screen(FILE *out, const struct target *target, const struct snapshot *s, const struct residence *r);
void print_json(FILE *out, const struct target *target, const struct snapshot *s, const struct residence *r);

/* A whole text, HELP and TYPE lines included. */
void print_metrics(FILE *out, const struct target *target, const struct snapshot *s, const struct residence *r);

#endif
