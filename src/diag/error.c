/* error.c - see error.h.
 *
 * Uses: message, option. Locks: none.
 */
#include "error.h"

#include "../os/os.h"
#include "option.h"

static const char *const error_text[ERROR_COUNT] = {
#define ERROR(id, text, meaning) [ERROR_##id] = text,
#include "error.def"
#undef ERROR
};

COLD void error_report(enum error error, const void *p, size_t size)
{
    if (size > 0)
        message_print("%s: p=%p size=%zu (see hakmem-errors(7))", error_text[error], (void *)(uintptr_t)p, size);
    else
        message_print("%s: p=%p (see hakmem-errors(7))", error_text[error], (void *)(uintptr_t)p);
    if (option_get(OPTION_on_error) == ON_ERROR_ABORT) os_abort();
}
