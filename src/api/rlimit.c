/* rlimit.c - libc's calls that limit the process: what a limit of addresses would break is put right before. What the
 * system will refuse changes nothing.
 *
 * Uses: narrow, os. A limit that the program sets by a bare system call, or another process by prlimit(), comes unseen.
 */
#include "api.h"

#if HAK_REPLACE_GLIBC

#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../../include/hakmem/hakmem.h"
#include "../os/os.h"
#include "../service/narrow.h"

_Static_assert(sizeof(struct rlimit) == sizeof(struct rlimit64), "one form");

/* The system looks at the address before it looks at the resource, which there is not. */
static bool can_be_read(const struct rlimit *limit)
{
    int saved = errno;
    bool readable = os_change_limit(0, RLIM_NLIMITS, limit, NULL) == 0 || errno != EFAULT;
    errno = saved;
    return readable;
}

/* A hard limit above the present one is set first: who may raise it is known to the system only. */
static bool is_accepted(const struct rlimit *limit)
{
    struct rlimit now;
    if (limit->rlim_cur > limit->rlim_max || os_change_limit(0, RLIMIT_AS, NULL, &now) != 0) return false;
    if (limit->rlim_max <= now.rlim_max) return true;
    now.rlim_max = limit->rlim_max;
    return os_change_limit(0, RLIMIT_AS, &now, NULL) == 0;
}

static int change_limit(int process, int resource, const struct rlimit *limit, void *before)
{
    bool own = process == 0 || process == getpid();
    bool limited = own && resource == RLIMIT_AS && limit && can_be_read(limit) && limit->rlim_cur != RLIM_INFINITY;
    if (limited && is_accepted(limit)) narrow_to(limit->rlim_cur);
    return os_change_limit(process, resource, limit, before);
}

COLD HAK_API int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit)
{
    return change_limit(0, (int)resource, limit, NULL);
}

COLD HAK_API int setrlimit64(__rlimit_resource_t resource, const struct rlimit64 *limit)
{
    return change_limit(0, (int)resource, (const struct rlimit *)(const void *)limit, NULL);
}

COLD HAK_API int prlimit(pid_t process, __rlimit_resource_t resource, const struct rlimit *limit, struct rlimit *before)
{
    return change_limit(process, (int)resource, limit, before);
}

COLD HAK_API int prlimit64(pid_t process, __rlimit_resource_t resource, const struct rlimit64 *limit,
                           struct rlimit64 *before)
{
    return change_limit(process, (int)resource, (const struct rlimit *)(const void *)limit, before);
}

#endif
