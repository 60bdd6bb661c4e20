/* huge.h - huge pages, as long as the system has them at hand.
 *
 * Uses: os. Callers: arena, collapse, mapping. Locks: none; threads may overwrite each other's findings.
 *
 * A huge page costs a fifth of the small pages that it replaces, or many times as much: where the system must
 * move memory to make room for it, or the host of a virtual machine has none behind it. So fills are timed. After a
 * slow one some opportunities pass, twice as many each time; a quick one halves them.
 */
#ifndef HAK_SPACE_HUGE_H
#define HAK_SPACE_HUGE_H

#include "../base/compiler.h"

/* true = the next opportunity is worth a try. Each false lets one pass. */
INTERNAL bool huge_at_hand(void);

/* Gives a SuperSlab without memory one huge page. false = there was none, or small pages have left a page table. */
INTERNAL bool huge_fill(uintptr_t superslab);

/* Replaces the small pages of a SuperSlab by a huge one, copying them. false = some are missing, or there was none. */
INTERNAL bool huge_collapse(uintptr_t superslab);

#endif
