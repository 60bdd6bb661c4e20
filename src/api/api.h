/* api.h - what the files of the public layer share.
 *
 * Uses: nothing.
 */
#ifndef HAK_API_API_H
#define HAK_API_API_H

/* 1: the library defines malloc, free, operator new ... for the whole process. 0: only hak_*. */
#ifndef HAK_REPLACE_LIBC
#define HAK_REPLACE_LIBC 1
#endif

/* 1: an object for the archive, which is linked with what it needs. 0: for the shared library. */
#ifndef HAK_FOR_ARCHIVE
#define HAK_FOR_ARCHIVE 0
#endif

#endif
