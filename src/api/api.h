/* api.h - what the files of the public layer share.
 *
 * Uses: compiler.
 */
#ifndef HAK_API_API_H
#define HAK_API_API_H

#include <stdlib.h> /* says which C library this is */

#include "../base/compiler.h"

/* 1: the library defines malloc, free, operator new ... for the whole process. 0: only hak_*. */
#ifndef HAK_REPLACE_LIBC
#define HAK_REPLACE_LIBC 1
#endif

/* 1: the names that only glibc has as well. */
#if HAK_REPLACE_LIBC && defined(__GLIBC__)
#define HAK_REPLACE_GLIBC 1
#else
#define HAK_REPLACE_GLIBC 0
#endif

/* A name that other objects may refer to, which a linker that optimises may see only after it has decided what nobody
 * needs. Libc's objects refer to libc's names. */
#if __has_attribute(externally_visible)
#define REFERRED_TO __attribute__((used, externally_visible))
#else
#define REFERRED_TO __attribute__((used))
#endif
#define LIBC_NAME __attribute__((nothrow)) REFERRED_TO

/* Where the address of the function goes that starts the library: before all constructors, which is for programs only;
 * or as the first of them. Other C libraries have no such place, and instrumented code must wait for its sanitizer. */
#if HAK_IN_PROGRAM && defined(__GLIBC__) && !HAK_INSTRUMENTED
#define HAK_START_SECTION ".preinit_array"
#else
#define HAK_START_SECTION ".init_array.00101"
#endif

/* From now on forks of libc's leave the child a whole heap. In atfork.c. */
INTERNAL void api_serve_forks(void);

/* 1: an object for the archive, which is linked with what it needs. 0: for the shared library. */
#ifndef HAK_FOR_ARCHIVE
#define HAK_FOR_ARCHIVE 0
#endif

#endif
