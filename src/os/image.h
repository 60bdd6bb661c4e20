/* image.h - the program and the libraries that are loaded, and the functions in them.
 *
 * Callers: front/foreign.c, api. No lock of ours may be held. errno stays as it is. To find allocates nothing, and
 * waits for no constructor: only for those who load or unload a library at this moment.
 */
#ifndef HAK_OS_IMAGE_H
#define HAK_OS_IMAGE_H

#include "../base/compiler.h"

/* libc's own function of that name, whoever else has defined one. NULL = there is none, or no libc beside the program:
 * in a static one. */
INTERNAL void *image_libc_function(const char *name);

/* All of these, functions or data, from one image: from the one that the code at `caller` lies in, else from one that
 * this says it needs, else from the first, whether others see them or not. false = no image defines them all. */
bool image_find_set(const char *const *names, size_t count, const void *caller, void **found)
    LINKED_AS("hak_image_find_set");

/* When the library is loaded: the image that it is in stays mapped to the end of the process, whoever closes it. Who
 * has a heap comes back to it when the thread ends, and the library's own thread works there. This may allocate, except
 * in the program and in the shared library, which is linked to stay. */
INTERNAL void image_stay(void);

#endif
