/* refusing_os.c - Linux, but some calls are refused when a test says so.
 *
 * Stands in for os/linux.c by HAK_FAKE_OS. A refused call does nothing, as os.h promises.
 */
#define os_purge linux_purge
#define os_unmap linux_unmap
#define os_remap linux_remap
#include "../../src/os/linux.c"
#include "../../src/os/inherited.c"
#include "../../src/os/thread.c"
#include "../../src/os/sleep.c"
#undef os_purge
#undef os_unmap
#undef os_remap

static struct {
    bool purge, unmap, remap;
} refused;

bool os_purge(void *p, size_t size);
bool os_unmap(void *p, size_t size);
bool os_remap(void *p, size_t size, size_t new_size);

bool os_purge(void *p, size_t size)
{
    return !refused.purge && linux_purge(p, size);
}

bool os_unmap(void *p, size_t size)
{
    return !refused.unmap && linux_unmap(p, size);
}

bool os_remap(void *p, size_t size, size_t new_size)
{
    return !refused.remap && linux_remap(p, size, new_size);
}
