/* api.h - what the files of the public layer share.
 *
 * Uses: nothing.
 */
#ifndef HAK_API_API_H
#define HAK_API_API_H

#include <stdlib.h> /* says which C library this is */

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

/* A name of libc's, which libc's own objects may refer to. A linker that optimises may see these only after it has
 * decided what nobody needs. */
#if __has_attribute(externally_visible)
#define LIBC_NAME __attribute__((nothrow, used, externally_visible))
#else
#define LIBC_NAME __attribute__((nothrow, used))
#endif

/* 1: an object for the archive, which is linked with what it needs. 0: for the shared library. */
#ifndef HAK_FOR_ARCHIVE
#define HAK_FOR_ARCHIVE 0
#endif

#endif
