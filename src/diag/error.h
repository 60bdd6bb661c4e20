/* error.h - misuse by the program: one line, then abort or go on.
 *
 * Uses: message, option.
 */
#ifndef HAK_DIAG_ERROR_H
#define HAK_DIAG_ERROR_H

#include "message.h"

enum error {
#define ERROR(id, text, meaning) ERROR_##id,
#include "error.def"
#undef ERROR
    ERROR_COUNT
};

/* Prints "hakmem: <fact>: p=<address> size=<class> ..." and aborts, or with HAKMEM_ON_ERROR=report
 * returns: the caller then leaks the block. size 0 = unknown. */
INTERNAL void error_report(enum error error, const void *p, size_t size);

#endif
