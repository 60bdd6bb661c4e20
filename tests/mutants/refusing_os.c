/* refusing_os.c - Linux, but some calls are refused when a test says so.
 *
 * Stands in for os/linux.c by HAK_FAKE_OS. A refused call of os.h does nothing, as is promised there. What the kernel
 * does to a place before it refuses to put something else there, kernels differ in.
 */
#define system_call kernel_call
#include "../../src/os/system_call.h"
#include <sys/mman.h>

enum move { MOVE_DONE, MOVE_REFUSED_AT_ONCE, MOVE_REFUSED_LATE, MOVE_REFUSED_WHEN_TAKEN };

static struct {
    bool purge, unmap, remap;
    enum move move;    /* of mremap() to a place, and of mmap() over one */
} refused;

/* Of the whole of a place where another thread's mapping is then. */
static void lose_place(long to, long size)
{
    (void)kernel_call(SYS_munmap, to, size, 0, 0, 0, 0);
    if (refused.move != MOVE_REFUSED_WHEN_TAKEN) return;
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    (void)kernel_call(SYS_mmap, to, size, PROT_READ | PROT_WRITE, flags, -1, 0);
}

static long refusable_call(long number, long a, long b, long c, long d, long e, long f)
{
    bool moves = number == SYS_mremap && (d & MREMAP_FIXED);
    bool replaces = number == SYS_mmap && (d & MAP_FIXED);
    if ((!moves && !replaces) || refused.move == MOVE_DONE) return kernel_call(number, a, b, c, d, e, f);
    if (refused.move != MOVE_REFUSED_AT_ONCE) lose_place(moves ? e : a, moves ? c : b);
    return -ENOMEM;
}

#undef system_call
#define system_call refusable_call
#define os_purge linux_purge
#define os_unmap linux_unmap
#define os_remap linux_remap
#include "../../src/os/linux.c"
#undef system_call
#define system_call kernel_call
#include "../../src/os/inherited.c"
#include "../../src/os/thread.c"
#include "../../src/os/sleep.c"
#undef system_call
#undef os_purge
#undef os_unmap
#undef os_remap

bool os_purge(void *p, size_t size);
bool os_unmap(void *p, size_t size);
enum remap_result os_remap(void *p, size_t size, size_t new_size);

bool os_purge(void *p, size_t size)
{
    return !refused.purge && linux_purge(p, size);
}

bool os_unmap(void *p, size_t size)
{
    return !refused.unmap && linux_unmap(p, size);
}

enum remap_result os_remap(void *p, size_t size, size_t new_size)
{
    return refused.remap ? REMAP_NO_ROOM : linux_remap(p, size, new_size);
}
