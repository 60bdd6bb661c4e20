/* names_test.c - every name of the replacement is there, and in a dynamic program it is hakmem's.
 *
 * The list is written out here, not taken from the library's own: a name lost there is missed here.
 */
#include <dlfcn.h>
#include <sys/auxv.h>

#include "calls.h"

/* May be absent from a static program. */
#pragma weak dladdr
#pragma weak dlsym

#define NAMES(NAME)                                                                                      \
    NAME(free) NAME(calloc) NAME(realloc) NAME(reallocarray) NAME(posix_memalign)           \
    NAME(aligned_alloc) NAME(memalign) NAME(valloc) NAME(pvalloc) NAME(malloc_usable_size) NAME(cfree)   \
    NAME(free_sized) NAME(free_aligned_sized) NAME(malloc_trim) NAME(mallopt) NAME(mallinfo)             \
    NAME(mallinfo2) NAME(malloc_stats) NAME(malloc_info) NAME(__libc_malloc) NAME(__libc_free)           \
    NAME(__libc_calloc) NAME(__libc_realloc) NAME(__libc_memalign) NAME(__libc_valloc)                   \
    NAME(__libc_pvalloc) NAME(__libc_mallopt) NAME(__libc_mallinfo)                                      \
    NAME(hak_malloc) NAME(hak_calloc) NAME(hak_free) NAME(hak_realloc) NAME(hak_reallocarray)            \
    NAME(hak_aligned_alloc) NAME(hak_memalign) NAME(hak_posix_memalign) NAME(hak_valloc)                 \
    NAME(hak_pvalloc) NAME(hak_free_sized) NAME(hak_free_aligned_sized) NAME(hak_usable_size)            \
    NAME(hak_owns) NAME(hak_purge) NAME(hak_stats) NAME(hak_check) NAME(hak_option_get)                  \
    NAME(hak_option_set) NAME(hak_version) NAME(hak_build_id)                                            \
    NAME(_Znwm) NAME(_Znam) NAME(_ZnwmRKSt9nothrow_t) NAME(_ZnamRKSt9nothrow_t)                          \
    NAME(_ZnwmSt11align_val_t) NAME(_ZnamSt11align_val_t) NAME(_ZnwmSt11align_val_tRKSt9nothrow_t)       \
    NAME(_ZnamSt11align_val_tRKSt9nothrow_t) NAME(_ZdlPv) NAME(_ZdaPv) NAME(_ZdlPvm) NAME(_ZdaPvm)       \
    NAME(_ZdlPvRKSt9nothrow_t) NAME(_ZdaPvRKSt9nothrow_t) NAME(_ZdlPvSt11align_val_t)                    \
    NAME(_ZdaPvSt11align_val_t) NAME(_ZdlPvmSt11align_val_t) NAME(_ZdaPvmSt11align_val_t)                \
    NAME(_ZdlPvSt11align_val_tRKSt9nothrow_t) NAME(_ZdaPvSt11align_val_tRKSt9nothrow_t)

/* Addresses only, so one false type for all; asm keeps the declarations of the headers apart. malloc is
 * not among them: one name must not be weak, or nothing would pull the static library in. */
#define NAME(name) extern __attribute__((weak)) void name##_address(void) __asm__(#name);
NAMES(NAME)
#undef NAME

struct name {
    const char *text;
    const char *address;
};

static struct name names[] = {
#define NAME(name) {#name, (const char *)name##_address},
    NAMES(NAME)
#undef NAME
    {"malloc", NULL} /* set in main */
};

/* The kernel loaded no dynamic linker: no other library can own a name. */
static bool is_static(void)
{
    return getauxval(AT_BASE) == 0;
}

static bool comes_from_hakmem(const struct name *name)
{
    Dl_info info;
    if (is_static()) return true;
    if (dladdr(name->address, &info) == 0) return false;
    const char *file = strrchr(info.dli_fname, '/');
    return strncmp(file ? file + 1 : info.dli_fname, "libhakmem.so", 12) == 0;
}

/* In a dynamic program a name of an executable may be its own PLT entry: ask the linker instead. */
static const char *address_of(const struct name *name)
{
    return is_static() ? name->address : dlsym(RTLD_DEFAULT, name->text);
}

int main(void)
{
    if (!runs_on_hakmem()) return done_testing();
    names[COUNT(names) - 1].address = (const char *)(uintptr_t)malloc;
    for (size_t i = 0; i < COUNT(names); i++) {
        struct name name = {names[i].text, address_of(&names[i])};
        expect(name.address != NULL, "%s is missing", name.text);
        if (name.address) expect(comes_from_hakmem(&name), "%s is another library's", name.text);
    }
    claim("every_name_is_there_and_is_hakmem's");

    void *(*volatile operator_new)(size_t) = (void *(*)(size_t))(uintptr_t)address_of(&(struct name){"_Znwm", (const char *)_Znwm_address});
    void (*volatile operator_delete)(void *) = (void (*)(void *))(uintptr_t)address_of(&(struct name){"_ZdlPv", (const char *)_ZdlPv_address});
    if (ok(operator_new && operator_delete, "a_C_program_can_reach_operator_new")) {
        void *p = operator_new(100);
        ok(hak_owns(p), "operator_new_works_without_libstdc++");
        operator_delete(p);
    }

    const char *version = hak_version(), *build = hak_build_id();
    int major, minor, patch, end = 0;
    ok(sscanf(version, "%d.%d.%d%n", &major, &minor, &patch, &end) == 3 && version[end] == 0,
       "version_is_three_numbers");
    ok(strlen(build) >= 8 && strspn(build, "0123456789abcdef") == strlen(build), "build_id_is_a_hash_in_hex");
    ok(version == hak_version() && build == hak_build_id(), "version_and_build_id_are_constant");
    return done_testing();
}
