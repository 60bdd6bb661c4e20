/* picture.h - what the two pictures of hakmem map share. */
#ifndef HAK_CLI_PICTURE_H
#define HAK_CLI_PICTURE_H

#include "walk.h"

/* The character of a unit, as hakmem map --help lists them. */
char unit_letter(const struct superslab_view *s, unsigned i);

/* SuperSlabs in the order of the snapshot. */
void draw_svg(FILE *out, const struct target *target, const struct snapshot *s);

#endif
