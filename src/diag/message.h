/* message.h - one line on standard error, without a heap and without stdio.
 *
 * Uses: os. Callers: everybody, on cold paths only.
 * Locks: none; each line is one write, so lines of threads do not mix.
 *
 * Formats: %s text, %c, %u and %x unsigned, %d int, %zu size_t, %p address, %lu %ld %lx, %%; a width and a
 * leading 0 or - as in printf.
 */
#ifndef HAK_DIAG_MESSAGE_H
#define HAK_DIAG_MESSAGE_H

#include <stdarg.h>

#include "../base/compiler.h"

#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

/* As snprintf with the formats above; returns the length written, without the closing zero. */
INTERNAL size_t message_format(char *out, size_t size, const char *format, ...) PRINTF_LIKE(3, 4);
INTERNAL size_t message_format_list(char *out, size_t size, const char *format, va_list list);

/* Prints "hakmem: <text>\n". */
void message_print(const char *format, ...) LINKED_AS("hak_message_print") PRINTF_LIKE(1, 2);

/* Prints the text as it is, for tables and reports. */
INTERNAL void message_raw(const char *format, ...) PRINTF_LIKE(1, 2);

/* Prints "hakmem: internal error: <text>" and aborts: an invariant of our own is broken. */
INTERNAL _Noreturn void message_fatal(const char *format, ...) PRINTF_LIKE(1, 2);

#endif
