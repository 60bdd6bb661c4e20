/* image.h - the program and the libraries that are loaded, and the functions in them.
 *
 * Callers: front/foreign.c. No lock of ours is needed. Nothing here allocates, changes errno, or waits for a
 * constructor: only for those who load or unload a library at this moment.
 */
#ifndef HAK_OS_IMAGE_H
#define HAK_OS_IMAGE_H

#include "../base/compiler.h"

/* libc's own function of that name, whoever else has defined one. NULL = there is none, or no libc beside the program:
 * in a static one. */
INTERNAL void *image_libc_function(const char *name);

#endif
