/* text.h - text of others that is shown: names of processes and files hold any byte.
 *
 * What is UTF-8 and no control character is shown as it is.
 */
#ifndef HAK_CLI_TEXT_H
#define HAK_CLI_TEXT_H

#include <stdarg.h>
#include <stddef.h>

/* Bytes of the character that a text begins with; 0 = it is none of UTF-8, or the text has ended. */
size_t utf8_length(const char *text);

/* Replaces control characters, and bytes that are no UTF-8, by question marks: a terminal would follow the former. */
void make_printable(char *text);

/* As vsnprintf(), and makes it so. */
void format_printable(char *text, size_t size, const char *format, va_list list);

#endif
