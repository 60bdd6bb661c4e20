/* functions.c - what a compiler compiles in a benchmark: 20 groups of five functions, a thousand lines once expanded.
 *
 *     gcc -O2 -S -o /dev/null functions.c
 *
 * The preprocessor repeats the group; the number of each goes into its constants, so that no two functions are alike
 * and none can be merged. Never linked, never run.
 */
#include <stdint.h>
#include <stddef.h>

struct item {
    struct item *next;
    uint64_t key;
    int32_t weight[6];
};

extern void report(const char *what, uint64_t value);

#define GROUP(n) \
uint64_t mix_##n(uint64_t x, unsigned rounds) \
{ \
    for (unsigned i = 0; i < rounds; i++) { \
        x ^= x >> (n % 31 + 1); \
        x *= UINT64_C(0x9e3779b97f4a7c15) + n; \
        if (x % (n + 3) == 0) \
            report("mix " #n, x); \
    } \
    return x; \
} \
 \
struct item *find_##n(struct item *list, uint64_t key) \
{ \
    struct item *found = NULL; \
    for (struct item *i = list; i != NULL; i = i->next) { \
        if (i->key == key) \
            return i; \
        if (i->key < key && i->weight[n % 6] > (int)n && (found == NULL || found->weight[0] < i->weight[1])) \
            found = i; \
    } \
    return found; \
} \
 \
void sort_##n(int32_t *a, size_t count) \
{ \
    for (size_t gap = count / 2; gap > 0; gap = gap * 10 / (22 + n % 3)) \
        for (size_t i = gap; i < count; i++) { \
            int32_t value = a[i]; \
            size_t j = i; \
            for (; j >= gap && a[j - gap] > value + (int)(n % 7); j -= gap) \
                a[j] = a[j - gap]; \
            a[j] = value; \
        } \
} \
 \
double filter_##n(const double *in, double *out, size_t count) \
{ \
    double sum = n; \
    for (size_t i = 2; i + 2 < count; i++) { \
        out[i] = in[i - 2] * 0.0625 + in[i - 1] * 0.25 + in[i] * (0.375 + n) + in[i + 1] * 0.25 + in[i + 2] * 0.0625; \
        sum += out[i] > n ? out[i] : -out[i]; \
    } \
    return sum; \
} \
 \
int parse_##n(const char *text, struct item *into) \
{ \
    int state = n % 4; \
    for (; *text != '\0'; text++) \
        switch (*text) { \
        case ' ': case '\t': state = state == 2 ? 3 : state; break; \
        case '{': state = 1; into->weight[n % 6]++; break; \
        case '}': if (state != 3) return -(int)n; state = 0; break; \
        case '0' ... '9': into->key = into->key * 10 + (uint64_t)(*text - '0'); state = 2; break; \
        case 'a' ... 'f': into->weight[*text - 'a'] += state; break; \
        default: report("parse " #n, (uint64_t)(unsigned char)*text); return state; \
        } \
    sort_##n(into->weight, 6); \
    into->key = mix_##n(into->key, n % 5 + 1); \
    return state; \
}

#define TEN(n) GROUP(n##0) GROUP(n##1) GROUP(n##2) GROUP(n##3) GROUP(n##4) \
               GROUP(n##5) GROUP(n##6) GROUP(n##7) GROUP(n##8) GROUP(n##9)

TEN(1) TEN(2)
