/* compiler.h - what the compiler is told: hints, attributes, and arithmetic on memory in few instructions.
 *
 * Uses: config. The only place outside os/ that looks at the platform.
 */
#ifndef HAK_BASE_COMPILER_H
#define HAK_BASE_COMPILER_H

#include "config.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define COLD __attribute__((cold, noinline))
#define NOINLINE __attribute__((noinline))
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define UNUSED __attribute__((unused))
#define CACHE_ALIGNED __attribute__((aligned(CACHE_LINE)))
#define HIT_PATHS_BEGIN CACHE_ALIGNED /* else what lies before them decides how quick they are */
#define TLS_INITIAL_EXEC __thread __attribute__((tls_model("initial-exec")))

/* The library's own names must not meet those of a program that is linked with the archive, or has the source file
 * compiled in. INTERNAL stands before the declaration of each function that other files call: in the one translation
 * unit it is static. Data, and what cxx.c calls, have another name for the linker. */
#ifdef HAK_ONE_UNIT
#define INTERNAL static UNUSED
#else
#define INTERNAL extern
#endif
#define LINKED_AS(name) __asm__(name) __attribute__((visibility("hidden")))

/* A second name for a function of this translation unit. */
#if defined(__has_attribute) && __has_attribute(copy)
#define ALIAS_OF(name) __attribute__((alias(#name), copy(name)))
#else
#define ALIAS_OF(name) __attribute__((alias(#name)))
#endif

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr) - offsetof(type, member)))
#define array_length(a) (sizeof(a) / sizeof((a)[0]))

/* 1: a sanitizer has its calls in this code. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define HAK_INSTRUMENTED 1
#elif defined(__has_feature) /* clang's way to ask */
#define HAK_INSTRUMENTED (__has_feature(thread_sanitizer) || __has_feature(address_sanitizer))
#else
#define HAK_INSTRUMENTED 0
#endif

#if defined(__x86_64__)
#define HAK_FLAG_OUTPUTS 1
#define HAK_PAUSE() __builtin_ia32_pause()
#elif defined(__aarch64__)
#define HAK_FLAG_OUTPUTS 0
#define HAK_PAUSE() __asm__ volatile("yield")
#else
#define HAK_FLAG_OUTPUTS 0
#define HAK_PAUSE() __asm__ volatile("" ::: "memory")
#endif

/* (bits & *mask) + *base. The mask is loaded first; who stores both stores it last. On x86-64 each load is part of the
 * instruction that uses it. */
ALWAYS_INLINE uintptr_t mask_and_add(uintptr_t bits, const size_t *mask, const uint64_t *const *base)
{
#if HAK_FLAG_OUTPUTS
    __asm__("andq %[mask], %[bits]\n\taddq %[base], %[bits]"
            : [bits] "+&r"(bits)
            : [mask] "m"(*mask), [base] "m"(*base)
            : "cc");
    return bits;
#else
    size_t bound = __atomic_load_n(mask, __ATOMIC_ACQUIRE);
    return (bits & bound) + (uintptr_t)__atomic_load_n(base, __ATOMIC_RELAXED);
#endif
}

/* Adds a constant to *word and says whether the addition carried out of 64 bits. On x86-64 it is one
 * instruction on memory whose flag the caller's branch uses directly. */
ALWAYS_INLINE bool add_carries(uint64_t *word, const int32_t addend)
{
#if HAK_FLAG_OUTPUTS
    bool carry;
    __asm__("addq %[addend], %[word]" : [word] "+m"(*word), "=@ccc"(carry) : [addend] "er"((int64_t)addend));
    return carry;
#else
    uint64_t before = __atomic_load_n(word, __ATOMIC_RELAXED); /* others read it */
    uint64_t after = before + (uint64_t)(int64_t)addend;
    __atomic_store_n(word, after, __ATOMIC_RELAXED);
    return after < before;
#endif
}

#endif
