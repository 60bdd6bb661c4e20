/* fuzz.h - what all fuzz targets share: the bytes of an input, the end after a fault, and the count of operations.
 *
 * Uses: nothing of the library. Callers: the targets; replay.c, libFuzzer or AFL++ calls the target.
 *
 * A target is one LLVMFuzzerTestOneInput(). It must end the process by fault() when what it sees is wrong, and must
 * take any bytes. An input that is at its end gives zeros.
 */
#ifndef HAKMEM_TESTS_FUZZ_FUZZ_H
#define HAKMEM_TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *at, *end;
};

static inline struct input input_of(const uint8_t *data, size_t size)
{
    return (struct input){data, data + size};
}

static inline bool input_ended(const struct input *in)
{
    return in->at == in->end;
}

static inline unsigned input_byte(struct input *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

static inline unsigned input_word(struct input *in)
{
    unsigned low = input_byte(in);
    return low | input_byte(in) << 8;
}

static inline uint64_t input_long(struct input *in)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < 8; i++) sum |= (uint64_t)input_byte(in) << i * 8;
    return sum;
}

/* Prints what was found, and aborts, so that the fuzzer keeps the input. */
__attribute__((format(printf, 3, 4), noreturn)) void fault(const char *where, const char *what, const char *format, ...);

#define demand(cond, ...) \
    do { \
        if (__builtin_expect(!(cond), 0)) fault(__func__, #cond, __VA_ARGS__); \
    } while (0)

/* Printed by fault(), when it is not NULL. */
extern const char *(*fuzz_remark)(void);

/* Counts an input, and what was done with it; the sums of all processes are in the file that FUZZ_STATS names. */
void fuzz_count(uint64_t operations, uint64_t refusals, uint64_t births, uint64_t forks);

/* The same in one line, of this process. */
void fuzz_print_counts(void);

/* Text that nobody looks at goes there. */
#define SINK "/dev/null"

#endif
