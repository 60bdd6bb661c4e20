/* message.c - see message.h.
 *
 * Uses: os. Locks: none.
 */
#include "message.h"

#include "../base/bits.h"
#include "../os/os.h"

struct text {
    char *at;
    char *end; /* where the closing zero must still fit */
};

static void put_char(struct text *t, char c)
{
    if (t->at < t->end) *t->at++ = c;
}

static void put_padded(struct text *t, const char *s, size_t length, size_t width, bool left, char pad)
{
    for (size_t i = length; !left && i < width; i++) put_char(t, pad);
    for (size_t i = 0; i < length; i++) put_char(t, s[i]);
    for (size_t i = length; left && i < width; i++) put_char(t, ' ');
}

static size_t digits_of(char *out, uint64_t n, unsigned base)
{
    char reversed[24];
    size_t length = 0;
    do {
        reversed[length++] = "0123456789abcdef"[n % base];
        n /= base;
    } while (n > 0);
    for (size_t i = 0; i < length; i++) out[i] = reversed[length - 1 - i];
    return length;
}

struct spec {
    bool left;
    char pad;
    size_t width;
    int longs; /* 0 int, 1 long or size_t */
};

static const char *parse_spec(const char *f, struct spec *spec)
{
    *spec = (struct spec){.pad = ' '};
    if (*f == '-') spec->left = true, f++;
    if (*f == '0') spec->pad = '0', f++;
    while (*f >= '0' && *f <= '9') spec->width = spec->width * 10 + (size_t)(*f++ - '0');
    while (*f == 'l' || *f == 'z') spec->longs = 1, f++;
    return f;
}

COLD static void put_number(struct text *t, const struct spec *spec, uint64_t n, bool negative, unsigned base)
{
    char digits[26] = "-";
    size_t sign = negative ? 1 : 0;
    size_t width = spec->width;
    if (negative && spec->pad == '0') { /* the zeros stand behind the sign */
        put_char(t, '-');
        sign = 0;
        if (width > 0) width--;
    }
    size_t length = sign + digits_of(digits + sign, n, base);
    put_padded(t, digits, length, width, spec->left, spec->pad);
}

COLD size_t message_format_list(char *out, size_t size, const char *format, va_list list)
{
    struct text t = {.at = out, .end = out + size - 1};
    for (const char *f = format; *f; f++) {
        if (*f != '%') {
            put_char(&t, *f);
            continue;
        }
        struct spec spec;
        f = parse_spec(f + 1, &spec);
        if (*f == 's') {
            const char *s = va_arg(list, const char *);
            put_padded(&t, s, __builtin_strlen(s), spec.width, spec.left, ' ');
        } else if (*f == 'c') {
            put_char(&t, (char)va_arg(list, int));
        } else if (*f == 'u' || *f == 'x') {
            uint64_t n = spec.longs ? va_arg(list, unsigned long) : va_arg(list, unsigned);
            put_number(&t, &spec, n, false, *f == 'u' ? 10 : 16);
        } else if (*f == 'd') {
            int64_t n = spec.longs ? va_arg(list, long) : va_arg(list, int);
            put_number(&t, &spec, n < 0 ? 0 - (uint64_t)n : (uint64_t)n, n < 0, 10);
        } else if (*f == 'p') {
            put_char(&t, '0');
            put_char(&t, 'x');
            put_number(&t, &spec, (uintptr_t)va_arg(list, void *), false, 16);
        } else {
            put_char(&t, *f); /* %% */
        }
    }
    *t.at = 0;
    return (size_t)(t.at - out);
}

COLD size_t message_format(char *out, size_t size, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    size_t length = message_format_list(out, size, format, list);
    va_end(list);
    return length;
}

COLD static void print_list(const char *prefix, const char *suffix, const char *format, va_list list)
{
    char line[512];
    size_t length = message_format(line, sizeof(line), "%s", prefix);
    length += message_format_list(line + length, sizeof(line) - length - 1, format, list);
    length += message_format(line + length, sizeof(line) - length, "%s", suffix);
    os_print(line, length);
}

COLD void message_print(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    print_list("hakmem: ", "\n", format, list);
    va_end(list);
}

COLD void message_raw(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    print_list("", "", format, list);
    va_end(list);
}

COLD _Noreturn void message_fatal(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    print_list("hakmem: internal error: ", "\n", format, list);
    va_end(list);
    os_abort();
}
