/* hak.c - the hak_* calls; see include/hakmem/hakmem.h for what they promise.
 *
 * Uses: front, service, option. Names only: anything with a decision in it belongs below.
 *
 * Valgrind puts its own functions in the place of malloc, free, realloc and memalign, by address. What it does not know
 * calls one of these, and by a real call: else a block of valgrind's would come here.
 */
#include <errno.h>

#include "../../include/hakmem/hakmem.h"
#include "../front/front.h"
#include "../os/os.h"
#include "../service/pressure.h"
#include "../service/reclaim.h"
#include "../service/stats.h"
#include "../diag/message.h"
#include "api.h"

HAK_API HIT_PATHS_BEGIN void *hak_malloc(size_t size)
{
    return front_malloc(size);
}

/* Directly behind malloc: decisions/hit-paths-at-cache-lines.md. */
HAK_API NOINLINE void hak_free(void *p)
{
    front_free(p);
}

HAK_API void *hak_calloc(size_t count, size_t size)
{
    return front_calloc(count, size);
}

HAK_API NOINLINE void *hak_realloc(void *p, size_t size)
{
    return front_realloc(p, size);
}

HAK_API void *hak_reallocarray(void *p, size_t count, size_t size)
{
    size_t total;
    if (!__builtin_mul_overflow(count, size, &total)) return hak_realloc(p, total);
    errno = ENOMEM;
    return NULL;
}

HAK_API void *hak_aligned_alloc(size_t alignment, size_t size)
{
    if (is_power_of_two(alignment)) return front_aligned(alignment, size);
    errno = EINVAL;
    return NULL;
}

HAK_API NOINLINE void *hak_memalign(size_t alignment, size_t size)
{
    size_t power = 16;
    if (alignment > SIZE_MAX / 2 + 1) { /* there is no power of two above it */
        errno = EINVAL;
        return NULL;
    }
    while (power < alignment) power *= 2;
    return front_aligned(is_power_of_two(alignment) ? alignment : power, size);
}

HAK_API int hak_posix_memalign(void **out, size_t alignment, size_t size)
{
    if (!is_power_of_two(alignment) || alignment % sizeof(void *) != 0) return EINVAL;
    int saved = errno;
    void *p = front_aligned(alignment, size);
    errno = saved;
    if (!p) return ENOMEM;
    *out = p;
    return 0;
}

HAK_API void *hak_valloc(size_t size)
{
    return front_aligned(os_page_size(), size);
}

HAK_API void *hak_pvalloc(size_t size)
{
    size_t page = os_page_size();
    if (size <= PTRDIFF_MAX) return hak_memalign(page, align_up(size, page));
    errno = ENOMEM;
    return NULL;
}

HAK_API void hak_free_sized(void *p, size_t size)
{
    front_check_size(p, 1, size);
    hak_free(p);
}

HAK_API void hak_free_aligned_sized(void *p, size_t alignment, size_t size)
{
    front_check_size(p, alignment, size);
    hak_free(p);
}

HAK_API size_t hak_usable_size(const void *p)
{
    return front_own_size(p);
}

HAK_API bool hak_owns(const void *p)
{
    return front_owns(p);
}

HAK_API size_t hak_purge(void)
{
    return reclaim_all();
}

HAK_API int hak_limit_set(size_t soft, size_t hard)
{
    if (hard > 0 && soft > hard) return EINVAL;
    limit_set(soft, hard);
    return 0;
}

HAK_API void hak_limit_callback(void (*call)(size_t held, size_t soft, void *context), void *context)
{
    pressure_set_callback(call, context);
}

HAK_API int hak_stats(struct hak_stats *out)
{
    struct stats stats;
    if (!out) return EINVAL;
    stats_collect(&stats);
    *out = stats.total;
    return 0;
}

HAK_API bool hak_check(void)
{
    const char *broken = stats_verify_all();
    if (broken) message_print("check failed: %s", broken);
    return !broken;
}

HAK_API int hak_option_get(const char *name, long *value)
{
    if (!name || !value) return EINVAL;
    int option = option_find(name);
    if (option < 0) return ENOENT;
    *value = option_get((enum option)option);
    return 0;
}

HAK_API int hak_option_set(const char *name, long value)
{
    if (!name) return EINVAL;
    int option = option_find(name);
    if (option < 0) return ENOENT;
    if (!option_is_settable((enum option)option)) return EPERM;
    return option_set((enum option)option, value) ? 0 : ERANGE;
}

HAK_API const char *hak_version(void)
{
    return HAK_VERSION;
}

HAK_API const char *hak_build_id(void)
{
    return HAK_BUILD_ID;
}
