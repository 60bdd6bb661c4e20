/* config.h - the constants of the layout, and the build options with their defaults.
 *
 * Uses: nothing. Everybody may include it.
 * A build option is always 0 or 1; code asks with `if`, so that every build compiles every line.
 */
#ifndef HAK_BASE_CONFIG_H
#define HAK_BASE_CONFIG_H

#if !defined(__LP64__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "hakmem needs a 64-bit machine that stores the low byte first: addresses share words with counts and tags"
#endif

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef HAK_CHECKED
#define HAK_CHECKED 0 /* 1: invariants of a class and all bins are checked at every visit, and ranks of locks */
#endif
#define HAK_VERSION "0.1.0" /* the one place: the Makefile and the packages read it here */
#ifndef HAK_BUILD_ID
#define HAK_BUILD_ID "unknown" /* hash of sources and flags, given by the Makefile */
#endif

#ifndef HAK_START_OBJECTS
#define HAK_START_OBJECTS 0 /* 1: linked with the objects of api/start.S, or in an archive with them */
#endif

/* 1: this goes into a program, not into a library. Code that is not position-independent, or only as a program's is,
 * cannot go into a library. */
#if !defined(HAK_IN_PROGRAM) && (!defined(__PIC__) || defined(__PIE__))
#define HAK_IN_PROGRAM 1
#elif !defined(HAK_IN_PROGRAM)
#define HAK_IN_PROGRAM 0
#endif

/* Bits of a user address, as far as the kernel hands them out unasked. */
#if defined(__x86_64__)
#define HAK_ADDRESS_BITS 47
#else
#define HAK_ADDRESS_BITS 48
#endif

#if !defined(HAK_MEMCHECK) && __has_include(<valgrind/memcheck.h>)
#define HAK_MEMCHECK 1 /* 1: memcheck, of valgrind, is told about blocks where it runs the program */
#elif !defined(HAK_MEMCHECK)
#define HAK_MEMCHECK 0
#endif

static const bool checked = HAK_CHECKED;

enum {
    CACHE_LINE = 64,
    UNIT_SHIFT = 16,
    UNIT_SIZE = 1 << UNIT_SHIFT,               /* 64 KiB: what one tag describes */
    SUPERSLAB_UNITS = 32,
    SUPERSLAB_SIZE = SUPERSLAB_UNITS * UNIT_SIZE, /* 2 MiB: one huge page */

    TABLE_SIZE_MAX = 16384,                    /* requests up to here find their class in a table */
    SIZE_CLASS_COUNT = 57,                     /* 8; 16 ... 128 by 16; then four, later eight per doubling */
    ALIGNED_CLASS_COUNT = 7,                   /* page multiples for aligned requests; see class.h */
    CLASS_COUNT = SIZE_CLASS_COUNT + ALIGNED_CLASS_COUNT,
    SMALL_SIZE_MAX = 64 * 1024,                /* largest size class; above: large blocks */
    SINGLE_UNIT_SIZE_MAX = 8 * 1024,         /* slabs of larger blocks take POOL_UNITS units */
    POOL_UNITS = 8,

    ADDRESS_BITS = HAK_ADDRESS_BITS,
    OWNER_SHIFT = 16,                          /* tag = owner << OWNER_SHIFT | offset of the bin */
    OWNER_MAX = (1 << 15) - 2,
    OWNER_NEVER = (1 << 16) - 1,               /* no entry of the tag map has it, marked or not */
};

#endif
