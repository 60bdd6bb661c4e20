/* density.h - whether blocks above 2 KiB get filled by their users, and so deserve huge pages.
 *
 * Uses: option, os. Callers: arena, large, mapping, cache. Locks: none; threads may overwrite each other's lessons.
 *
 * A huge page costs as much as a fifth of the small pages that it replaces, but a block of which little is touched
 * must not become resident as a whole. So whoever takes a large block in small pages leaves a place to look at, and
 * the next one looks there how many pages were touched since. The average of these lessons is what the next block is
 * expected to fill. A slab's lesson is the one of its class that was handed out to the end before it. A SuperSlab of
 * every eighth long run, and every seventeenth slab of a class, gets small pages in any case, so that learning goes on.
 * HAKMEM_THP=always and never answer instead.
 */
#ifndef HAK_SPACE_DENSITY_H
#define HAK_SPACE_DENSITY_H

#include "../base/compiler.h"

/* true = at least a sixth of the pages of the next block will probably be touched. */
INTERNAL bool density_expected(void);

/* true = a SuperSlab of the next block that is to have huge pages is to be watched instead. */
INTERNAL bool density_wants_lesson(void);

/* true = the lessons say that little of a block is touched. */
INTERNAL bool density_is_low(void);

/* A SuperSlab without memory was handed out in small pages: the next density_expected() will look at it. */
INTERNAL void density_watch(uintptr_t superslab);

/* true = nearly all of the next slab of the class will probably be touched. unit = of a slab of which every block was
 * handed out, and whose memory came as it was touched; 0 = there is none to look at. */
INTERNAL bool density_of_slab(unsigned class, uintptr_t unit);

/* true = nearly all of this block was touched: what it grows by will be, too. */
INTERNAL bool density_is_high(uintptr_t base, size_t size);

#endif
