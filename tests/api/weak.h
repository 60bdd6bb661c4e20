/* weak.h - the public header, with every name weak.
 *
 * One source then serves a program that is linked with the library and one that is preloaded; without
 * hakmem the names are NULL, which each test turns into a red result.
 */
#ifndef HAKMEM_TESTS_API_WEAK_H
#define HAKMEM_TESTS_API_WEAK_H

#ifdef __cplusplus
/* struct and function of one name: g++ calls that a hidden constructor. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#include "hakmem/hakmem.h"
#pragma GCC diagnostic pop
#else
#include "hakmem/hakmem.h"
#endif

#pragma weak hak_malloc
#pragma weak hak_calloc
#pragma weak hak_free
#pragma weak hak_realloc
#pragma weak hak_reallocarray
#pragma weak hak_aligned_alloc
#pragma weak hak_memalign
#pragma weak hak_posix_memalign
#pragma weak hak_valloc
#pragma weak hak_pvalloc
#pragma weak hak_free_sized
#pragma weak hak_free_aligned_sized
#pragma weak hak_usable_size
#pragma weak hak_owns
#pragma weak hak_purge
#pragma weak hak_limit_set
#pragma weak hak_limit_callback
#pragma weak hak_stats
#pragma weak hak_check
#pragma weak hak_option_get
#pragma weak hak_option_set
#pragma weak hak_version
#pragma weak hak_build_id

#endif
