/* library.h - the library under a fuzzer: one that nobody has called yet, as often as wanted.
 *
 * Uses: fake_os.h. Callers: the fuzz targets heap, threads and reader.
 *
 * All names that the library shares with libc are given another one after it was compiled (fuzz.mk): the fuzzer, and
 * the C library, keep their own malloc.
 */
#ifndef HAKMEM_TESTS_FUZZ_LIBRARY_H
#define HAKMEM_TESTS_FUZZ_LIBRARY_H

#include <malloc.h>
#include <stdio.h>

#include "../../include/hakmem/hakmem.h"
#include "../unit/fake_os.h"

/* What replaces libc's calls. */
void *libc_malloc(size_t size);
void libc_free(void *p);
void *libc_calloc(size_t count, size_t size);
void *libc_realloc(void *p, size_t size);
void *libc_reallocarray(void *p, size_t count, size_t size);
void *libc_aligned_alloc(size_t alignment, size_t size);
void *libc_memalign(size_t alignment, size_t size);
int libc_posix_memalign(void **out, size_t alignment, size_t size);
void *libc_valloc(size_t size);
void *libc_pvalloc(size_t size);
void libc_free_sized(void *p, size_t size);
void libc_free_aligned_sized(void *p, size_t alignment, size_t size);
size_t libc_malloc_usable_size(void *p);
int libc_mallopt(int parameter, int value);
int libc_malloc_trim(size_t pad);
struct mallinfo2 libc_mallinfo2(void);
struct mallinfo libc_mallinfo(void);
void libc_malloc_stats(void);
int libc_malloc_info(int options, FILE *stream);

/* Back to the first instruction: no heap, no mapping, no option set, the fake system as it was, all locks free. Every
 * other thread that has called the library must have ended. */
void library_forget(void);

/* What the dynamic linker has done at load, with the environment and files of the fake system; and at exit. */
void library_load(void);
void library_unload(void);

/* true = every counter equals the walked truth. */
bool library_counters_agree(void);

/* Bytes held without bookkeeping: what the hard limit keeps bounded. */
size_t library_held_by_blocks(void);

/* Runs the background thread that the library has started, if it has, on the thread that calls, until it has nothing to
 * do for `rounds` rounds. That must be one that ends afterwards without any other call. */
void library_run_background(unsigned rounds);

/* Looks at the control group's files, as the background thread does. */
void library_look_at_group(void);

/* The largest request of a size class, of CLASS_COUNT. */
size_t library_class_size(unsigned class);

const char *library_option_name(unsigned option); /* NULL = there are no more */
const char *library_option_unit(unsigned option); /* words with | between them, or what its numbers count */
void library_option_range(unsigned option, long *minimum, long *maximum);

#endif
