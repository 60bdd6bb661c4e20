/* hakmem.c - the whole library as one translation unit, lowest layer first.
 *
 * So no object can be missing from a link, everything inlines without LTO, and only the public names
 * are exported. Each file also compiles alone. docs/TOUR.md walks through them. Only api/cxx.c is an object of its
 * own: a static program without C++ must not pull it in. And api/start.S, which says where the linker puts our start.
 */
#define HAK_ONE_UNIT 1
#include "base/config.h"

#ifdef HAK_FAKE_OS
#include HAK_FAKE_OS /* the tests' system, which fails on request */
#else
#include "os/linux.c"
#include "os/inherited.c"
#include "os/thread.c"
#include "os/sleep.c"
#endif
#include "os/aligned.c"
#include "os/cgroup.c"
#include "os/image.c"
#include "os/lock.c"

#include "diag/message.c"
#include "diag/option.c"
#include "diag/error.c"

#include "space/record.c"
#include "space/freemap.c"
#include "space/tagmap.c"
#include "space/huge.c"
#include "space/limit.c"
#include "space/density.c"
#include "space/chunk.c"
#include "space/stretch.c"
#include "space/arena.c"
#include "space/purge.c"
#include "space/collapse.c"
#include "space/keep.c"
#include "space/mapping.c"
#include "space/mapped.c"
#include "space/large.c"

#include "slab/slab.c"
#include "slab/absent.c"

#include "cache/inbox.c"
#include "cache/heap.c"
#include "cache/flush.c"
#include "cache/kept.c"
#include "cache/bin.c"
#include "cache/attach.c"
#include "cache/recall.c"
#include "cache/sparse.c"
#include "cache/fork.c"

#include "service/reclaim.c"
#include "service/background.c"
#include "service/pressure.c"
#include "service/stats.c"
#include "service/block.c"
#include "service/narrow.c"

#include "front/foreign.c"
#include "front/miss.c"
#include "front/realloc.c"
#include "front/watched.c"

#include "api/atfork.c"
#include "api/init.c"
#include "api/hak.c"
#include "api/libc.c"
#include "api/glibc.c"
#include "api/rlimit.c"
